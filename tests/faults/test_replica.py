"""F33: reads that go to a lagging replica, and pushes that still carry the committed state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import router

from django_sendcloud import enqueue, paused
from django_sendcloud.models import Integration, OutboxEntry, Shipment
from django_sendcloud.orders import OrderRef
from django_sendcloud.registry import registry, temporarily_registered
from django_sendcloud.routers import primary_reads
from django_sendcloud.sync.drift import scan
from django_sendcloud.sync.preview import preview_orders, preview_stored
from django_sendcloud.sync.worker import push_due
from django_sendcloud.webhooks import apply, inbox
from tests import factories
from tests.factories import clear_outbox, forget_transaction
from tests.shop.models import Customer, Order, OrderLine
from tests.shop.sendcloud import ShopOrder
from tests.webhooks.messages import parcel, raw

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "elsewhere"])


class LaggingReplica:
    """The router of Django's documentation, for all models."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "elsewhere"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True


class SilentReplica:
    """A router that says nothing of relations, and leaves other apps alone."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.app_label == "shop" else None

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"


@pytest.fixture(params=[LaggingReplica, SilentReplica])
def order(request: pytest.FixtureRequest, sandbox: Any, sendcloud_settings: Any, settings: Any) -> Order:
    """Return an order whose copy on the replica is older: it has another customer's name and no lines."""
    factories.integration(sandbox)
    order = factories.order(lines=2, city="Eindhoven")
    with paused():
        old = Customer(pk=order.customer_id, name="Old Name", email="old@example.com")
        old.save(using="elsewhere")
        Order.objects.using("elsewhere").bulk_create(
            [Order(pk=order.pk, number=order.number, customer_id=order.customer_id, city="Oldtown", status="cancelled")]
        )
    settings.DATABASE_ROUTERS = [f"{__name__}.{request.param.__name__}"]
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
    push_due()
    shipment = sandbox.shipment(str(order.pk))
    assert len(shipment["parcel_items"]) == 2
    assert (shipment["name"], shipment["city"]) == ("Jane Doe", "Eindhoven")
    assert Shipment.objects.get().status == "synced"


def test_f33_preview_reads_primary(order: Order, adapter: type[Any]) -> None:
    from_replica = Order.objects.get()
    assert from_replica._state.db == "elsewhere"
    found = preview_stored(OrderRef.of(from_replica))
    assert found is not None
    (payload,) = found.payloads
    assert (payload.city, len(payload.parcel_items)) == ("Eindhoven", 2)


@pytest.mark.long
def test_f33_own_rows_are_read_from_primary(order: Order) -> None:
    """Foreign keys are followed on the primary as well."""
    push_due()
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


WAYS: dict[str, Callable[[], object]] = {
    "sync": lambda: call_command("sendcloud_sync", "--all", "--no-push", stdout=StringIO()),
    "enqueue": lambda: enqueue(Order.objects.all()),
    "instances": lambda: enqueue(list(Order.objects.all())),
    "named replica": lambda: enqueue(Order.objects.using("elsewhere")),
    "save": lambda: Order.objects.get().save(update_fields=["number"]),
    "customer": lambda: Customer.objects.get().save(update_fields=["email"]),
    "drift": scan,
}


@pytest.mark.parametrize("way", WAYS)
def test_f33_replica_names_no_other_order(order: Order, sandbox: Any, way: str) -> None:
    """``sendcloud_sync`` once recorded the replica's orders, as those of another database."""
    clear_outbox()
    WAYS[way]()
    assert set(factories.outbox().values_list("order_type", flat=True)) == {"shop.order"}
    OutboxEntry.objects.update(due_at="2020-01-01T00:00:00Z")
    push_due()
    assert sandbox.shipment(str(order.pk))["city"] == "Eindhoven"


def test_f33_commands_know_fresh_orders(order: Order, sandbox: Any) -> None:
    with paused():
        factories.order(number="FRESH")
    out = StringIO()
    call_command("sendcloud_preview", "--all", stdout=out)
    assert "2 orders examined" in out.getvalue()
    call_command("sendcloud_sync", "--all", stdout=StringIO())
    assert {shipment["order_number"] for shipment in sandbox.shipments()} == {order.number, "FRESH"}


def test_f33_previews_are_of_primary(order: Order) -> None:
    (found,) = preview_orders(registry.responsible(Order), [order.pk])
    assert (found.is_shippable, found.ref.order_type) == (True, "shop.order")


class ReadingAdapter(ShopOrder):
    """An adapter that reads the database when a parcel moves."""

    phase_statuses = {"in_transit": "shipped"}
    heard: list[Any] = []

    def on_parcel(self, order: Order, parcel: Any, change: Any) -> None:
        fresh = Order.objects.get(pk=order.pk)
        self.heard.append((order.status, fresh.status, fresh.city, OrderLine.objects.filter(order=order).count()))


def test_f33_hook_of_parcel_reads_primary(order: Order) -> None:
    ReadingAdapter.heard = []
    with temporarily_registered(ReadingAdapter, Order):
        push_due()
        forget_transaction()
        inbox.store(Integration.objects.get(), raw(parcel(3, order_number=order.number)))
        apply.drain()
    assert ReadingAdapter.heard == [("shipped", "shipped", "Eindhoven", 2)]
