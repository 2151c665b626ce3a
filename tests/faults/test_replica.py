"""F33: reads that go to a lagging replica, and pushes that still carry the committed state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import router

from django_sendcloud import paused
from django_sendcloud.adapters import temporarily_registered
from django_sendcloud.models import Integration, Shipment
from django_sendcloud.registry import registry
from django_sendcloud.routers import primary_reads
from django_sendcloud.sync.push.plan import preview
from django_sendcloud.sync.worker import pump
from tests import factories
from tests.shop.models import Customer, Order, OrderLine
from tests.shop.sendcloud import ShopOrder

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "elsewhere"])


class LaggingReplica:
    """The router of Django's documentation, for all models."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "elsewhere"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


@pytest.fixture
def order(sandbox: Any, sendcloud_settings: Any, settings: Any) -> Order:
    """Return an order whose copy on the replica is older: it has another customer's name and no lines."""
    factories.integration(sandbox)
    order = factories.order(lines=2, city="Eindhoven")
    with paused():
        old = Customer(pk=order.customer_id, name="Old Name", email="old@example.com")
        old.save(using="elsewhere")
        Order.objects.using("elsewhere").bulk_create(
            [Order(pk=order.pk, number=order.number, customer_id=order.customer_id, city="Oldtown", status="cancelled")]
        )
    settings.DATABASE_ROUTERS = [f"{__name__}.LaggingReplica"]
    return order


class Lazy(ShopOrder):
    """An adapter that follows every relation lazily and queries the database in ``is_shippable``."""

    queryset = None

    def is_shippable(self, order: Order) -> bool:
        return OrderLine.objects.filter(order=order).count() == 2

    def get_integration(self, order: Order) -> Integration | None:
        return Integration.objects.get()


@pytest.fixture(params=[ShopOrder, Lazy])
def adapter(request: pytest.FixtureRequest) -> Iterator[type[Any]]:
    with temporarily_registered(request.param, Order):
        yield request.param


@pytest.mark.long
def test_f33_lagging_replica_changes_nothing_pushed(order: Order, adapter: type[Any], sandbox: Any) -> None:
    pump()
    shipment = sandbox.shipment(str(order.pk))
    assert len(shipment["parcel_items"]) == 2
    assert (shipment["name"], shipment["city"]) == ("Jane Doe", "Eindhoven")
    assert Shipment.objects.get().status == "synced"


def test_f33_preview_reads_primary(order: Order, adapter: type[Any]) -> None:
    from_replica = Order.objects.get()
    assert from_replica._state.db == "elsewhere"
    (payload,) = preview(from_replica)
    assert (payload.city, len(payload.parcel_items)) == ("Eindhoven", 2)


@pytest.mark.long
def test_f33_own_rows_are_read_from_primary(order: Order) -> None:
    """Foreign keys are followed on the primary as well."""
    pump()
    shipment = Shipment.objects.get()
    shipment = Shipment.objects.get(pk=shipment.pk)
    assert shipment.integration.remote_id
    assert shipment.integration._state.db == "default"
    assert shipment.integration.account._state.db == "default"


def test_f33_shop_keeps_its_replica(order: Order) -> None:
    assert router.db_for_read(Order) == "elsewhere"
    with primary_reads():
        assert router.db_for_read(Order) == "default"
        with primary_reads():
            pass
        assert router.db_for_read(Order) == "default"
    assert router.db_for_read(Order) == "elsewhere"
    assert registry.responsible(Order).model is Order
