"""Orders by delivery, and the tasks of those that are not on their way."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.adapters import OrderAdapter
from django_sendcloud.admin.orders.delivery import COUNTED, OrderDeliveryFilter
from django_sendcloud.admin.orders.state import states_of
from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.models.delivery import DELIVERY_RANK
from django_sendcloud.parcels.delivery_tasks import DeliveryTask, delivery_task, task_of
from django_sendcloud.registry import temporarily_registered
from tests import factories

from .test_orders import boss as boss  # a fixture
from .test_orders import listing, shipment

pytestmark = pytest.mark.long

OVERVIEW = "admin:django_sendcloud_overview_changelist"
SHIPMENTS = "admin:django_sendcloud_shipment_changelist"


@pytest.fixture
def in_every_delivery(connected: Integration) -> dict[str, Any]:
    """Return orders by key, with one shipment or two in every combination of deliveries."""
    orders = {}
    customer = factories.customer()
    combinations = [(each,) for each in DELIVERY_RANK] + list(itertools.combinations(DELIVERY_RANK, 2))
    for deliveries in combinations:
        order = factories.order(lines=0, customer=customer)
        for number, delivery in enumerate(deliveries):
            shipment(connected, order, external_shipment_id=str(number), delivery=delivery)
        # A shipment that was removed before it had a parcel.
        shipment(connected, order, external_shipment_id="gone", status="deleted")
        orders[str(order.pk)] = order
    factories.clear_outbox()
    # The same key of another order type.
    shipment(connected, order, "shop.other", external_order_id="other", delivery="problem")
    return orders


def test_order_delivery_filter_matches_column(boss: Client, in_every_delivery: dict[str, Any]) -> None:
    states = states_of("shop.order", in_every_delivery, with_parcels=True)
    for delivery in DELIVERY_RANK:
        page = listing(boss, sendcloud_delivery=delivery or "none", all="").context["cl"]
        found = {str(row.pk) for row in page.result_list}
        assert found == {key for key, state in states.items() if state.delivery == delivery}, delivery
        assert found


def test_order_delivery_counts_match_lists(boss: Client, in_every_delivery: dict[str, Any]) -> None:
    page = listing(boss).context["cl"]
    (chosen,) = [each for each in page.filter_specs if isinstance(each, OrderDeliveryFilter)]
    labels = {value: str(label) for value, label in chosen.lookup_choices}
    for delivery in COUNTED:
        number = len(listing(boss, sendcloud_delivery=delivery, all="").context["cl"].result_list)
        assert re.findall(r"\((\d+)\)", labels[delivery]) == [str(number)]
        assert number
    assert "(" not in labels["delivered"], "there are millions of them"


def test_order_column_tracks_parcel_of_badge(boss: Client, connected: Integration) -> None:
    """A delivered parcel must not be shown beside the word of another with a problem."""
    order = factories.order()
    row = shipment(connected, order, delivery="problem")
    for number, phase in enumerate(["problem", "delivered"], 1):
        Parcel.objects.create(
            integration=connected, shipment=row, remote_id=number, phase=phase, tracking_number=f"3S-{phase}"
        )
    html = listing(boss).content.decode()
    assert "3S-problem" in html
    assert "3S-delivered" not in html


def test_order_page_warns_of_unfit_label(boss: Client, connected: Integration) -> None:
    """Its label is neither offered for printing nor to be handed over."""
    order = factories.order()
    row = shipment(connected, order, delivery="announced", label_conflict="cancelled", label_wanted="cancelled")
    Parcel.objects.create(
        integration=connected, shipment=row, remote_id=1, phase="announced", labels={"a6": "x"}, status_id=1000
    )
    factories.clear_outbox()
    html = boss.get(reverse("backoffice:shop_order_change", args=[order.pk])).content.decode()
    assert "Do not hand it over yet" in html
    assert "/sendcloud/sendcloud_labels/" not in html
    Shipment.objects.update(label_conflict="")
    html = boss.get(reverse("backoffice:shop_order_change", args=[order.pk])).content.decode()
    assert "Hand the parcel to the carrier" in html
    assert "/sendcloud/sendcloud_labels/" in html


def test_hidden_orders_are_not_counted(boss: Client, connected: Integration) -> None:
    shipment(connected, factories.order(number="HIDDEN-1"), delivery="problem")
    assert "Delivery problem (0)" in listing(boss, "orderproxy").content.decode()
    assert "Delivery problem (1)" in listing(boss).content.decode()


def test_order_delivery_filter_takes_one_statement(boss: Client, in_every_delivery: dict[str, Any]) -> None:
    with CaptureQueriesContext(connection) as queries:
        listing(boss)
    assert len([query for query in queries if 'AS "_delivery"' in query["sql"]]) == 1


def test_order_delivery_filter_supports_text_keys(boss: Client, connected: Integration) -> None:
    class SessionAdapter(OrderAdapter[Session]):
        def get_shipments(self, order: Session) -> Any:
            return []

    Session.objects.all().delete()
    order = Session.objects.create(session_key="k", session_data="", expire_date=timezone.now())
    with temporarily_registered(SessionAdapter, Session):
        shipment(connected, order, "sessions.session", delivery="problem")
        request: Any = None
        orders = Session.objects.all()
        admin = type("Admin", (), {"get_queryset": lambda self, request: orders})()
        chosen = OrderDeliveryFilter(request, {"sendcloud_delivery": ["problem"]}, Session, admin)
        assert list(chosen.queryset(request, orders)) == [order]


@pytest.mark.parametrize(
    ("status", "delivery", "words"),
    [
        ("synced", "", ["Sent"]),
        ("synced", "problem", ["Delivery problem"]),
        ("synced", "delivered", ["Delivered"]),
        ("rejected", "announced", ["Fix needed", "Label created"]),
        ("deleted", "cancelled", ["Removed", "Cancelled"]),
    ],
)
def test_order_column_shows_delivery(
    boss: Client, connected: Integration, status: str, delivery: str, words: list[str]
) -> None:
    order = factories.order()
    factories.clear_outbox()
    shipment(connected, order, status=status, delivery=delivery)
    row = listing(boss).content.decode().split('id="result_list"')[1]
    assert re.findall(r"</span> ([A-Z][\w ]+)</span>", row) == words
    if delivery == "problem":
        assert "✓" not in row
        page = boss.get(reverse("backoffice:shop_order_change", args=[order.pk])).content.decode()
        assert "sc-panel--bad" in page
        assert "Delivery problem" in page


def test_delivery_needs_permission_to_view_parcels(as_role: Callable[..., Client], connected: Integration) -> None:
    shipment(connected, factories.order(), delivery="problem")
    client = as_role("staff", "view_order", "view_shipment", "view_outboxentry", "view_integration")
    page = client.get(reverse("backoffice:shop_order_changelist")).content.decode()
    assert "Delivery problem" not in page
    for url in (OVERVIEW, SHIPMENTS):
        assert "elivery problem" not in client.get(reverse(url)).content.decode()


# -- tasks --------------------------------------------------------------------------------------------


def add(integration: Integration, delivery: str, days: float, **values: Any) -> Shipment:
    number = str(Shipment.objects.count())
    at = timezone.now() - dt.timedelta(days=days)
    given = {"status": "synced", "order_type": "shop.order", "order_pk": number, "order_number": f"D-{number}"}
    return Shipment.objects.create(
        integration=integration, external_order_id=number, delivery=delivery, delivery_at=at, **given | values
    )


@pytest.fixture
def late(connected: Integration) -> dict[DeliveryTask, Shipment]:
    """Return a shipment for each task, and add their neighbours, which are none."""
    for delivery, days in [
        ("", 2.9), ("announced", 2.9), ("awaiting_pickup", 4.9), ("in_transit", 30), ("delivered", 30),
        ("", 61), ("announced", 61), ("problem", 61), ("returned", 61), ("cancelled", 5),
    ]:  # fmt: skip
        add(connected, delivery, days)
    add(connected, "", 5, status="deleted")
    add(connected, "", 5, status="rejected")
    add(connected, "problem", 1, delivery_handled=True)
    return {
        DeliveryTask.UNLABELLED: add(connected, "", 3.1),
        DeliveryTask.UNSCANNED: add(connected, "announced", 3.1),
        DeliveryTask.PICKUP: add(connected, "awaiting_pickup", 5.1),
        DeliveryTask.PROBLEM: add(connected, "problem", 0),
        DeliveryTask.RETURNED: add(connected, "returned", 1),
    }


def counts() -> list[int]:
    return [Shipment.objects.filter(delivery_task(task, timezone.now())).count() for task in DeliveryTask]


def test_deliveries_become_tasks_in_time(late: dict[DeliveryTask, Shipment], settings: Any) -> None:
    assert counts() == [1, 1, 1, 1, 1]
    now = timezone.now()
    for each in Shipment.objects.all():
        in_sql = [task for task in DeliveryTask if Shipment.objects.filter(delivery_task(task, now), pk=each.pk)]
        assert in_sql == [task for task in [task_of(each, now)] if task]
    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNLABELLED_DAYS": 2, "UNSCANNED_DAYS": 4, "PICKUP_DAYS": 6}
    assert counts() == [2, 0, 0, 1, 1]


def test_delivery_tasks_lead_to_their_lists(boss: Client, late: dict[DeliveryTask, Shipment]) -> None:
    Shipment.objects.filter(delivery="in_transit").update(label_conflict="changed")
    late = {**late}
    tasks = boss.get(reverse(OVERVIEW)).context["tasks"]
    wanted = {str(shipment.pk) for shipment in late.values()} | {str(Shipment.objects.get(label_conflict="changed").pk)}
    found = set()
    for task in tasks:
        for button in task.buttons:
            if "delivery=" in button.url:
                rows = boss.get(button.url).context["cl"].result_list
                assert str(task.title).startswith(f"{len(rows)} "), task.title
                found |= {str(row.pk) for row in rows}
    assert found == wanted


def test_delivery_problems_stop_no_orders(boss: Client, late: dict[DeliveryTask, Shipment]) -> None:
    assert not any(task.stops for task in boss.get(reverse(OVERVIEW)).context["tasks"] if "deliver" in str(task.title))


def test_shipments_filter_by_phase(boss: Client, late: dict[DeliveryTask, Shipment]) -> None:
    for phase in filter(None, DELIVERY_RANK):
        rows = boss.get(reverse(SHIPMENTS), {"delivery": f"phase:{phase}"}).context["cl"].result_list
        assert {row.delivery for row in rows} <= {phase}
        assert len(rows) == Shipment.objects.filter(delivery=phase).count()
    everything = boss.get(reverse(SHIPMENTS), {"delivery": "phase:nonsense"}).context["cl"].result_list
    assert len(everything) == Shipment.objects.count()


def test_handled_delivery_is_no_task(boss: Client, late: dict[DeliveryTask, Shipment]) -> None:
    pks = [shipment.pk for shipment in late.values()]
    page = boss.get(reverse("admin:django_sendcloud_shipment_change", args=[pks[0]])).content.decode()
    assert "Mark as handled" in page
    chosen = {"action": "mark_handled", "_selected_action": pks}
    assert boss.post(reverse(SHIPMENTS), chosen).context["title"] == "Mark the deliveries of 5 shipments as handled"
    boss.post(reverse(SHIPMENTS), {**chosen, "confirmed": "yes", "number": "5"})
    assert counts() == [0, 0, 0, 0, 0]
    assert LogEntry.objects.filter(change_message="Marked the delivery as handled.").count() == 5
    page = boss.get(reverse("admin:django_sendcloud_shipment_change", args=[pks[0]])).content.decode()
    assert "Mark as handled" not in page


def test_handling_leaves_out_what_is_no_task(boss: Client, late: dict[DeliveryTask, Shipment]) -> None:
    """A fresh shipment that is marked with the others still becomes a task later."""
    fresh = shipment(next(iter(late.values())).integration, factories.order(), delivery="announced")
    chosen = {"action": "mark_handled", "_selected_action": [fresh.pk, late[DeliveryTask.PROBLEM].pk]}
    page = boss.post(reverse(SHIPMENTS), chosen)
    assert page.context["title"] == "Mark the delivery of 1 shipment as handled"
    assert "1 is left out: its delivery is not a task." in page.content.decode()
    page = boss.post(reverse(SHIPMENTS), {**chosen, "confirmed": "yes", "number": "1"}, follow=True)
    assert "1 delivery is marked as handled." in page.content.decode()
    fresh.refresh_from_db()
    assert not fresh.delivery_handled
    assert counts()[list(DeliveryTask).index(DeliveryTask.PROBLEM)] == 0


def test_handling_needs_permission(as_role: Callable[..., Client], late: dict[DeliveryTask, Shipment]) -> None:
    pk = late[DeliveryTask.PROBLEM].pk
    url = reverse("admin:django_sendcloud_shipment_action", args=[pk, "mark_handled"])
    assert as_role("viewer").post(url).status_code == 403
    assert not Shipment.objects.get(pk=pk).delivery_handled
    assert as_role("operator").get(url).status_code == 405
