"""Pruning deletes what is old enough, and nothing that may still be needed."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud.conf import conf
from django_sendcloud.maintenance import prune as pruning
from django_sendcloud.maintenance.erase import erase
from django_sendcloud.models import (
    Attempt,
    AttemptOutcome,
    Change,
    EntryState,
    EventState,
    Integration,
    Parcel,
    ParcelStatus,
    PrunedOrder,
    Shipment,
    ShipmentStatus,
    WebhookEvent,
)
from django_sendcloud.orders import OrderRef
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync import drift
from django_sendcloud.sync.record import enqueue, record
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

pytestmark = pytest.mark.long


def tombstone(integration: Integration, number: int, days: float | None = None) -> Shipment:
    days = conf().TOMBSTONE_DAYS + 1 if days is None else days
    return Shipment.objects.create(
        integration=integration,
        order_type="shop.order",
        order_pk=str(number),
        external_order_id=str(number),
        external_shipment_id=str(number),
        status=ShipmentStatus.DELETED,
        deleted_at=timezone.now() - dt.timedelta(days=days),
    )


def left() -> list[str]:
    return sorted(Shipment.objects.values_list("order_pk", flat=True))


def test_tombstone_is_kept_for_its_time(integration: Integration) -> None:
    tombstone(integration, 1)
    tombstone(integration, 2, days=conf().TOMBSTONE_DAYS - 1)
    alive = tombstone(integration, 3)
    Shipment.objects.filter(pk=alive.pk).update(status=ShipmentStatus.SYNCED)
    assert pruning.prune().tombstones == 1
    assert left() == ["2", "3"]


@pytest.mark.parametrize("folded", [False, True])
def test_tombstone_of_waiting_order_is_kept(integration: Integration, folded: bool) -> None:
    for number in (1, 2):
        tombstone(integration, number)
    record("shop.order", ["1"])
    if folded:
        assert factories.outbox().count() == 1
    else:
        assert Change.objects.count() == 1
    assert pruning.prune().tombstones == 1
    assert left() == ["1"]
    factories.clear_outbox()
    assert pruning.prune().tombstones == 1
    assert left() == []


@pytest.mark.parametrize("state", EntryState.values)
def test_tombstone_is_kept_in_every_state(integration: Integration, state: str) -> None:
    tombstone(integration, 1)
    record("shop.order", ["1"])
    factories.outbox().update(state=state)
    assert pruning.prune().tombstones == 0
    assert left() == ["1"]


def test_other_model_with_same_key_keeps_nothing(integration: Integration) -> None:
    tombstone(integration, 1)
    record("shop.other", ["1"])
    assert pruning.prune().tombstones == 1


def test_tombstones_are_deleted_in_portions(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "CHUNK", 2)
    for number in range(7):
        tombstone(integration, number)
    record("shop.order", ["0", "1", "3"])
    factories.outbox()
    with CaptureQueriesContext(connection) as queries:
        assert pruning.prune().tombstones == 4
    assert left() == ["0", "1", "3"]
    deletes = [query["sql"] for query in queries if query["sql"].startswith(f"DELETE FROM {quoted(Shipment)}")]
    assert len(deletes) == 3, "of seven, two at a time, the first two of which wait"


def test_attempts_are_deleted_in_portions(integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "CHUNK", 2)
    now = timezone.now()
    for days in (0, *[conf().ATTEMPT_DAYS + 1] * 5):
        Attempt.objects.create(
            integration=integration,
            order_type="shop.order",
            order_pk="1",
            at=now - dt.timedelta(days=days),
            outcome=AttemptOutcome.FAILED,
        )
    with CaptureQueriesContext(connection) as queries:
        pruning.prune()
    assert Attempt.objects.count() == 1
    assert sum(query["sql"].startswith(f"DELETE FROM {quoted(Attempt)}") for query in queries) == 3


# -- shipments that have arrived ----------------------------------------------------------------------


@pytest.fixture
def keep_for(sendcloud_settings: Any) -> None:
    sendcloud_settings(SHIPMENT_DAYS=100)


def shipped(integration: Integration, sandbox: Any, *phases: str, days: float = 101, **values: Any) -> Order:
    """Push an order, and let its parcels be in these phases, with the last update that many days ago."""
    order = factories.order(**values)
    push_due()
    factories.forget_transaction()
    then = timezone.now() - dt.timedelta(days=days)
    shipments = Shipment.objects.filter(order_pk=str(order.pk))
    shipments.update(last_pushed_at=then)
    for shipment in shipments:
        for phase in phases:
            parcel = Parcel.objects.create(
                integration=integration, shipment=shipment, remote_id=Parcel.objects.count() + 1, phase=phase
            )
            for step in range(3):
                ParcelStatus.objects.create(parcel=parcel, status_id=step, event_ms=step, at=then)
    Parcel.objects.filter(shipment__in=shipments).update(updated_at=then)
    return order


def test_arrived_shipment_goes_with_its_parcels(integration: Integration, sandbox: Any, keep_for: None) -> None:
    shipped(integration, sandbox, "delivered", "cancelled", shipments=2)
    kept = shipped(integration, sandbox, "delivered", days=99)
    assert dataclasses.asdict(pruning.prune()) == {
        "tombstones": 0,
        "shipments": 2,
        "parcels": 4,
        "steps": 12,
        "attempts": 0,
    }
    assert left() == [str(kept.pk)]
    assert Parcel.objects.count() == 1
    assert ParcelStatus.objects.count() == 3
    assert not pruning.prune()


def test_arrived_shipment_stays_by_default(integration: Integration, sandbox: Any) -> None:
    shipped(integration, sandbox, "delivered", days=5000)
    assert not pruning.prune()
    assert len(left()) == 1


@pytest.mark.parametrize("phases", [[], ["cancelled"]])
def test_shipment_without_label_is_kept(
    integration: Integration, sandbox: Any, keep_for: None, phases: list[str]
) -> None:
    """Sendcloud still offers it: a cancellation has to reach it, and does."""
    order = shipped(integration, sandbox, *phases, days=5000)
    assert not pruning.prune()
    order.status = "cancelled"
    order.save()
    push_due()
    assert sandbox.shipments() == []


@pytest.mark.parametrize(
    "obstacle", ["on its way", "label conflict", "waiting", "follow-up", "other shipment", "rejected"]
)
def test_unfinished_shipment_is_kept(integration: Integration, sandbox: Any, keep_for: None, obstacle: str) -> None:
    order = shipped(integration, sandbox, "delivered", shipments=2)
    shipment, parcel = Shipment.objects.first(), Parcel.objects.first()
    assert shipment
    assert parcel
    if obstacle == "on its way":
        recently = timezone.now() - dt.timedelta(days=50)
        Parcel.objects.filter(pk=parcel.pk).update(phase="in_transit", updated_at=recently)
    elif obstacle == "label conflict":
        Shipment.objects.filter(pk=shipment.pk).update(label_conflict="changed")
    elif obstacle == "waiting":
        record("shop.order", [order.pk])
    elif obstacle == "follow-up":
        WebhookEvent.objects.create(integration=integration, digest="1", parcel=parcel, state=EventState.APPLIED)
    elif obstacle == "other shipment":
        Parcel.objects.filter(pk=parcel.pk).delete()
    else:
        Shipment.objects.filter(pk=shipment.pk).update(status=ShipmentStatus.REJECTED)
    assert not pruning.prune()
    assert len(left()) == 2


def test_lost_parcel_ends_with_its_silence(integration: Integration, sandbox: Any, keep_for: None) -> None:
    shipped(integration, sandbox, "in_transit")
    assert pruning.prune().shipments == 1


@pytest.mark.parametrize("change", ["save", "enqueue", "drift", "related", "cancel", "delete"])
def test_pruned_order_is_never_new(integration: Integration, sandbox: Any, keep_for: None, change: str) -> None:
    order = shipped(integration, sandbox, "delivered")
    pruning.prune()
    sent = len(sandbox.requests)
    if change == "drift":
        Order.objects.update(modified=timezone.now())
        drift.scan()
    elif change == "cancel":
        order.status = "cancelled"
        order.save()
    else:
        {"save": order.save, "enqueue": lambda: enqueue(order), "related": order.customer.save, "delete": order.delete}[
            change
        ]()
    assert factories.outbox().exists()
    push_due()
    assert not factories.outbox().exists()
    assert len(sandbox.requests) == sent
    assert not Shipment.objects.exists()


def test_later_order_with_pruned_key_is_pushed(
    integration: Integration, sandbox: Any, keep_for: None, later: Callable[[float], None]
) -> None:
    """SQLite gives the key of a deleted row away again."""

    class Dated(ShopOrder):
        placed_at_field = "created"

    order = shipped(integration, sandbox, "delivered")
    pruning.prune()
    PrunedOrder.objects.update(pruned_at=order.created - dt.timedelta(days=1))
    later(60)
    with temporarily_registered(Dated, Order):
        order.city = "Utrecht"
        order.save()
        push_due()
    assert sandbox.shipment(str(order.pk))["city"] == "Utrecht"


def test_erased_order_leaves_no_trace(integration: Integration, sandbox: Any, keep_for: None) -> None:
    order = shipped(integration, sandbox, "delivered")
    pruning.prune()
    Order.objects.update(status="cancelled")
    erase(OrderRef.of(order))
    assert not PrunedOrder.objects.exists()


def test_unmatched_parcel_goes_in_its_time(integration: Integration, keep_for: None) -> None:
    for number, days in enumerate((99, 101)):
        Parcel.objects.create(integration=integration, remote_id=number)
        then = timezone.now() - dt.timedelta(days=days)
        Parcel.objects.filter(remote_id=number).update(updated_at=then)
    assert pruning.prune().parcels == 1
    assert Parcel.objects.get().remote_id == 0


def test_arrived_shipments_cost_constant_statements(integration: Integration, sandbox: Any, keep_for: None) -> None:
    def statements(number: int) -> int:
        for _ in range(number):
            shipped(integration, sandbox, "delivered")
        with CaptureQueriesContext(connection) as queries:
            assert pruning.prune().shipments == number
        return len(queries)

    assert statements(1) == statements(12)


def test_arrived_shipments_go_in_portions(
    integration: Integration, sandbox: Any, keep_for: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "CHUNK", 2)
    for _ in range(3):
        shipped(integration, sandbox, "delivered", shipments=3)
    assert pruning.prune().shipments == 9
    assert PrunedOrder.objects.count() == 3


def quoted(model: Any) -> str:
    return str(connection.ops.quote_name(model._meta.db_table))
