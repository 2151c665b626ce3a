"""A label is money: a shipment with one is not deleted, not doubled, and its conflict is an open task."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from django_sendcloud.admin.parcels.labels import printable
from django_sendcloud.core.clock import clock
from django_sendcloud.maintenance.erase import erase
from django_sendcloud.models import Integration, LabelConflict, Parcel, Shipment
from django_sendcloud.orders import OrderRef
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync import reconcile
from django_sendcloud.sync.push import frozen
from django_sendcloud.sync.record import paused
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import inbox
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw

pytestmark = pytest.mark.long


@pytest.fixture
def order(integration: Integration, sandbox: Any) -> Order:
    order = factories.order(number="ORD-77")
    drain()
    return order


def report(integration: Integration, status: int, hours: float, number: int = 1, **values: Any) -> None:
    label = {"label_printer": "https://panel.example/label"}
    body = parcel(status, BEGIN + int(hours * HOUR), id=number, order_number="ORD-77", label=label, **values)
    inbox.store(integration, raw(body))
    drain()


def change(**values: Any) -> None:
    order = Order.objects.get()
    for name, value in values.items():
        setattr(order, name, value)
    order.save()
    drain()


def conflict() -> tuple[str, list[str]]:
    return Shipment.objects.values_list("label_conflict", "label_differences").get()


def test_cancelled_order_keeps_its_label(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    assert printable(Parcel.objects.all()).count() == 1
    change(status="cancelled")
    assert sandbox.shipment(str(order.pk)), "not deleted"
    assert conflict() == ("cancelled", [])
    assert Shipment.objects.with_label_conflict().get().order_pk == str(order.pk)
    assert not printable(Parcel.objects.all()).exists(), "left out of bulk printing"
    assert not factories.outbox().exists()


@pytest.mark.long
def test_reinstated_order_settles_its_conflict(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    change(status="cancelled")
    change(status="paid")
    assert conflict() == ("", [])


@pytest.mark.long
def test_cancelled_label_lets_the_order_go(integration: Integration, sandbox: Any, order: Order) -> None:
    """The operator cancels the parcel at Sendcloud: now the cancelled order is deleted there."""
    report(integration, 1000, 0)
    change(status="cancelled")
    report(integration, 2000, 1)
    drain()
    assert sandbox.shipment(str(order.pk)) is None


@pytest.mark.parametrize("status", [1002, 2000])
def test_parcel_without_label_freezes_nothing(
    integration: Integration, sandbox: Any, order: Order, status: int
) -> None:
    report(integration, status, 0)
    change(status="cancelled")
    assert sandbox.shipment(str(order.pk)) is None


def test_return_freezes_nothing(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0, is_return=True)
    change(status="cancelled")
    assert sandbox.shipment(str(order.pk)) is None


def test_change_after_label_names_the_fields(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    change(city="Utrecht", postal_code="3511 AB")
    assert conflict() == ("changed", ["city", "postal_code"])
    assert not printable(Parcel.objects.all()).exists()
    factories.forget_transaction()
    change(modified=None)
    assert conflict() == ("changed", ["city", "postal_code"]), "it stands until somebody decides"
    change(city="Eindhoven", postal_code="5611 EM")
    assert conflict() == ("", []), "it is as the label says again"


def test_change_before_label_is_none(integration: Integration, sandbox: Any, order: Order) -> None:
    change(city="Utrecht")
    report(integration, 1000, 0)
    change(address="Markt 1")
    assert conflict() == ("changed", ["address"])


def test_status_is_no_change_of_the_label(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    change(status="shipped")
    assert conflict() == ("", [])
    assert sandbox.shipment(str(order.pk))["order_status"]["id"] == "shipped"


class Renamed(ShopOrder):
    """An adapter that names the shipments of an order in another way."""

    def get_shipments(self, order: Order) -> Iterator[Any]:
        for number, payload in enumerate(super().get_shipments(order)):
            yield payload.with_shipment_id(f"{order.pk}/{number}")


def test_labelled_shipment_is_not_offered_again(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    before = len(sandbox.shipments())
    with temporarily_registered(Renamed, Order):
        change(city="Utrecht")
    assert len(sandbox.shipments()) == before
    assert conflict() == (LabelConflict.REPLACED, [])


def delete(order: Order) -> str:
    pk = str(order.pk)
    order.delete()
    factories.forget_transaction()
    drain()
    return pk


def test_deleted_order_keeps_its_label(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    pk = delete(order)
    assert sandbox.shipment(pk)
    assert conflict() == ("cancelled", [])
    report(integration, 2000, 1)
    drain()
    assert sandbox.shipment(pk) is None, "without the label, it goes"


def test_erasing_deleted_order_takes_its_label(integration: Integration, sandbox: Any, order: Order) -> None:
    """A person decides to forget it."""
    report(integration, 1000, 0)
    pk = delete(order)
    erase(OrderRef.stored("shop.order", pk))
    assert sandbox.shipment(pk) is None
    assert not Shipment.objects.exists()


@pytest.mark.parametrize("end", ["cancelled", "deleted", "changed"])
def test_arrived_parcel_opens_no_conflict(integration: Integration, sandbox: Any, order: Order, end: str) -> None:
    """An order that is refunded, or purged after years: nothing is left to decide."""
    report(integration, 1000, 0)
    report(integration, 11, 1)
    if end == "deleted":
        delete(order)
    else:
        change(**{"cancelled": {"status": "cancelled"}, "changed": {"city": "Utrecht"}}[end])
    assert conflict() == ("", [])
    assert [shipment["city"] for shipment in sandbox.shipments()] == ["Eindhoven"]


def test_open_conflict_survives_arrival(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    change(city="Utrecht")
    report(integration, 11, 1)
    change(city="Breda")
    assert conflict() == ("changed", ["city"])


def test_change_after_label_is_not_pushed(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    before = sandbox.shipment(str(order.pk))
    change(city="Utrecht")
    assert sandbox.shipment(str(order.pk)) == before
    assert not factories.outbox().exists()
    report(integration, 2000, 1)
    drain()
    assert sandbox.shipment(str(order.pk))["city"] == "Utrecht", "without the label, it goes"
    assert conflict() == ("", [])


def test_goods_of_label_are_not_offered_again(integration: Integration, sandbox: Any) -> None:
    """A line moves from a labelled shipment to a new one; the parcel holds it all the same."""

    class Divided(ShopOrder):
        def get_shipments(self, order: Order) -> Iterator[Any]:
            (payload,) = super().get_shipments(order)
            for number, line in enumerate(payload.parcel_items if order.city == "Utrecht" else ()):
                shipment = str(order.pk) if number == 0 else f"{order.pk}/{number}"
                yield dataclasses.replace(payload, parcel_items=[line], external_shipment_id=shipment)
            if order.city != "Utrecht":
                yield payload

    with temporarily_registered(Divided, Order):
        factories.order(number="ORD-77", lines=2)
        drain()
        report(integration, 1000, 0)
        change(city="Utrecht")
        assert conflict() == ("changed", ["city", "parcel_items"])
        assert len(sandbox.shipments()) == 1
        report(integration, 2000, 1)
        drain()
        assert len(sandbox.shipments()) == 2


def test_labelled_shipment_missing_there_is_not_repaired(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    Shipment.objects.update(last_pushed_at=clock.now() - dt.timedelta(hours=1), mismatches=1)
    sandbox.delete_shipment(sandbox.shipment(str(order.pk))["shipment_uuid"])
    for _ in range(3):
        run = reconcile.compare(integration)
        assert run.missing == 0
        assert reconcile.repair(integration, run) == 0
    assert Shipment.objects.get().mismatches == 0


def test_labelled_shipment_without_order_is_not_repaired(integration: Integration, sandbox: Any, order: Order) -> None:
    report(integration, 1000, 0)
    with paused():
        order.delete()
    for _ in range(3):
        run = reconcile.compare(integration)
        assert run.orphaned == 0
        assert reconcile.repair(integration, run) == 0


def test_fingerprints_do_not_give_the_buyer_away(integration: Integration, order: Order, settings: Any) -> None:
    first = Shipment.objects.get().label_fields
    assert "Eindhoven" not in str(first)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    change(address="Markt 1")
    assert Shipment.objects.get().label_fields["city"] != first["city"]


def test_rotated_key_makes_no_conflict(integration: Integration, sandbox: Any, order: Order, settings: Any) -> None:
    report(integration, 1000, 0)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another"
    change(status="shipped")
    assert conflict() == ("", [])


def test_unknown_label_content_differs_in_nothing() -> None:
    key = {"": "k"}
    assert frozen.differences({}, {"city": "a"} | key) == []
    before, after = {"city": "a", "address": "b"} | key, {"city": "c", "name": "d"} | key
    assert frozen.differences(before, after) == ["address", "city", "name"]
