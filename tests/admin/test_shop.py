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
from django.contrib.auth.models import Permission, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse
from django.utils import timezone
from pypdf import PdfReader

from django_sendcloud import OrderAdapter
from django_sendcloud.adapters import temporarily_registered
from django_sendcloud.admin.order_state import OrderStateFilter, can_filter, states_of
from django_sendcloud.models import Integration, OutboxEntry, Parcel, ParcelStatus, PauseReason, Shipment
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Customer, Order, OrderProxy, Tag, WholesaleOrder
from tests.test_labels import parcels as parcels  # a fixture

from .conftest import OPERATE, VIEW, Data

pytestmark = pytest.mark.urls("tests.admin.backoffice")

SEE = [f"view_{name}" for name in VIEW]
ORDERS = ["view_order", "view_orderproxy", "view_wholesaleorder", "view_customer"]


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """A browser of somebody who may see the shop's orders, and what is named."""
    numbers = itertools.count()

    def log_in(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff-{next(numbers)}", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=[*ORDERS, *codenames]))
        client = Client()
        client.force_login(user)
        return client

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
    """Choose an action of the list, and confirm it."""
    url = reverse(f"backoffice:shop_{model}_changelist")
    chosen = {"action": action, "_selected_action": [order.pk for order in orders], "confirmed": "yes"}
    return client.post(url, {**chosen, **more})


def shipment(integration: Integration, order: Any, kind: str = "shop.order", **values: Any) -> Shipment:
    key = str(order.pk)
    given = {"order_number": "N", "external_order_id": key, "external_shipment_id": key, "status": "synced"} | values
    return Shipment.objects.create(integration=integration, order_type=kind, order_pk=key, **given)


# -- the list --------------------------------------------------------------------------------------------


def test_the_list_says_how_an_order_stands_and_where_its_newest_parcel_is(boss: Client, data: Data) -> None:
    for number, values in enumerate(({}, {"is_return": True})):
        Parcel.objects.create(
            integration=data.integration, shipment=data.shipment, remote_id=80 + number, tracking_number=f"NEW{number}",
            tracking_url=f"https://tracking.example/NEW{number}", **values,
        )  # fmt: skip
    html = listing(boss).content.decode()
    assert "needs a correction" in html
    assert 'href="https://tracking.example/NEW0"' in html, "the newest one that goes to the buyer"
    assert "NEW1" not in html
    assert "3SCANAL1" not in html
    assert "django_sendcloud/admin.css" in html


@pytest.mark.parametrize("model", ["order", "orderproxy"])
def test_a_page_of_a_hundred_costs_what_one_of_two_costs(model: str, boss: Client, data: Data) -> None:
    def add(number: int) -> None:
        for n in range(number):
            order = factories.order(customer=data.order.customer)
            told = shipment(data.integration, order, status="rejected")
            factories.outbox().filter(order_pk=order.pk).update(integration=data.integration, error_code="rejected")
            Parcel.objects.create(
                integration=data.integration, shipment=told, remote_id=1000 + 10 * Parcel.objects.count() + n,
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
    assert len(ours) == 4, "what was recorded, outbox, shipments, parcels"


def _counted() -> CaptureQueriesContext:
    return CaptureQueriesContext(connection)


KINDS = ["synced", "waiting", "rejected", "absent"]
ENTRIES = [None, "pending", "rejected", "dead"]
STATUSES = ["pending", "synced", "rejected", "deleted"]
TOLD = [(), *itertools.combinations(STATUSES, 1), *itertools.combinations(STATUSES, 2), tuple(STATUSES)]


class CustomerAdapter(OrderAdapter[Customer]):
    auto = False


@pytest.fixture(params=["order", "orderproxy", "wholesaleorder", "customer"])
def every_state(request: Any, connected: Integration) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """An order in every state that the tables can hold: its model, what we call it, and the orders by key."""
    name = request.param
    kind = "shop.customer" if name == "customer" else "shop.order"
    orders = {}
    with temporarily_registered(CustomerAdapter, Customer):
        for entry, told in itertools.product(ENTRIES, TOLD):
            customer = factories.customer()
            if name == "customer":
                order: Any = customer
            elif name == "wholesaleorder":
                order = WholesaleOrder.objects.create(number="W", customer=customer)
            else:
                order = factories.order(lines=0, customer=customer)
            factories.clear_outbox() if not orders else None
            factories.outbox().filter(order_pk=str(order.pk)).delete()
            for number, status in enumerate(told):
                shipment(connected, order, kind, external_shipment_id=str(number), status=status)
            if entry:
                OutboxEntry.objects.create(order_type=kind, order_pk=str(order.pk), state=entry)
            orders[str(order.pk)] = order
        # Somebody else's rows with the same key are not this order's.
        for key in list(orders)[:3]:
            OutboxEntry.objects.create(order_type="shop.other", order_pk=key, state="dead")
        yield name, kind, orders


def test_the_filter_finds_every_order_under_what_the_column_says(
    boss: Client, every_state: tuple[str, str, dict[str, Any]]
) -> None:
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
    ("entry", "told", "word"),
    [
        (None, (), "never sent"),
        (None, ("synced",), "at Sendcloud"),
        (None, ("synced", "deleted"), "at Sendcloud"),
        (None, ("deleted",), "deleted at Sendcloud"),
        (None, ("synced", "rejected"), "refused"),
        (None, ("synced", "pending"), "not confirmed yet"),
        ("pending", ("synced",), "waiting"),
        ("rejected", ("synced",), "needs a correction"),
        ("dead", (), "given up"),
    ],
)
def test_the_column_says_it_in_words(
    boss: Client, connected: Integration, entry: str | None, told: tuple[str, ...], word: str
) -> None:
    order = factories.order()
    factories.clear_outbox()
    for number, status in enumerate(told):
        shipment(connected, order, external_shipment_id=str(number), status=status)
    if entry:
        OutboxEntry.objects.create(order_type="shop.order", order_pk=str(order.pk), state=entry)
    page = listing(boss).content.decode()
    assert f"</span> {word}</span>" in page
    assert page.count("sc-badge ") == 1


def test_the_filter_understands_keys_that_are_text(boss: Client, connected: Integration) -> None:
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


def test_orders_in_another_database_have_the_column_and_no_filter(
    boss: Client, data: Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_filter(Order)
    monkeypatch.setattr("django.db.router.db_for_read", lambda model, **hints: "elsewhere")
    assert not can_filter(Order)
    monkeypatch.undo()
    monkeypatch.setattr("django_sendcloud.admin.shop.can_filter", lambda model: False)
    response = listing(boss)
    assert response.context["cl"].filter_specs == []
    assert "needs a correction" in response.content.decode()


def test_an_unknown_value_of_the_filter_shows_everything(boss: Client, data: Data) -> None:
    assert len(listing(boss, sendcloud_state="nonsense").context["cl"].result_list) == 1


# -- what the shop has set itself --------------------------------------------------------------------------


def test_nothing_the_shop_has_set_is_replaced(boss: Client, data: Data) -> None:
    response = listing(boss, "orderproxy")
    html = response.content.decode()
    changes = response.context["cl"]
    assert changes.list_display == ["action_checkbox", "number", "sendcloud_state", "shouted", "status", "city"]
    assert [spec.title for spec in changes.filter_specs] == ["status", "Sendcloud"]
    assert [name for name, _ in response.context["action_form"].fields["action"].choices][1:] == [
        "delete_selected", "cancel", "sendcloud_push", "sendcloud_labels",
    ]  # fmt: skip
    assert "shop/own.css" in html
    assert "admin/js/core.js" in html
    assert "django_sendcloud/admin.css" in html
    assert f"{data.order.number.upper()}!" in html
    assert "needs a correction (1)" in html, "the filter counts, where the shop wants counts"
    assert boss.get("/backoffice/shop/orderproxy/own-page/").status_code == 200


def test_the_panel_is_on_a_page_with_the_shops_own_template_and_fieldsets(boss: Client, data: Data) -> None:
    html = change_page(boss, data.order, "orderproxy")
    assert "The shop's own words above" in html
    assert "The shop's own words below" in html
    assert "Mine alone" in html
    assert "Sendcloud refused the order" in html
    assert html.count('id="sc-order-title"') == 1


def test_a_row_that_can_be_edited_in_the_list_still_is(boss: Client, data: Data) -> None:
    url = reverse("backoffice:shop_orderproxy_changelist")
    form = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": data.order.pk, "_save": "Save"}
    assert boss.post(url, {**form, "form-0-status": "cancelled"}).status_code == 302
    assert Order.objects.get().status == "cancelled"
    wrong = boss.post(url, {**form, "form-0-status": "x" * 21})
    assert wrong.status_code == 200
    assert "waiting" in wrong.content.decode(), "the column is there also where the list is shown again with errors"


def test_a_shop_without_actions_stays_without(boss: Client, connected: Integration) -> None:
    order = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    response = listing(boss, "wholesaleorder")
    assert response.context["action_form"] is None
    assert "waiting" in response.content.decode()
    html = change_page(boss, order, "wholesaleorder")
    assert "shop/own.js" in html
    assert "django_sendcloud/admin.css" in html
    assert 'name="_sendcloud_push"' in html


def test_an_order_the_shop_hides_is_not_shown_by_us_either(boss: Client, connected: Integration) -> None:
    hidden = factories.order(number="HIDDEN-1")
    factories.clear_outbox()
    assert press(boss, hidden, "sendcloud_push", "orderproxy").status_code == 404
    select(boss, "sendcloud_push", hidden, model="orderproxy")
    assert not factories.outbox().exists()


def test_without_an_adapter_the_page_says_so_and_offers_nothing(boss: Client, connected: Integration) -> None:
    customer = factories.customer()
    html = change_page(boss, customer, "customer")
    assert "The shop has no adapter for this kind of order" in html
    assert "sendcloud_push" not in html
    response = listing(boss, "customer")
    assert "sendcloud_push" not in response.content.decode()
    assert response.context["cl"].filter_specs == []
    assert press(boss, customer, "sendcloud_push", "customer").status_code == 404


# -- the change page ---------------------------------------------------------------------------------------


def test_the_panel_says_what_is_wrong_what_to_do_and_where_the_parcels_are(boss: Client, data: Data) -> None:
    html = change_page(boss, data.order)
    assert "needs a correction" in html
    assert "Sendcloud refused the order" in html
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


def test_the_panel_costs_the_same_however_much_there_is_to_tell(boss: Client, data: Data) -> None:
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
def test_an_order_that_waits_for_a_paused_integration_says_so(known: bool, boss: Client, data: Data) -> None:
    waits_for = data.integration if known else None
    factories.outbox().update(state="pending", error_code="", error_fields={}, integration=waits_for)
    html = change_page(boss, data.order)
    assert "To be sent: now." in html
    assert "Sendcloud refuses the API keys" not in html
    data.integration.pause(PauseReason.CREDENTIALS)
    html = change_page(boss, data.order)
    assert f"{data.integration}: Sendcloud refuses the API keys" in html
    assert "Copy both keys anew" in html
    assert "To be sent" not in html
    Integration.objects.update(is_active=known)
    assert ("Sendcloud refuses the API keys" in change_page(boss, data.order)) == known


def test_a_list_can_put_the_column_where_it_likes(boss: Client, connected: Integration) -> None:
    assert listing(boss, "wholesaleorder").context["cl"].list_display == ["number", "status", "sendcloud_state"]


def test_a_refused_shipment_is_explained_also_without_an_entry(boss: Client, data: Data) -> None:
    data.entry.delete()
    html = change_page(boss, data.order)
    assert "This is 0, and must be at least 0.001 kg." in html
    assert "Sendcloud refused the order" in html


def test_an_order_that_waits_says_when_it_is_due(boss: Client, connected: Integration) -> None:
    order = factories.order()
    later = timezone.now() + dt.timedelta(minutes=30, seconds=30)
    factories.outbox().update(due_at=later, not_before=later)
    html = change_page(boss, order)
    assert "To be sent:" in html
    assert "in 30\xa0minutes" in html
    payload = reverse("backoffice:django_sendcloud_outboxentry_payload", args=[factories.outbox().get().pk])
    assert f'href="{payload}"' in html, "nothing was told yet, so the entry shows what will be"


def test_the_panel_is_neither_on_the_page_of_a_new_order_nor_in_a_popup(boss: Client, data: Data) -> None:
    new = boss.get(reverse("backoffice:shop_order_add"))
    assert new.status_code == 200
    assert b"sc-order-title" not in new.content
    assert "sc-order-title" not in change_page(boss, data.order, _popup=1)


def test_a_script_in_an_address_is_no_link(boss: Client, data: Data) -> None:
    Parcel.objects.update(tracking_url="javascript:alert(1)", tracking_number="<b>bold</b>")
    for html in (change_page(boss, data.order), listing(boss).content.decode()):
        assert "javascript:alert" not in html
        assert "<b>bold</b>" not in html
        assert "&lt;b&gt;bold" in html


# -- what can be done --------------------------------------------------------------------------------------


def test_push_now_sends_an_order_again_that_sendcloud_has_already(
    boss: Client, integration: Integration, sandbox: Any
) -> None:
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


def test_push_now_frees_an_order_that_was_given_up(boss: Client, data: Data) -> None:
    factories.outbox().update(state="dead", failures=9, attempts=9, due_at=timezone.now() + dt.timedelta(days=9))
    press(boss, data.order, "sendcloud_push", "orderproxy")
    entry = factories.outbox().get()
    assert (entry.state, entry.failures, entry.attempts) == ("pending", 0, 0)
    assert entry.due_at <= timezone.now()


def test_labels_of_orders_open_as_one_document(boss: Client, parcels: list[Parcel]) -> None:
    orders = [parcel.shipment.order() for parcel in parcels if parcel.shipment]
    unique = list({order.pk: order for order in orders if order}.values())
    answer = select(boss, "sendcloud_labels", *unique)
    assert answer["Content-Type"] == "application/pdf"
    assert len(PdfReader(io.BytesIO(answer.content)).pages) == len(parcels)
    logged = set(LogEntry.objects.filter(content_type__model="order").values_list("object_id", flat=True))
    assert logged == {str(order.pk) for order in unique}
    sheets = select(boss, "sendcloud_labels", *unique, layout="a4_1")
    assert len(PdfReader(io.BytesIO(sheets.content)).pages) == 2
    html = change_page(boss, unique[0])
    assert "/sendcloud/sendcloud_labels/" in html
    assert press(boss, unique[0], "sendcloud_labels")["Content-Type"] == "application/pdf"


def test_no_transaction_is_open_while_labels_are_fetched(data: Data) -> None:
    url = reverse("backoffice:shop_order_sendcloud", args=[data.order.pk, "sendcloud_labels"])
    assert "default" in resolve(url).func._non_atomic_requests  # type: ignore[attr-defined]


def test_labels_of_cancelled_parcels_and_returns_are_left_out(boss: Client, parcels: list[Parcel]) -> None:
    Parcel.objects.filter(pk__lte=parcels[2].pk).update(phase="cancelled")
    Parcel.objects.filter(pk__gt=parcels[2].pk).update(is_return=True)
    orders = list(Order.objects.all())
    assert select(boss, "sendcloud_labels", *orders).status_code == 302
    assert "There is no label yet" in listing(boss).content.decode()
    assert "/sendcloud/sendcloud_labels/" not in change_page(boss, orders[0])
    assert not LogEntry.objects.exists()


def form_of(order: Order, **values: Any) -> dict[str, Any]:
    """What the change form of an order sends."""
    names = [field.name for field in Order._meta.fields if field.editable and not field.primary_key]
    sent = {name: getattr(order, Order._meta.get_field(name).attname) for name in names}
    return {name: value for name, value in sent.items() if value is not None} | values


def save_and_push(client: Client, order: Order, **values: Any) -> Any:
    url = reverse("backoffice:shop_order_change", args=[order.pk])
    return client.post(url, form_of(order, _sendcloud_push="1", **values))


def test_pushing_saves_what_was_just_corrected(boss: Client, integration: Integration, sandbox: Any) -> None:
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


def test_saving_and_pushing_sends_an_order_again_that_did_not_change(
    boss: Client, integration: Integration, sandbox: Any
) -> None:
    order = factories.order()
    drain()
    sent = sandbox.count("POST", "/shipments")
    save_and_push(boss, order)
    drain()
    assert sandbox.count("POST", "/shipments") == sent + 1


def test_what_cannot_be_saved_is_not_pushed(boss: Client, data: Data) -> None:
    response = save_and_push(boss, data.order, number="")
    assert response.status_code == 200
    assert "This field is required." in response.content.decode()
    assert factories.outbox().get().state == "rejected"
    assert not LogEntry.objects.exists()


def test_who_may_save_and_not_push_saves_only(staff: Callable[..., Client], data: Data) -> None:
    client = staff(*SEE, "change_order")
    assert "_sendcloud_push" not in change_page(client, data.order)
    save_and_push(client, data.order, city="Utrecht")
    data.order.refresh_from_db()
    assert data.order.city == "Utrecht"
    assert "Pushed to Sendcloud." not in LogEntry.objects.values_list("change_message", flat=True)


def test_who_cannot_save_has_a_button_that_pushes_what_is_saved(staff: Callable[..., Client], data: Data) -> None:
    html = change_page(staff(*SEE, "push_order"), data.order)
    assert reverse("backoffice:shop_order_sendcloud", args=[data.order.pk, "sendcloud_push"]) in html
    assert "_sendcloud_push" not in html


def test_on_the_list_it_says_first_how_many_orders_are_pushed(boss: Client, data: Data) -> None:
    url = reverse("backoffice:shop_order_changelist")
    page = boss.post(url, {"action": "sendcloud_push", "_selected_action": [data.order.pk]})
    assert page.context["title"] == "Push 1 order to Sendcloud"
    assert "as they are saved" in page.content.decode()
    assert factories.outbox().get().state == "rejected"
    assert 'href="/backoffice/shop/order/"' in page.content.decode()


def test_nothing_on_the_page_needs_a_script_of_its_own(boss: Client, data: Data) -> None:
    html = change_page(boss, data.order)
    begin = html.index('aria-labelledby="sc-order-title"')
    ours = html[begin : html.index('id="order_form"')]
    assert "<script" not in ours
    assert not re.search(r"\son\w+=", ours)


def test_what_was_given_up_is_not_said_to_be_tried_again_on_the_orders_page(boss: Client, data: Data) -> None:
    factories.outbox().update(state="dead", error_code="server_error", error_fields={})
    html = change_page(boss, data.order)
    assert "Given up after many attempts" in html
    assert "tried again by itself" not in html


def test_an_adapters_error_is_shown_only_to_who_may_see_what_is_sent(staff: Callable[..., Client], data: Data) -> None:
    factories.outbox().update(error_code="adapter_error", error_detail="KeyError: canary@example.com", error_fields={})
    html = change_page(staff(*SEE), data.order)
    assert "canary@" not in html
    assert "The technical details are shown to who may see what is sent" in html
    assert "canary@" in change_page(staff(*SEE, "view_payload"), data.order)


# -- who may what ------------------------------------------------------------------------------------------


def test_who_may_see_orders_only_sees_nothing_of_ours(staff: Callable[..., Client], data: Data) -> None:
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


def test_parcels_need_their_own_permission(staff: Callable[..., Client], data: Data) -> None:
    without, with_ = staff("view_shipment", "view_outboxentry"), staff(*SEE)
    assert "3SCANAL1" not in listing(without).content.decode() + change_page(without, data.order)
    assert "needs a correction" in listing(without).content.decode()
    assert "3SCANAL1" in listing(with_).content.decode()
    assert "3SCANAL1" in change_page(with_, data.order)


def test_what_is_sent_is_linked_only_for_who_may_see_it(staff: Callable[..., Client], data: Data) -> None:
    url = reverse("backoffice:django_sendcloud_shipment_payload", args=[data.shipment.pk])
    assert url not in change_page(staff(*SEE), data.order)
    assert url in change_page(staff(*SEE, "view_payload"), data.order)


@pytest.mark.parametrize("name", ["sendcloud_push", "sendcloud_labels"])
def test_a_button_is_refused_to_who_may_not_press_it(
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


def test_whoever_may_push_but_not_see_an_order_does_not_learn_whether_it_exists(
    as_role: Callable[..., Client], data: Data
) -> None:
    client = as_role("staff", "push_order")
    assert press(client, data.order, "sendcloud_push").status_code == 403
    assert press(client, Tag(pk="00000000-0000-0000-0000-000000000000"), "sendcloud_push").status_code == 403


def test_a_button_that_is_not_there_is_not_found(boss: Client, data: Data) -> None:
    assert press(boss, data.order, "delete_everything").status_code == 404
    assert press(boss, Tag(pk="00000000-0000-0000-0000-000000000000"), "sendcloud_push").status_code == 404
    assert OrderProxy.objects.count() == 1
