"""Sendcloud in the shop's own order admin."""

from __future__ import annotations

import datetime as dt
import io
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse
from django.utils import timezone
from pypdf import PdfReader

from django_sendcloud import NotShippable, OrderAdapter
from django_sendcloud.admin.orders import mixin
from django_sendcloud.admin.orders.state import OrderStateFilter, can_filter, ref_of, states_of
from django_sendcloud.models import Integration, OutboxEntry, Parcel, ParcelStatus, PauseReason, Shipment
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.problems import Problem, columns_of
from django_sendcloud.testing import drain
from tests import factories
from tests.parcels.test_labels import parcels as parcels  # a fixture
from tests.shop.models import Customer, Order, OrderProxy, Tag, WholesaleOrder
from tests.shop.sendcloud import ShopOrder

from .conftest import OPERATE, VIEW, Data, client_with

SEE = [f"view_{name}" for name in VIEW]
ORDERS = ["view_order", "view_orderproxy", "view_wholesaleorder", "view_customer"]


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """Return a client that may see the shop's orders and the named models."""
    numbers = itertools.count()

    def log_in(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff-{next(numbers)}", is_staff=True)
        return client_with(user, *ORDERS, *codenames)

    return log_in


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


def listing(client: Client, model: str = "order", **query: Any) -> Any:
    response = client.get(reverse(f"backoffice:shop_{model}_changelist"), query)
    assert response.status_code == 200
    return response


def change_page(client: Client, order: Any, model: str = "order", **query: Any) -> str:
    response = client.get(reverse(f"backoffice:shop_{model}_change", args=[order.pk]), query)
    assert response.status_code == 200
    return str(response.content.decode())


def press(client: Client, order: Any, name: str, model: str = "order", **options: Any) -> Any:
    return client.post(reverse(f"backoffice:shop_{model}_sendcloud", args=[order.pk, name]), **options)


def select(client: Client, action: str, *orders: Any, model: str = "order", **more: Any) -> Any:
    """Run an action of the list and confirm it."""
    url = reverse(f"backoffice:shop_{model}_changelist")
    chosen = {"action": action, "_selected_action": [order.pk for order in orders], "confirmed": "yes"}
    return client.post(url, {**chosen, **more})


def shipment(integration: Integration, order: Any, kind: str = "shop.order", **values: Any) -> Shipment:
    key = str(order.pk)
    given = {"order_number": "N", "external_order_id": key, "external_shipment_id": key, "status": "synced"} | values
    return Shipment.objects.create(integration=integration, order_type=kind, order_pk=key, **given)


# -- the list --------------------------------------------------------------------------------------------


def test_order_list_shows_state_and_parcel(boss: Client, data: Data) -> None:
    for number, values in enumerate(({}, {"is_return": True})):
        Parcel.objects.create(
            integration=data.integration, shipment=data.shipment, remote_id=80 + number, tracking_number=f"NEW{number}",
            tracking_url=f"https://tracking.example/NEW{number}", **values,
        )  # fmt: skip
    html = listing(boss).content.decode()
    assert "Fix needed" in html
    assert 'href="https://tracking.example/NEW0"' in html, "the newest one that goes to the buyer"
    assert "NEW1" not in html
    assert "3SCANAL1" not in html
    assert "django_sendcloud/admin.css" in html


@pytest.mark.long
@pytest.mark.parametrize("model", ["order", "orderproxy"])
def test_order_list_takes_constant_queries(model: str, boss: Client, data: Data) -> None:
    def add(number: int) -> None:
        for n in range(number):
            order = factories.order(customer=data.order.customer)
            rejected = shipment(data.integration, order, status="rejected")
            factories.outbox().filter(order_pk=order.pk).update(integration=data.integration, error_code="rejected")
            Parcel.objects.create(
                integration=data.integration, shipment=rejected, remote_id=1000 + 10 * Parcel.objects.count() + n,
                tracking_number=f"T{n}",
            )  # fmt: skip
        factories.outbox()

    add(1)
    listing(boss, model)
    with _counted() as few:
        assert len(listing(boss, model).context["cl"].result_list) == 2
    add(98)
    with _counted() as many:
        response = listing(boss, model)
    assert len(response.context["cl"].result_list) == 100
    assert len(many) == len(few)
    ours = [query["sql"] for query in many if "django_sendcloud_" in query["sql"] and "EXISTS" not in query["sql"]]
    assert len(ours) == 7, "recorded changes, outbox, shipments, parcels; health: alerts, integrations and outbox"


def _counted() -> CaptureQueriesContext:
    return CaptureQueriesContext(connection)


KINDS = ["synced", "waiting", "rejected", "absent"]
ENTRIES = [None, "pending", "rejected", "dead"]
STATUSES = ["pending", "synced", "rejected", "deleted"]
SHIPMENT_STATUSES = [(), *itertools.combinations(STATUSES, 1), *itertools.combinations(STATUSES, 2), tuple(STATUSES)]


class CustomerAdapter(OrderAdapter[Customer]):
    auto = False


@pytest.fixture(params=["order", "orderproxy", "wholesaleorder", "customer"])
def every_state(request: Any, connected: Integration) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Return an order in every state of the tables: its model, type, and the orders by key."""
    name = request.param
    kind = "shop.customer" if name == "customer" else "shop.order"
    orders = {}
    with temporarily_registered(CustomerAdapter, Customer):
        for entry, statuses in itertools.product(ENTRIES, SHIPMENT_STATUSES):
            customer = factories.customer()
            if name == "customer":
                order: Any = customer
            elif name == "wholesaleorder":
                order = WholesaleOrder.objects.create(number="W", customer=customer)
            else:
                order = factories.order(lines=0, customer=customer)
            factories.clear_outbox() if not orders else None
            factories.outbox().filter(order_pk=str(order.pk)).delete()
            for number, status in enumerate(statuses):
                shipment(connected, order, kind, external_shipment_id=str(number), status=status)
            if entry:
                OutboxEntry.objects.create(order_type=kind, order_pk=str(order.pk), state=entry)
            orders[str(order.pk)] = order
        # Rows of another order type with the same key do not count.
        for key in list(orders)[:3]:
            OutboxEntry.objects.create(order_type="shop.other", order_pk=key, state="dead")
        yield name, kind, orders


@pytest.mark.long
def test_order_filter_matches_column(boss: Client, every_state: tuple[str, str, dict[str, Any]]) -> None:
    name, kind, orders = every_state
    found = {
        value: {str(row.pk) for row in listing(boss, name, sendcloud_state=value, all="").context["cl"].result_list}
        for value in KINDS
    }
    states = states_of(kind, orders, with_parcels=False)
    assert found == {value: {key for key, state in states.items() if state.kind == value} for value in KINDS}
    assert all(found.values())
    assert sum(map(len, found.values())) == len(orders)


@pytest.mark.parametrize(
    ("entry", "statuses", "word"),
    [
        (None, (), "Not sent"),
        (None, ("synced",), "Sent"),
        (None, ("synced", "deleted"), "Sent"),
        (None, ("deleted",), "Removed"),
        (None, ("synced", "rejected"), "Fix needed"),
        (None, ("synced", "pending"), "Waiting"),
        ("pending", ("synced",), "Waiting"),
        ("rejected", ("synced",), "Fix needed"),
        ("dead", (), "Stopped"),
    ],
)
def test_order_column_shows_words(
    boss: Client, connected: Integration, entry: str | None, statuses: tuple[str, ...], word: str
) -> None:
    order = factories.order()
    factories.clear_outbox()
    for number, status in enumerate(statuses):
        shipment(connected, order, external_shipment_id=str(number), status=status)
    if entry:
        OutboxEntry.objects.create(order_type="shop.order", order_pk=str(order.pk), state=entry)
    page = listing(boss).content.decode()
    assert f"</span> {word}</span>" in page
    assert page.count("sc-badge ") == 1


def test_order_filter_supports_text_keys(boss: Client, connected: Integration) -> None:
    class SessionAdapter(OrderAdapter[Session]):
        auto = False

    Session.objects.all().delete()
    for number, (entry, status) in enumerate([("pending", None), (None, "synced"), ("dead", "synced"), (None, None)]):
        session = Session.objects.create(session_key=f"Key-{number}", expire_date=timezone.now())
        if status:
            shipment(connected, session, "sessions.session", status=status)
        if entry:
            OutboxEntry.objects.create(order_type="sessions.session", order_pk=session.pk, state=entry)
    with temporarily_registered(SessionAdapter, Session):
        found = [
            [session.pk for session in OrderStateFilter(HttpRequest(), {"sendcloud_state": [kind]}, Session, boss).queryset(
                HttpRequest(), Session.objects.all())] for kind in KINDS
        ]  # fmt: skip
    assert found == [["Key-1"], ["Key-0"], ["Key-2"], ["Key-3"]]


def test_other_database_has_column_without_filter(boss: Client, data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_filter(Order)
    monkeypatch.setattr("django.db.router.db_for_read", lambda model, **hints: "elsewhere")
    assert not can_filter(Order)
    monkeypatch.undo()
    monkeypatch.setattr("django_sendcloud.admin.orders.mixin.can_filter", lambda model: False)
    response = listing(boss)
    assert response.context["cl"].filter_specs == []
    assert "Fix needed" in response.content.decode()


def test_unknown_filter_value_shows_all(boss: Client, data: Data) -> None:
    assert len(listing(boss, sendcloud_state="nonsense").context["cl"].result_list) == 1


# -- the shop's own settings ------------------------------------------------------------------------------


@pytest.mark.long
def test_mixin_keeps_shop_settings(boss: Client, data: Data) -> None:
    response = listing(boss, "orderproxy")
    html = response.content.decode()
    changes = response.context["cl"]
    assert changes.list_display == ["action_checkbox", "number", "sendcloud_state", "shouted", "status", "city"]
    assert [spec.title for spec in changes.filter_specs] == ["status", "Sendcloud", "delivery"]
    assert [name for name, _ in response.context["action_form"].fields["action"].choices][1:] == [
        "delete_selected", "cancel", "sendcloud_push", "sendcloud_labels",
    ]  # fmt: skip
    assert "shop/own.css" in html
    assert "admin/js/core.js" in html
    assert "django_sendcloud/admin.css" in html
    assert f"{data.order.number.upper()}!" in html
    assert "Fix needed or stopped (1)" in html, "the filter counts, where the shop wants counts"
    assert boss.get("/backoffice/shop/orderproxy/own-page/").status_code == 200


def test_panel_extends_shop_template(boss: Client, data: Data) -> None:
    html = change_page(boss, data.order, "orderproxy")
    assert "The shop's own words above" in html
    assert "The shop's own words below" in html
    assert "Mine alone" in html
    assert "Sendcloud rejected the order" in html
    assert html.count('id="sc-order-title"') == 1


@pytest.mark.long
def test_mixin_keeps_list_editable(boss: Client, data: Data) -> None:
    url = reverse("backoffice:shop_orderproxy_changelist")
    form = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": data.order.pk, "_save": "Save"}
    assert boss.post(url, {**form, "form-0-status": "cancelled"}).status_code == 302
    assert Order.objects.get().status == "cancelled"
    wrong = boss.post(url, {**form, "form-0-status": "x" * 21})
    assert wrong.status_code == 200
    assert "waiting" in wrong.content.decode(), "the column is there also where the list is shown again with errors"


@pytest.mark.long
def test_mixin_keeps_disabled_actions(boss: Client, connected: Integration) -> None:
    order = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    response = listing(boss, "wholesaleorder")
    assert response.context["action_form"] is None
    assert "waiting" in response.content.decode()
    html = change_page(boss, order, "wholesaleorder")
    assert "shop/own.js" in html
    assert "django_sendcloud/admin.css" in html
    assert 'name="_sendcloud_push"' in html


def test_mixin_respects_hidden_orders(boss: Client, connected: Integration) -> None:
    hidden = factories.order(number="HIDDEN-1")
    factories.clear_outbox()
    assert press(boss, hidden, "sendcloud_push", "orderproxy").status_code == 404
    select(boss, "sendcloud_push", hidden, model="orderproxy")
    assert not factories.outbox().exists()


def test_order_without_adapter_offers_nothing(boss: Client, connected: Integration) -> None:
    customer = factories.customer()
    html = change_page(boss, customer, "customer")
    assert "The shop has no adapter for this kind of order" in html
    assert "sendcloud_push" not in html
    response = listing(boss, "customer")
    assert "sendcloud_push" not in response.content.decode()
    assert response.context["cl"].filter_specs == []
    assert press(boss, customer, "sendcloud_push", "customer").status_code == 404


# -- the change page ---------------------------------------------------------------------------------------


def test_panel_shows_problem_advice_and_parcels(boss: Client, data: Data) -> None:
    html = change_page(boss, data.order)
    assert "Fix needed" in html
    assert "Sendcloud rejected the order" in html
    assert "Order line 2, weight of one piece" in html
    assert "This is 0, and must be at least 0.001 kg." in html
    assert "What to do:" in html
    assert "3SCANAL1" in html
    assert html.index("En route to sorting center") < html.index(">Announced "), "the newest step first"
    for name in ("shipment", "outboxentry", "parcel"):
        url = reverse(f"backoffice:django_sendcloud_{name}_change", args=[data.objects[name].pk])
        assert f'href="{url}"' in html, name
    assert f'href="{reverse("backoffice:django_sendcloud_shipment_payload", args=[data.shipment.pk])}"' in html
    assert 'href="https://tracking.example/3SCANAL1"' in html
    assert '<option value="sendcloud_push"' not in html, "it has a button"


@pytest.mark.long
def test_panel_takes_constant_queries(boss: Client, data: Data) -> None:
    change_page(boss, data.order)
    with _counted() as few:
        change_page(boss, data.order)
    for n in range(5):
        more = shipment(data.integration, data.order, external_shipment_id=f"more-{n}")
        parcel = Parcel.objects.create(integration=data.integration, shipment=more, remote_id=500 + n)
        for step in range(5):
            ParcelStatus.objects.create(parcel=parcel, status_id=step, event_ms=step, at=timezone.now())
    with _counted() as many:
        html = change_page(boss, data.order)
    assert len(many) == len(few)
    assert html.count("What would be sent now: ") == 6


@pytest.mark.parametrize("known", [True, False], ids=["known for whom", "not yet known for whom"])
@pytest.mark.long
def test_order_of_paused_integration_says_so(known: bool, boss: Client, data: Data) -> None:
    waits_for = data.integration if known else None
    factories.outbox().update(state="pending", integration=waits_for, **columns_of(None))
    html = change_page(boss, data.order)
    assert "To be sent: now." in html
    assert "Sendcloud rejects the API keys" not in html
    data.integration.pause(PauseReason.CREDENTIALS)
    html = change_page(boss, data.order)
    assert f"{data.integration}: Sendcloud rejects the API keys" in html
    assert "Copy both keys from" in html
    assert "To be sent" not in html
    Integration.objects.update(is_active=known)
    assert ("Sendcloud rejects the API keys" in change_page(boss, data.order)) == known


def test_list_can_place_column(boss: Client, connected: Integration) -> None:
    assert listing(boss, "wholesaleorder").context["cl"].list_display == ["number", "status", "sendcloud_state"]


def test_refused_shipment_without_entry_is_explained(boss: Client, data: Data) -> None:
    data.entry.delete()
    html = change_page(boss, data.order)
    assert "This is 0, and must be at least 0.001 kg." in html
    assert "Sendcloud rejected the order" in html


def test_waiting_order_shows_due_time(boss: Client, connected: Integration) -> None:
    order = factories.order()
    later = timezone.now() + dt.timedelta(minutes=30, seconds=30)
    factories.outbox().update(due_at=later, not_before=later)
    html = change_page(boss, order)
    assert "To be sent:" in html
    assert "in 30\xa0minutes" in html
    payload = reverse("backoffice:django_sendcloud_outboxentry_payload", args=[factories.outbox().get().pk])
    assert f'href="{payload}"' in html, "nothing was pushed yet, so the entry shows what will be"


def test_panel_is_absent_on_add_and_popup(boss: Client, data: Data) -> None:
    new = boss.get(reverse("backoffice:shop_order_add"))
    assert new.status_code == 200
    assert b"sc-order-title" not in new.content
    assert "sc-order-title" not in change_page(boss, data.order, _popup=1)


@pytest.mark.long
def test_script_url_is_no_link(boss: Client, data: Data) -> None:
    Parcel.objects.update(tracking_url="javascript:alert(1)", tracking_number="<b>bold</b>")
    for html in (change_page(boss, data.order), listing(boss).content.decode()):
        assert "javascript:alert" not in html
        assert "<b>bold</b>" not in html
        assert "&lt;b&gt;bold" in html


# -- actions ----------------------------------------------------------------------------------------------


@pytest.mark.long
def test_order_push_sends_unchanged_order(boss: Client, integration: Integration, sandbox: Any) -> None:
    order, other = factories.order(), factories.order()
    drain()
    sent = sandbox.count("POST", "/shipments")
    drain()
    assert sandbox.count("POST", "/shipments") == sent
    response = press(boss, order, "sendcloud_push")
    assert response["Location"] == reverse("backoffice:shop_order_change", args=[order.pk])
    drain()
    assert sandbox.count("POST", "/shipments") == sent + 1
    select(boss, "sendcloud_push", order, other)
    drain()
    assert sandbox.count("POST", "/shipments") == sent + 2
    assert sorted(LogEntry.objects.values_list("object_id", "change_message")) == sorted(
        (str(each.pk), "Pushed to Sendcloud.") for each in (order, order, other)
    )
    assert "2 orders are being pushed." in listing(boss).content.decode()


def test_order_push_revives_dead_order(boss: Client, data: Data) -> None:
    factories.outbox().update(state="dead", failures=9, attempts=9, due_at=timezone.now() + dt.timedelta(days=9))
    press(boss, data.order, "sendcloud_push", "orderproxy")
    entry = factories.outbox().get()
    assert (entry.state, entry.failures, entry.attempts) == ("pending", 0, 0)
    assert entry.due_at <= timezone.now()


@pytest.mark.long
def test_order_labels_open_as_one_document(boss: Client, parcels: list[Parcel]) -> None:
    orders = [parcel.shipment.order() for parcel in parcels if parcel.shipment]
    unique = list({order.pk: order for order in orders if order}.values())
    answer = select(boss, "sendcloud_labels", *unique)
    assert answer["Content-Type"] == "application/pdf"
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == len(parcels)
    logged = set(LogEntry.objects.filter(content_type__model="order").values_list("object_id", flat=True))
    assert logged == {str(order.pk) for order in unique}
    Parcel.objects.update(printed_at=None)  # printing again asks first: test_labels.py
    sheets = select(boss, "sendcloud_labels", *unique, layout="a4_1")
    assert len(PdfReader(io.BytesIO(sheets.content)).pages) == 2
    html = change_page(boss, unique[0])
    assert "/sendcloud/sendcloud_labels/" in html
    Parcel.objects.update(printed_at=None)
    assert press(boss, unique[0], "sendcloud_labels")["Content-Type"] == "application/pdf"


def test_order_labels_fetch_outside_transactions(data: Data) -> None:
    url = reverse("backoffice:shop_order_sendcloud", args=[data.order.pk, "sendcloud_labels"])
    assert "default" in resolve(url).func._non_atomic_requests  # type: ignore[attr-defined]


@pytest.mark.long
def test_order_labels_exclude_returns_and_cancelled(boss: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.filter(pk__lte=parcels[2].pk).update(phase="cancelled")
    Parcel.objects.filter(pk__gt=parcels[2].pk).update(is_return=True)
    orders = list(Order.objects.all())
    assert select(boss, "sendcloud_labels", *orders).status_code == 302
    assert "There is no label yet" in listing(boss).content.decode()
    assert "/sendcloud/sendcloud_labels/" not in change_page(boss, orders[0])
    assert not LogEntry.objects.exists()


def form_of(order: Order, **values: Any) -> dict[str, Any]:
    """Return the posted fields of an order's change form."""
    names = [field.name for field in Order._meta.fields if field.editable and not field.primary_key]
    sent = {name: getattr(order, Order._meta.get_field(name).attname) for name in names}
    return {name: value for name, value in sent.items() if value is not None} | values


def save_and_push(client: Client, order: Order, **values: Any) -> Any:
    url = reverse("backoffice:shop_order_change", args=[order.pk])
    return client.post(url, form_of(order, _sendcloud_push="1", **values))


@pytest.mark.long
def test_save_and_push_saves_edits(boss: Client, integration: Integration, sandbox: Any) -> None:
    order = factories.order(country="XX")
    drain()
    assert sandbox.shipment(str(order.pk)) is None
    html = change_page(boss, order)
    assert '<button type="submit" form="order_form" name="_sendcloud_push"' in html
    assert 'id="order_form"' in html
    assert reverse("backoffice:shop_order_sendcloud", args=[order.pk, "sendcloud_push"]) not in html, "it would lose it"
    response = save_and_push(boss, order, country="NL")
    assert response["Location"] == reverse("backoffice:shop_order_change", args=[order.pk]), "the page is shown again"
    order.refresh_from_db()
    assert order.country == "NL"
    drain()
    assert sandbox.shipment(str(order.pk))["country"] == "NL"
    said = change_page(boss, order)
    assert "was changed successfully" in said
    assert "1 order is being pushed." in said
    assert "Pushed to Sendcloud." in LogEntry.objects.values_list("change_message", flat=True)


def test_save_and_push_sends_unchanged_order(boss: Client, integration: Integration, sandbox: Any) -> None:
    order = factories.order()
    drain()
    sent = sandbox.count("POST", "/shipments")
    save_and_push(boss, order)
    drain()
    assert sandbox.count("POST", "/shipments") == sent + 1


def test_invalid_order_is_not_pushed(boss: Client, data: Data) -> None:
    response = save_and_push(boss, data.order, number="")
    assert response.status_code == 200
    assert "This field is required." in response.content.decode()
    assert factories.outbox().get().state == "rejected"
    assert not LogEntry.objects.exists()


def test_save_without_push_permission_saves_only(staff: Callable[..., Client], data: Data) -> None:
    client = staff(*SEE, "change_order")
    assert "_sendcloud_push" not in change_page(client, data.order)
    save_and_push(client, data.order, city="Utrecht")
    data.order.refresh_from_db()
    assert data.order.city == "Utrecht"
    assert "Pushed to Sendcloud." not in LogEntry.objects.values_list("change_message", flat=True)


def test_viewer_has_plain_push_button(staff: Callable[..., Client], data: Data) -> None:
    html = change_page(staff(*SEE, "push_order"), data.order)
    assert reverse("backoffice:shop_order_sendcloud", args=[data.order.pk, "sendcloud_push"]) in html
    assert "_sendcloud_push" not in html


@pytest.mark.long
def test_list_push_asks_with_number(boss: Client, data: Data) -> None:
    url = reverse("backoffice:shop_order_changelist")
    page = boss.post(url, {"action": "sendcloud_push", "_selected_action": [data.order.pk]})
    assert page.context["title"] == "Push 1 order to Sendcloud"
    assert "as it is saved" in page.content.decode()
    assert factories.outbox().get().state == "rejected"
    assert 'href="/backoffice/shop/order/"' in page.content.decode()


def test_order_page_needs_no_inline_script(boss: Client, data: Data) -> None:
    html = change_page(boss, data.order)
    begin = html.index('aria-labelledby="sc-order-title"')
    ours = html[begin : html.index('id="order_form"')]
    assert "<script" not in ours
    assert not re.search(r"\son\w+=", ours)


def test_dead_order_panel_promises_no_retry(boss: Client, data: Data) -> None:
    factories.outbox().update(state="dead", **columns_of(Problem("server_error")))
    html = change_page(boss, data.order)
    assert "Stopped after many attempts" in html
    assert "retried automatically, at growing intervals" not in html


@pytest.mark.long
def test_panel_adapter_error_needs_payload_permission(staff: Callable[..., Client], data: Data) -> None:
    factories.outbox().update(**columns_of(Problem("adapter_error", "KeyError: canary@example.com")))
    html = change_page(staff(*SEE), data.order)
    assert "canary@" not in html
    assert "The technical details are shown to users who may see what is sent" in html
    assert "canary@" in change_page(staff(*SEE, "view_payload"), data.order)


# -- permissions ------------------------------------------------------------------------------------------


@pytest.mark.long
def test_order_viewer_sees_no_sendcloud(staff: Callable[..., Client], data: Data) -> None:
    for client in (staff(), staff("view_shipment"), staff("view_outboxentry", "view_parcel")):
        response = listing(client)
        assert "sendcloud_state" not in response.context["cl"].list_display
        assert response.context["cl"].filter_specs == []
        assert "sc-badge" not in response.content.decode()
        assert "sendcloud_push" not in response.content.decode()
        html = change_page(client, data.order)
        assert "sc-panel" not in html
        assert "3SCANAL1" not in html
        assert "Sendcloud refused" not in html
        asked = client.get(reverse("backoffice:shop_order_changelist"), {"sendcloud_state": "absent"})
        assert asked["Location"].endswith("?e=1"), "there is no such filter"


@pytest.mark.long
def test_panel_parcels_need_permission(staff: Callable[..., Client], data: Data) -> None:
    without, with_ = staff("view_shipment", "view_outboxentry"), staff(*SEE)
    assert "3SCANAL1" not in listing(without).content.decode() + change_page(without, data.order)
    assert "Fix needed" in listing(without).content.decode()
    assert "3SCANAL1" in listing(with_).content.decode()
    assert "3SCANAL1" in change_page(with_, data.order)


@pytest.mark.long
def test_payload_link_needs_permission(staff: Callable[..., Client], data: Data) -> None:
    url = reverse("backoffice:django_sendcloud_shipment_payload", args=[data.shipment.pk])
    assert url not in change_page(staff(*SEE), data.order)
    assert url in change_page(staff(*SEE, "view_payload"), data.order)


@pytest.mark.parametrize("name", ["sendcloud_push", "sendcloud_labels"])
@pytest.mark.long
def test_order_button_needs_permission(
    name: str, staff: Callable[..., Client], data: Data, as_role: Callable[[str], Client]
) -> None:
    Parcel.objects.update(labels={"label_printer": "https://panel.example/label.pdf"})
    url = reverse("backoffice:shop_order_sendcloud", args=[data.order.pk, name])
    allowed = {"sendcloud_push": "push_order", "sendcloud_labels": "print_label"}[name]
    others = [p for p in (*SEE, *OPERATE, "print_label", "view_payload") if p != allowed]
    client = staff(*others)
    assert url not in change_page(client, data.order)
    assert client.post(url).status_code == 403
    select(client, name, data.order)
    assert as_role("staff").post(url).status_code == 403, "who may not see the order"
    assert as_role("anonymous").post(url)["Location"].startswith("/backoffice/login/")
    permitted = staff(*others, allowed)
    assert url in change_page(permitted, data.order)
    assert permitted.get(url).status_code == 405
    permitted.handler.enforce_csrf_checks = True
    assert permitted.post(url).status_code == 403
    assert factories.outbox().get().state == "rejected", "nothing happened"
    assert not LogEntry.objects.exists()


def test_push_without_view_reveals_nothing(as_role: Callable[..., Client], data: Data) -> None:
    client = as_role("staff", "push_order")
    assert press(client, data.order, "sendcloud_push").status_code == 403
    assert press(client, Tag(pk="00000000-0000-0000-0000-000000000000"), "sendcloud_push").status_code == 403


def test_undefined_order_button_returns_404(boss: Client, data: Data) -> None:
    assert press(boss, data.order, "delete_everything").status_code == 404
    assert press(boss, Tag(pk="00000000-0000-0000-0000-000000000000"), "sendcloud_push").status_code == 404
    assert OrderProxy.objects.count() == 1


@pytest.mark.django_db(databases=["default", "elsewhere"])
def test_order_of_other_database_stands_alone(integration: Any) -> None:
    """Its key is the same as another order's."""
    order = factories.order()
    other = Order(pk=order.pk, number="THERE", customer_id=order.customer_id)
    other._state.db = "elsewhere"
    Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk=str(order.pk), external_order_id="1",
        external_shipment_id="1", status="synced",
    )  # fmt: skip
    page = mixin._OrdersOnAPage([order, other], with_parcels=False)
    assert [len(page.states[ref_of(each)].shipments) for each in (order, other)] == [1, 0]


