"""Orders that changed without a signal are found, once, however long nobody looked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError

from django_sendcloud.adapters import temporarily_registered
from django_sendcloud.clock import clock
from django_sendcloud.models import EntryState, Integration, Position, Shipment
from django_sendcloud.sync import drift
from django_sendcloud.sync.pump import pump
from django_sendcloud.sync.record import paused
from tests import factories
from tests.shop.models import Order, WholesaleOrder
from tests.shop.sendcloud import ShopOrder

HOUR, DAY = 3600.0, 86_400.0


def written(**values: Any) -> Order:
    """An order that came into the table without a signal."""
    age = dt.timedelta(seconds=values.pop("age", 0.0))
    with paused():
        order = factories.order(**values)
    Order.objects.filter(pk=order.pk).update(modified=clock.now() - age)
    return order


def changed(order: Order, age: float = 0.0, **values: Any) -> None:
    Order.objects.filter(pk=order.pk).update(modified=clock.now() - dt.timedelta(seconds=age), **values)


def recorded() -> set[str]:
    return set(factories.outbox().values_list("order_pk", flat=True))


# -- where it goes on ---------------------------------------------------------------------------------


def test_after_three_days_it_goes_on_from_where_it_was(
    integration: Integration, later: Callable[[float], None]
) -> None:
    drift.scan()
    later(HOUR)
    early = written()
    later(3 * DAY)
    late = written()
    assert drift.scan() == 2
    assert recorded() == {str(early.pk), str(late.pk)}


def test_where_it_stands_is_in_the_database(integration: Integration, later: Callable[[float], None]) -> None:
    drift.scan()
    position = Position.objects.get()
    assert position.name == "drift shop.order"
    assert abs(position.until - clock.now()) < dt.timedelta(minutes=1)
    later(HOUR)
    drift.scan()
    assert (
        dt.timedelta(0)
        < Position.objects.get().until - position.until - dt.timedelta(hours=1)
        < dt.timedelta(minutes=1)
    )


def test_the_first_time_it_looks_back_for_a_day(integration: Integration) -> None:
    found = written(age=DAY)
    written(age=DAY + 2 * HOUR)
    assert drift.scan() == 1
    assert recorded() == {str(found.pk)}


def test_what_was_committed_long_after_the_time_it_bears_is_found(
    integration: Integration, later: Callable[[float], None]
) -> None:
    drift.scan()
    found = written(age=50 * 60)
    written(age=70 * 60)
    assert drift.scan() == 1
    assert recorded() == {str(found.pk)}


def test_a_scan_since_a_time_of_ones_own_moves_nothing(
    integration: Integration, later: Callable[[float], None]
) -> None:
    drift.scan()
    before = Position.objects.get().until
    later(DAY)
    order = written(age=4 * HOUR)
    later(HOUR)
    assert drift.scan(since=clock.now() - dt.timedelta(hours=1)) == 0
    assert Position.objects.get().until == before
    assert drift.scan(since=clock.now() - dt.timedelta(hours=6)) == 1
    assert Position.objects.get().until == before
    assert recorded() == {str(order.pk)}


def test_one_that_failed_is_done_again(
    integration: Integration, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    drift.scan()
    before = Position.objects.get().until
    later(DAY)
    order = written(age=10 * HOUR)

    def fail(*args: Any) -> Any:
        raise RuntimeError("the database is away")

    with monkeypatch.context() as patched:
        patched.setattr(drift, "_looked_at", fail)
        with pytest.raises(RuntimeError):
            drift.scan()
    assert Position.objects.get().until == before
    assert drift.scan() == 1
    assert recorded() == {str(order.pk)}


# -- what it records ----------------------------------------------------------------------------------


def test_what_sendcloud_was_told_since_is_not_recorded(
    integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    order = written()
    later(60)
    drift.scan()
    pump()
    assert sandbox.shipment(str(order.pk))
    factories.forget_transaction()
    assert drift.scan() == 0
    later(60)
    changed(order, address="Markt 1")
    later(60)
    assert drift.scan() == 1
    pump()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"


@pytest.mark.parametrize("told", [0, 1])
def test_of_several_shipments_the_one_told_longest_ago_decides(
    integration: Integration, later: Callable[[float], None], told: int
) -> None:
    order = factories.order(shipments=2)
    pump()
    factories.forget_transaction()
    later(60)
    changed(order)
    later(60)
    Shipment.objects.filter(pk=Shipment.objects.order_by("pk")[told].pk).update(told_at=clock.now())
    assert drift.scan() == 1


def test_what_waits_to_be_looked_at_anyway_is_not_recorded_again(
    integration: Integration, later: Callable[[float], None]
) -> None:
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
def test_what_was_refused_or_given_up_is_recorded_if_it_has_changed_since(
    integration: Integration, later: Callable[[float], None], state: EntryState
) -> None:
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


def test_an_order_that_was_refused_and_corrected_by_a_bulk_write_arrives(
    integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    order = factories.order(country="XX")
    pump()
    assert factories.outbox().get().state == EntryState.REJECTED
    factories.forget_transaction()
    later(60)
    changed(order, country="NL")
    later(60)
    drift.scan()
    pump()
    assert sandbox.shipment(str(order.pk))
    assert not factories.outbox().exists()


# -- children with an adapter of their own ------------------------------------------------------------


class WithChangedAt(ShopOrder):
    related = {}
    queryset = None


class WithoutChangedAt(WithChangedAt):
    changed_at = ""


@pytest.mark.parametrize(("adapter", "expected"), [(WithChangedAt, {"shop.wholesaleorder"}), (WithoutChangedAt, set())])
def test_rows_of_a_child_with_an_adapter_of_its_own_are_left_to_it(
    integration: Integration, adapter: Any, expected: set[str]
) -> None:
    with paused():
        WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    with temporarily_registered(adapter, WholesaleOrder):
        assert drift.scan() == len(expected)
        assert set(factories.outbox().values_list("order_type", flat=True)) == expected
        assert {position.name for position in Position.objects.all()} == {
            "drift shop.order",
            *(f"drift {name}" for name in expected),
        }


def test_rows_of_a_child_without_one_are_orders_like_any_other(integration: Integration) -> None:
    with paused():
        order = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    assert drift.scan() == 1
    assert set(factories.outbox().values_list("order_type", "order_pk")) == {("shop.order", str(order.pk))}


def test_one_kind_of_order_that_cannot_be_read_keeps_no_other_from_being_looked_at(
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
