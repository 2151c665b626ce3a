"""Drift: each order that changed without a signal is found once, however late the scan."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from django_sendcloud.core.clock import clock
from django_sendcloud.models import Checkpoint, DriftMark, EntryState, Integration, Shipment
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync import drift
from django_sendcloud.sync.record import paused
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order, WholesaleOrder
from tests.shop.sendcloud import ShopOrder

pytestmark = pytest.mark.long

HOUR, DAY = 3600.0, 86_400.0


def written(**values: Any) -> Order:
    """Create an order without a signal."""
    age = dt.timedelta(seconds=values.pop("age", 0.0))
    with paused():
        order = factories.order(**values)
    Order.objects.filter(pk=order.pk).update(modified=clock.now() - age)
    return order


def changed(order: Order, age: float = 0.0, **values: Any) -> None:
    Order.objects.filter(pk=order.pk).update(modified=clock.now() - dt.timedelta(seconds=age), **values)


def recorded() -> set[str]:
    return set(factories.outbox().values_list("order_pk", flat=True))


# -- checkpoints -------------------------------------------------------------------------------------


def test_scan_after_three_days_continues_from_checkpoint(
    integration: Integration, later: Callable[[float], None]
) -> None:
    drift.scan()
    later(HOUR)
    early = written()
    later(3 * DAY)
    late = written()
    assert drift.scan() == 2
    assert recorded() == {str(early.pk), str(late.pk)}


def test_scan_position_is_kept_in_database(integration: Integration, later: Callable[[float], None]) -> None:
    drift.scan()
    position = Checkpoint.objects.get()
    assert position.name == "drift shop.order"
    assert abs(position.until - clock.now()) < dt.timedelta(minutes=1)
    later(HOUR)
    drift.scan()
    assert (
        dt.timedelta(0)
        < Checkpoint.objects.get().until - position.until - dt.timedelta(hours=1)
        < dt.timedelta(minutes=1)
    )


def test_first_scan_looks_back_one_day(integration: Integration) -> None:
    found = written(age=DAY)
    written(age=DAY + 2 * HOUR)
    assert drift.scan() == 1
    assert recorded() == {str(found.pk)}


def test_late_commit_within_one_hour_is_found(integration: Integration, later: Callable[[float], None]) -> None:
    """A transaction may commit long after the time in its ``modified`` column: scans overlap by an hour."""
    drift.scan()
    found = written(age=50 * 60)
    written(age=70 * 60)
    assert drift.scan() == 1
    assert recorded() == {str(found.pk)}


def test_scan_since_given_time_keeps_checkpoint(integration: Integration, later: Callable[[float], None]) -> None:
    drift.scan()
    before = Checkpoint.objects.get().until
    later(DAY)
    order = written(age=4 * HOUR)
    later(HOUR)
    assert drift.scan(since=clock.now() - dt.timedelta(hours=1)) == 0
    assert Checkpoint.objects.get().until == before
    assert drift.scan(since=clock.now() - dt.timedelta(hours=6)) == 1
    assert Checkpoint.objects.get().until == before
    assert recorded() == {str(order.pk)}


def test_failed_scan_is_repeated(
    integration: Integration, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    drift.scan()
    before = Checkpoint.objects.get().until
    later(DAY)
    order = written(age=10 * HOUR)

    def fail(*args: Any) -> Any:
        raise RuntimeError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(drift, "_looked_at", fail)
        with pytest.raises(RuntimeError):
            drift.scan()
    assert Checkpoint.objects.get().until == before
    assert drift.scan() == 1
    assert recorded() == {str(order.pk)}


# -- recorded orders ----------------------------------------------------------------------------------


def test_order_pushed_since_change_is_not_recorded(
    integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    order = written()
    later(60)
    drift.scan()
    push_due()
    assert sandbox.shipment(str(order.pk))
    factories.forget_transaction()
    assert drift.scan() == 0
    later(60)
    changed(order, address="Markt 1")
    later(60)
    assert drift.scan() == 1
    push_due()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"


@pytest.mark.parametrize("pushed", [0, 1])
def test_oldest_push_among_shipments_decides(
    integration: Integration, later: Callable[[float], None], pushed: int
) -> None:
    order = factories.order(shipments=2)
    push_due()
    factories.forget_transaction()
    later(60)
    changed(order)
    later(60)
    Shipment.objects.filter(pk=Shipment.objects.order_by("pk")[pushed].pk).update(last_pushed_at=clock.now())
    assert drift.scan() == 1


def test_order_already_waiting_is_not_recorded(integration: Integration, later: Callable[[float], None]) -> None:
    """An outbox entry or an unfolded change will be pushed anyway."""
    waiting, merely_recorded = factories.order(), factories.order()
    factories.outbox().filter(order_pk=str(merely_recorded.pk)).delete()
    factories.forget_transaction()
    merely_recorded.save()
    factories.forget_transaction()
    later(60)
    changed(waiting)
    changed(merely_recorded)
    assert drift.scan() == 0
    assert set(factories.outbox().values_list("version", flat=True)) == {1}


@pytest.mark.parametrize("state", [EntryState.REJECTED, EntryState.DEAD])
def test_parked_order_changed_since_is_recorded(
    integration: Integration, later: Callable[[float], None], state: EntryState
) -> None:
    """An order that was rejected or dead-lettered returns to the outbox once it has changed."""
    corrected, left = factories.order(), factories.order()
    factories.outbox().update(state=state, error_code="rejected")
    factories.forget_transaction()
    later(60)
    assert drift.scan() == 0
    changed(corrected, address="Markt 1")
    later(60)
    assert drift.scan() == 1
    assert factories.outbox().get(order_pk=str(corrected.pk)).state == EntryState.PENDING
    assert factories.outbox().get(order_pk=str(left.pk)).state == state


def test_rejected_order_fixed_in_bulk_is_pushed(
    integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    order = factories.order(country="XX")
    push_due()
    assert factories.outbox().get().state == EntryState.REJECTED
    factories.forget_transaction()
    later(60)
    changed(order, country="NL")
    later(60)
    drift.scan()
    push_due()
    assert sandbox.shipment(str(order.pk))
    assert not factories.outbox().exists()


@pytest.mark.parametrize("status", ["cancelled", "paid"], ids=["not shippable", "unchanged at Sendcloud"])
def test_unchanged_order_is_recorded_once(
    integration: Integration, sandbox: Any, later: Callable[[float], None], status: str
) -> None:
    """Four scans overlap each other; an order that leads to no push leaves no trace at Sendcloud."""
    order = factories.order(status=status)
    push_due()
    factories.forget_transaction()
    later(60)
    changed(order)
    scans = []
    for _ in range(8):
        later(900)
        scans.append(drift.scan())
        push_due()
        factories.forget_transaction()
    assert scans == [1, 0, 0, 0, 0, 0, 0, 0]
    assert not DriftMark.objects.exists(), "no longer than a scan looks back"


def test_order_modified_again_is_recorded_again(
    integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    order = written(status="cancelled")
    for _ in range(3):
        later(60)
        changed(order)
        later(60)
        assert drift.scan() == 1
        push_due()
        factories.forget_transaction()


def test_overlap_costs_constant_statements(integration: Integration, later: Callable[[float], None]) -> None:
    def statements(number: int) -> int:
        for _ in range(number):
            written(status="cancelled")
        factories.clear_outbox()
        with CaptureQueriesContext(connection) as queries:
            assert drift.scan() == number
        return len(queries)

    drift.scan()
    assert statements(2) == statements(40)


# -- children with an adapter of their own ------------------------------------------------------------


class WithChangedAt(ShopOrder):
    related = {}
    queryset = None


class WithoutChangedAt(WithChangedAt):
    changed_at_field = ""


@pytest.mark.parametrize(("adapter", "expected"), [(WithChangedAt, {"shop.wholesaleorder"}), (WithoutChangedAt, set())])
def test_child_with_own_adapter_is_scanned_separately(
    integration: Integration, adapter: Any, expected: set[str]
) -> None:
    with paused():
        WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    with temporarily_registered(adapter, WholesaleOrder):
        assert drift.scan() == len(expected)
        assert set(factories.outbox().values_list("order_type", flat=True)) == expected
        assert {position.name for position in Checkpoint.objects.all()} == {
            "drift shop.order",
            *(f"drift {name}" for name in expected),
        }


def test_child_without_own_adapter_is_recorded(integration: Integration) -> None:
    """The rows of a child model without an adapter are orders of the parent."""
    with paused():
        order = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    assert drift.scan() == 1
    assert set(factories.outbox().values_list("order_type", "order_pk")) == {("shop.order", str(order.pk))}


def test_f37_unreadable_model_leaves_other_models_scanned(
    integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = drift._scan

    def scan(adapter: Any, since: dt.datetime) -> int:
        if adapter.model is WholesaleOrder:
            raise OperationalError("no such table")
        return original(adapter, since)

    monkeypatch.setattr(drift, "_scan", scan)
    found = written()
    with temporarily_registered(ShopOrder, WholesaleOrder), monkeypatch.context() as patched:
        # It comes first.
        first, second = drift.registry._adapters.items()
        patched.setattr(drift.registry, "_adapters", dict([second, first]))
        with pytest.raises(OperationalError):
            drift.scan()
    assert recorded() == {str(found.pk)}