@pytest.mark.long
def test_unsent_order_says_why_and_stays(boss: Client, connected: Integration) -> None:
    """A cancelled order names the reason, and a push leaves it out and says so."""
    unpaid = factories.order(status="cancelled")
    factories.clear_outbox()
    html = change_page(boss, unpaid)
    assert "Not sent" in html
    assert "It is sent automatically as soon as" in html
    select(boss, "sendcloud_push", unpaid)
    page = listing(boss).content.decode()
    assert "1 order is left out:" in page
    assert "being pushed" not in page
    assert not factories.outbox().exists()
    paid = factories.order()
    factories.clear_outbox()
    assert "No change of this order has been recorded" in change_page(boss, paid)


@pytest.mark.long
@pytest.mark.parametrize(
    ("answer", "shipments", "reason"),
    [
        (False, 1, "The order is not to be shipped now"),
        (NotShippable("unpaid", "The order is not paid."), 1, "The order is not paid."),
        (None, 1, "The shop leaves this order alone"),
        (True, 0, "Nothing in the order is to be shipped."),
    ],
    ids=["not shippable", "unpaid", "left alone", "digital"],
)
def test_push_leaves_out_with_reason(
    boss: Client, connected: Integration, monkeypatch: pytest.MonkeyPatch, answer: Any, shipments: int, reason: str
) -> None:
    order = factories.order(shipments=shipments)
    factories.clear_outbox()
    monkeypatch.setattr(ShopOrder, "is_shippable", lambda self, order: answer)
    assert reason in change_page(boss, order)
    select(boss, "sendcloud_push", order)
    page = listing(boss).content.decode()
    assert f"1 order is left out: {reason.rstrip('.')}." in page
    assert "being pushed" not in page
    assert not factories.outbox().exists()


def test_invalid_order_can_be_pushed(boss: Client, connected: Integration) -> None:
    order = factories.order(country="XX")
    factories.clear_outbox()
    assert "Push it to find out what is wrong with it." in change_page(boss, order)
    select(boss, "sendcloud_push", order)
    assert "1 order is being pushed." in listing(boss).content.decode()
    assert factories.outbox().exists()
