"""Preview of orders: the command, the page, and the function for a checkout."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from django_sendcloud import preview_order
from django_sendcloud.models import Change, Integration, OutboxEntry, Parcel, Shipment
from django_sendcloud.registry import temporarily_registered
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders(integration: Integration) -> dict[str, Order]:
    """Make a good order, an invalid one, one with advice, and one that is not to be sent yet."""
    made = {
        "good": factories.order(number="GOOD"),
        "bad": factories.order(number="BAD", country="XX"),
        "us": factories.order(number="US-1", country="US", postal_code="10001"),
        "later": factories.order(number="LATER", status="cancelled", country="XX"),
    }
    factories.clear_outbox()
    return made


def run(*arguments: str) -> tuple[str, int]:
    out = io.StringIO()
    try:
        call_command("sendcloud_preview", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(str(end.code))
    return out.getvalue(), 0


def test_command_names_rejections_and_advice(orders: dict[str, Order], sandbox: Any) -> None:
    text, code = run("--all")
    assert code == 1
    assert "4 orders examined: 2 would be rejected, 1 with advice." in text
    assert "BAD\n  would be rejected: country" in text
    assert "LATER (not to be sent yet)\n  would be rejected: country" in text
    assert "US-1\n" in text
    assert "advice: to_state" in text
    assert "GOOD" not in text
    assert sandbox.requests == []
    assert not Change.objects.exists()
    assert not OutboxEntry.objects.exists()


def test_command_examines_chosen_orders(orders: dict[str, Order]) -> None:
    assert run("--pk", str(orders["good"].pk)) == ("1 orders examined: 0 would be rejected, 0 with advice.\n", 0)
    text, code = run("--filter", "country=US")
    assert (code, "US-1" in text) == (0, True)


def test_command_prints_json_lines(orders: dict[str, Order]) -> None:
    text, code = run("--all", "--json")
    rows = {row["order"]: row for row in map(json.loads, text.splitlines())}
    assert code == 1
    assert rows["GOOD"]["notes"] == []
    assert rows["BAD"]["rejected"]
    assert rows["US-1"]["notes"][0]["level"] == "advice"


def test_command_rejects_unknown_key(orders: dict[str, Order]) -> None:
    """To monitors, exit code 0 would mean that the order is fine."""
    with pytest.raises(CommandError, match="no order has this key"):
        call_command("sendcloud_preview", "--pk", "00000000-0000-0000-0000-000000000000")


def test_command_needs_a_selection(orders: dict[str, Order]) -> None:
    with pytest.raises(CommandError, match="Say which orders"):
        run()
    with pytest.raises(CommandError, match="--ships-from XX"):
        run("--all", "--ships-from", "XX")


def test_origin_changes_the_advice(orders: dict[str, Order]) -> None:
    assert "hs_code" not in run("--filter", "country=US", "--ships-from", "us")[0]
    assert "hs_code" in run("--filter", "country=US", "--ships-from", "nl")[0]


def test_failing_adapter_is_a_rejection_without_data(orders: dict[str, Order]) -> None:
    class Failing(ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            raise ValueError("canary@example.com")

    with temporarily_registered(Failing, Order):
        text, code = run("--pk", str(orders["good"].pk))
        found = preview_order(orders["good"])
    assert code == 1
    assert "adapter_error: ValueError at" in text
    assert "canary" not in text
    assert found.is_rejected


def test_order_without_shipments_would_be_rejected(orders: dict[str, Order]) -> None:
    class Empty(ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            return []

    with temporarily_registered(Empty, Order):
        assert preview_order(orders["good"]).problem == "no_shipments"
        assert preview_order(orders["good"]).is_rejected


def test_checkout_gets_the_same_answer(orders: dict[str, Order], django_assert_max_num_queries: Any) -> None:
    with django_assert_max_num_queries(5):
        found = preview_order(orders["us"])
    assert not found.is_rejected
    assert {note.path for note in found.notes} >= {"to_state", "telephone"}
    assert preview_order(Order(number="NEW", customer=orders["us"].customer, country="XX")).is_rejected


def test_many_orders_take_few_statements(integration: Integration, django_assert_max_num_queries: Any) -> None:
    for _ in range(30):
        factories.order()
    with django_assert_max_num_queries(12):
        run("--all")


@pytest.mark.parametrize("partner_id", ["", "0b2a4c0e-6b7f-4b7e-9c55-2f3c7bb1a001"])
def test_preview_without_integration_expects_usual_generation(
    db: None, sendcloud_settings: Any, extra: dict[str, Any], partner_id: str
) -> None:
    """Before the shop is connected, an order is judged by the API that the keys will probably open."""
    sendcloud_settings(PARTNER_ID=partner_id)
    extra["notes"] = "Ring"
    found = preview_order(factories.order())
    assert found.problem == "no_integration"
    assert any(note.path == "notes" for note in found.notes) == bool(partner_id), "only v2 has no notes"


# -- the page -----------------------------------------------------------------------------------------

PAGE = "admin:django_sendcloud_overview_preflight"


@pytest.mark.long
def test_page_shows_orders_before_they_are_due(orders: dict[str, Order], sandbox: Any, log_in: Any) -> None:
    client: Client = log_in("operator", "view_order")
    page = client.get(reverse(PAGE)).content.decode()
    assert "2 orders would be rejected" in page
    assert "1 order with advice" in page
    assert "BAD" in page
    assert "GOOD" not in page
    assert sandbox.requests == []
    assert not OutboxEntry.objects.exists()


def test_page_leaves_labelled_orders_out(orders: dict[str, Order], integration: Integration, log_in: Any) -> None:
    shipment = Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk=str(orders["us"].pk), external_order_id="x"
    )
    Parcel.objects.create(integration=integration, shipment=shipment, remote_id=1)
    assert "US-1" not in log_in("superuser").get(reverse(PAGE)).content.decode()


def test_page_needs_permission_for_orders(orders: dict[str, Order], log_in: Any) -> None:
    assert "BAD" not in log_in("operator").get(reverse(PAGE)).content.decode()
    assert log_in("staff", "view_integration").get(reverse(PAGE)).status_code == 403


def test_overview_leads_to_the_tools(orders: dict[str, Order], log_in: Any) -> None:
    page = log_in("operator").get(reverse("admin:django_sendcloud_overview_changelist")).content.decode()
    assert reverse(PAGE) in page
    assert reverse("admin:django_sendcloud_overview_doctor") in page
    page = log_in("staff", "view_integration").get(reverse("admin:django_sendcloud_overview_changelist"))
    assert reverse(PAGE) not in page.content.decode()
