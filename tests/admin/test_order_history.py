"""History of one order on its page: each thing that happened, with its time and the operator."""

from __future__ import annotations

import datetime as dt
import html as html_module
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.models import Attempt, Integration, OutboxEntry, Parcel, ParcelStatus, Shipment
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order, WholesaleOrder

STEP = re.compile(
    r'<li class="sc-timeline__step sc-timeline__step--\w+">\s*<time[^>]*>[^<]*</time>\s*<span>(.*?)</span>', re.S
)


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    client = as_role("superuser")
    User.objects.filter(is_superuser=True).update(username="anna")
    return client


def history(client: Client, order: Order, model: str = "order") -> list[str]:
    """Return the steps on an order's page, the oldest first."""
    page = client.get(reverse(f"backoffice:shop_{model}_change", args=[order.pk])).content.decode()
    _before, _sep, shown = page.partition("History of this order")
    return [" ".join(html_module.unescape(re.sub("<[^>]*>", "", step)).split()) for step in STEP.findall(shown)][::-1]


def parcel_of(order: Order, *steps: tuple[str, int], **values: Any) -> Parcel:
    shipment = Shipment.objects.get(order_pk=str(order.pk))
    number = values.pop("number", "3STORY1")
    values = {"remote_id": 1, "tracking_number": number, "phase": steps[-1][0]} | values
    parcel = Parcel.objects.create(integration=shipment.integration, shipment=shipment, **values)
    for status_id, (phase, minutes) in enumerate(steps):
        at = timezone.now() + dt.timedelta(minutes=minutes)
        ParcelStatus.objects.create(parcel=parcel, status_id=status_id, phase=phase, event_ms=minutes, at=at)
    return parcel


def change(client: Client, order: Order, **values: str) -> None:
    form = {
        name: str(getattr(order, name))
        for name in ("number", "customer_id", "status", "address", "postal_code", "city", "country", "shipments")
    }
    form["customer"] = form.pop("customer_id")
    response = client.post(reverse("backoffice:shop_order_change", args=[order.pk]), form | values)
    assert response.status_code == 302
    factories.forget_transaction()


@pytest.mark.long
def test_history_is_whole_after_entry_is_gone(boss: Client, integration: Integration) -> None:
    order = factories.order(country="XX")
    drain()
    factories.forget_transaction()
    change(boss, order, country="NL")
    drain()
    assert not OutboxEntry.objects.exists()
    parcel_of(
        order,
        ("announced", 1),
        ("announced", 2),
        ("in_transit", 3),
        ("in_transit", 4),
        ("delivered", 5),
        printed_at=timezone.now() + dt.timedelta(minutes=2, seconds=30),
        printed_by="bert",
    )
    parcel_of(order, ("announced", 6), ("returned", 7), remote_id=2, number="3SBACK", is_return=True)
    steps = history(boss, order)
    assert set(steps[:4]) == {
        "Rejected: Country is not valid",
        "Changed Country. by anna",
        "Recorded",
        "Sent",
    }
    assert steps[0] == "Rejected: Country is not valid"
    assert steps[4:] == [
        "Label created: 3STORY1",
        "Label printed: 3STORY1 by bert",
        "Scanned by the carrier: 3STORY1",
        "Delivered: 3STORY1",
        "Label created: return 3SBACK",
        "Returned: return 3SBACK",
    ]


@pytest.mark.long
def test_history_counts_repeated_failures(boss: Client, integration: Integration, sandbox: Any) -> None:
    order = factories.order()
    sandbox.fail_next(500, times=2)
    drain()
    drain()
    drain()
    steps = history(boss, order)
    (failed,) = [step for step in steps if step.startswith("Sending failed")]
    assert failed.endswith("(2 times)")
    assert steps.count("Sent") == 1


@pytest.mark.long
def test_history_names_operator_who_pushed_from_outbox(boss: Client, integration: Integration) -> None:
    order = factories.order()
    drain()
    factories.forget_transaction()
    order.city = ""
    order.save()
    drain()
    entry = OutboxEntry.objects.get()
    boss.post(reverse("backoffice:django_sendcloud_outboxentry_action", args=[entry.pk, "push_now"]))
    factories.forget_transaction()
    order.city = "Delft"
    order.save()
    drain()
    assert "Pushed again. by anna" in history(boss, order)


def test_history_leaves_out_order_of_same_number(boss: Client, integration: Integration) -> None:
    """The log knows an outbox entry by the number of its order, which another order may share."""
    order, other = factories.order(number="2026-1"), factories.order(number="2026-1")
    drain()
    entry = OutboxEntry.objects.create(
        integration=integration, order_type="shop.order", order_pk=str(other.pk), order_number="2026-1", state="dead"
    )
    boss.post(reverse("backoffice:django_sendcloud_outboxentry_action", args=[entry.pk, "push_now"]))
    assert not any("Pushed again" in step for step in history(boss, order))


def test_history_shows_deletion(boss: Client, integration: Integration) -> None:
    order = factories.order()
    drain()
    factories.forget_transaction()
    order.status = "cancelled"
    order.save()
    drain()
    assert history(boss, order) == ["Recorded", "Removed at Sendcloud"]


def test_history_of_waiting_order_shows_recorded_change(boss: Client, integration: Integration) -> None:
    order = factories.order()
    assert history(boss, order) == ["Change recorded"]


def test_history_hides_parcels_without_permission(as_role: Callable[..., Client], integration: Integration) -> None:
    order = factories.order()
    drain()
    parcel_of(order, ("announced", 1))
    client = as_role("staff", "view_shipment", "view_outboxentry", "view_order")
    steps = history(client, order)
    assert "Sent" in steps
    assert not any("3STORY1" in step for step in steps)


@pytest.mark.long
def test_history_of_child_has_parents_changes(boss: Client, integration: Integration) -> None:
    order = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    user = User.objects.get(username="anna")
    for model in (WholesaleOrder, Order):
        rows = [model.objects.get(pk=order.pk)]
        LogEntry.objects.log_actions(user.pk, rows, 2, change_message=f"Changed as {model.__name__}.")
    steps = history(boss, order, "wholesaleorder")
    assert {"Changed as WholesaleOrder. by anna", "Changed as Order. by anna"} <= set(steps)


@pytest.mark.long
def test_history_takes_two_statements(boss: Client, integration: Integration) -> None:
    order = factories.order()
    drain()
    for number in range(120):
        Attempt.objects.create(
            order_type="shop.order", order_pk=str(order.pk), at=timezone.now(), outcome="failed", code=f"c{number}"
        )
    parcel_of(order, ("announced", 1), ("in_transit", 3))
    history(boss, order)
    with CaptureQueriesContext(connection) as queries:
        assert len(history(boss, order)) > 100
    mine = [query["sql"] for query in queries if "django_admin_log" in query["sql"] or "_attempt" in query["sql"]]
    assert len(mine) == 2
