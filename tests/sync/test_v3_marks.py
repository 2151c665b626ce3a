"""Questions that Sendcloud's v3 documents leave open: orders arrive and go whichever way each turns out."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from django_sendcloud.admin.explanations.violations import describe
from django_sendcloud.models import EntryState, Integration, OutboxEntry, Parcel, Shipment, ShipmentStatus
from django_sendcloud.payloads import Address, OtherCurrency, preflight, v3
from django_sendcloud.sandbox.behaviour import Behaviour
from django_sendcloud.sync.reconcile import compare
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import send_webhook
from django_sendcloud.webhooks import apply
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCES = ("shipment_uuid", "order_number", "external_order_id", "external_shipment_id")
#: Each open question by the sandbox's switch for it, with every way it may turn out.
MARKS: dict[str, list[Any]] = {
    "save_delay": [0.0, None],
    "conflict_while_saving": [True, False],
    "delete_before_save": ["not found", "recreated", "cancelled"],
    "omitted_blocks": ["cleared", "kept"],
    "report_first_error_only": [True, False],
    "any_currency": [True, False],
    "list_labelled_orders": [True, False],
    "as_documented": [True, False],
    "v3_references": [set(REFERENCES), *({name} for name in REFERENCES), set()],
    "v3_references_empty": [True, False],
}
#: Switches of the sandbox that are no question about API v3.
NO_QUESTION = {
    "page_size", "omit_empty_links", "external_ids_null", "partner_ids", "closed_service_points", "unknown_service_points",
    "certified_partners_only", "oauth_scopes",
}  # fmt: skip
BILLING = Address(name="Ada", address="Markt 1", city="Eindhoven", postal_code="5611 EM", country="NL")

pytestmark = [pytest.mark.parametrize("generation", ["v3"], indirect=True), pytest.mark.long]


def push(sandbox: Any, rounds: int = 6) -> None:
    """Push what is due until nothing more happens, as if it had waited long enough."""
    for _ in range(rounds):
        factories.outbox().filter(state=EntryState.PENDING).update(
            due_at="2026-01-01T00:00Z", not_before="2026-01-01T00:00Z"
        )
        push_due()
        sandbox.save_orders()


def save(order: Order, **values: Any) -> None:
    forget_transaction()
    for name, value in values.items():
        setattr(order, name, value)
    order.save()


def test_marks_list_each_question(generation: str) -> None:
    """A switch that the sandbox gets must be listed, and with it each of its ways."""
    assert MARKS.keys() | NO_QUESTION == vars(Behaviour()).keys()


def questions() -> str:
    """Return the part of the documents that lists what no live account has shown."""
    return (DOCS / "api-generations.md").read_text().partition("## Not verified")[2]


def test_documents_ask_each_question(generation: str) -> None:
    """Each row says how to find out, and which switch of the sandbox plays the answers."""
    rows = [line.strip("| ").split(" | ") for line in questions().splitlines() if line.startswith("|")][2:]
    assert all(question.endswith((")", "?")) and command for question, command, _ in rows)
    switches = {name for *_, switch in rows for name in re.findall(r"`(\w+)`", switch)}
    assert switches == MARKS.keys() | {"oauth_scopes"}


def test_documented_probe_measures_saving(integration: Integration, sandbox: Any) -> None:
    sandbox.save_delay = 0.3
    (code,) = re.findall(r"```python\n(.*?)```", questions(), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    assert 0.2 < namespace["seconds_to_save"]() < 2
    assert sandbox.orders() == []


@pytest.mark.parametrize(("mark", "way"), [(mark, way) for mark, ways in MARKS.items() for way in ways])
def test_orders_arrive_and_go_either_way(
    integration: Integration,
    sandbox: Any,
    client: Client,
    extra: dict[str, Any],
    later: Callable[[float], None],
    mark: str,
    way: Any,
) -> None:
    """New, changed, wrong, cancelled and labelled orders: both sides agree in the end."""
    setattr(sandbox, mark, way)
    extra["billing_address"] = BILLING
    kept, cancelled, wrong = factories.order(), factories.order(), factories.order()
    sandbox.reject_order(str(wrong.pk), {"order_details/order_items/0/quantity": "Input should be greater than 0"})
    push(sandbox)
    # It is changed, and cancelled before the change is seen saved.
    save(cancelled, address="Markt 2")
    push(sandbox, rounds=1)
    save(cancelled, status="cancelled")
    extra["billing_address"] = None
    save(kept, address="Markt 3")
    push(sandbox)
    (there,) = sandbox.orders()
    assert (there["order_id"], there["shipping_address"]["address_line_1"]) == (str(kept.pk), "Markt 3")
    assert "billing_address" not in there
    assert OutboxEntry.objects.get().error_fields.keys() == {"parcel_items[0].quantity"}
    (made,) = sandbox.create_label(str(kept.pk))
    send_webhook(client, integration, {"action": "parcel_status_changed", "timestamp": 1_790_000_000, "parcel": made})
    apply.drain()
    names_it = mark != "v3_references" or way - {"external_shipment_id", "shipment_uuid"}
    assert (Parcel.objects.get().shipment is not None) is bool(names_it), "otherwise it waits for an operator"
    later(3600)
    for _ in range(2):
        run = compare(integration)
        assert (run.stale, run.undeleted, run.orphaned, run.unknown) == (0, 0, 0, 0)


# -- settings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_set", [False, True])
@pytest.mark.parametrize("takes_it", [False, True])
def test_other_currency_follows_setting(
    integration: Integration,
    sandbox: Any,
    extra: dict[str, Any],
    sendcloud_settings: Any,
    is_set: bool,
    takes_it: bool,
) -> None:
    """Without the setting it is rejected here; with it, Sendcloud decides, and the field is named as well."""
    sendcloud_settings(ANY_CURRENCY=is_set)
    sandbox.any_currency = takes_it
    extra["currency"] = OtherCurrency("SEK")
    factories.order()
    push(sandbox)
    assert len(sandbox.orders()) == (is_set and takes_it)
    assert sandbox.count("POST") == int(is_set)
    if not (is_set and takes_it):
        entry = OutboxEntry.objects.get()
        assert (entry.state, entry.error_code) == (EntryState.REJECTED, "rejected" if is_set else "payload_invalid")
        assert "currency" in entry.error_fields


@pytest.mark.parametrize(("is_set", "state"), [(True, "IT-RM"), (False, "RM")])
def test_state_follows_setting(
    integration: Integration, sandbox: Any, extra: dict[str, Any], sendcloud_settings: Any, is_set: bool, state: str
) -> None:
    sendcloud_settings(PREFIX_STATES=is_set)
    extra.update(country="IT", to_state="RM", postal_code="00118")
    factories.order()
    push(sandbox)
    assert sandbox.orders()[0]["shipping_address"]["state_province_code"] == state


def test_order_is_confirmed_after_confirm_seconds(
    integration: Integration, sandbox: Any, sendcloud_settings: Any, later: Callable[[float], None]
) -> None:
    sendcloud_settings(CONFIRM_SECONDS=7.0, SAVE_SECONDS=40.0)
    sandbox.lose_orders(1)
    factories.order()
    later(1)
    push_due()
    later(6)
    push_due()
    assert sandbox.count("GET") == 0
    later(2)
    push_due()
    assert sandbox.count("GET") == 2, "the list, and the order itself"
    later(40)
    push_due()
    later(60)
    push_due()
    assert sandbox.count("POST") == 2, "not saved within 40 seconds: pushed again"


# -- bad input ------------------------------------------------------------------------------------------------


WRONG = {
    "order_details/order_items/0/quantity": "parcel_items[0].quantity",
    "shipping_address/postal_code": "postal_code",
    "payment_details/total_price/currency": "currency",
}


def test_three_wrong_of_hundred_are_shown(integration: Integration, sandbox: Any, admin_client: Client) -> None:
    """97 are accepted with one request more; each of the three names its field to the operator."""
    customer = factories.customer()
    made = [factories.order(customer=customer) for _ in range(100)]
    for order, path in zip(made[::40], WRONG, strict=True):
        sandbox.reject_order(str(order.pk), {path: "Input should be valid"})
    push(sandbox)
    assert len(sandbox.orders()) == 97
    assert sandbox.count("POST") == 2
    assert Shipment.objects.filter(status=ShipmentStatus.SYNCED).count() == 97
    entries = {entry.order_pk: entry for entry in OutboxEntry.objects.all()}
    assert entries.keys() == {str(order.pk) for order in made[::40]}
    for order, ours in zip(made[::40], WRONG.values(), strict=True):
        entry = entries[str(order.pk)]
        assert (entry.state, set(entry.error_fields)) == (EntryState.REJECTED, {ours})
        page = admin_client.get(reverse("admin:django_sendcloud_outboxentry_change", args=[entry.pk]))
        assert "Input should be valid" in page.content.decode()
        assert "Saving sends it again" in page.content.decode()


NOT_CARRIED = {
    "incomplete dimension": ({"length": Decimal(10), "width": Decimal(5)}, "dimensions_incomplete"),
    "documents": ({"customs_shipment_type": 1}, "documents_not_sent"),
    "post number": ({"to_post_number": "12345"}, "post_number_moved"),
}


@pytest.mark.parametrize("case", NOT_CARRIED)
def test_part_that_v3_lacks_is_noted(
    integration: Integration, sandbox: Any, extra: dict[str, Any], admin_client: Client, case: str
) -> None:
    """The order arrives without it, or with it in another place, and the preview says so."""
    fields, code = NOT_CARRIED[case]
    extra.update(fields)
    order = factories.order()
    push(sandbox)
    (there,) = sandbox.orders()
    assert not v3.left_in(
        there, ["shipping_details.measurement.dimension", "customs_details.shipment_type", "service_point_details"]
    )
    assert there["shipping_address"].get("po_box") == fields.get("to_post_number")
    (payload,) = ShopOrder().get_shipments(order)
    note = next(note for note in preflight(payload) if note.code == code)
    page = admin_client.get(
        reverse("admin:django_sendcloud_shipment_payload", args=[Shipment.objects.get().pk]), follow=True
    )
    assert describe(note.violation) in html.unescape(page.content.decode())
