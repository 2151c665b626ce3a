"""The shop ships only what it should ship: not orders of long ago, and not those an adapter leaves alone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud import NotShippable, enqueue
from django_sendcloud.maintenance.erase import erase
from django_sendcloud.models import Integration, OutboxEntry, Shipment
from django_sendcloud.orders import OrderRef
from django_sendcloud.registry import registry, temporarily_registered
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import clear_outbox, forget_transaction
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

LONG_AGO = dt.datetime(2019, 5, 1, tzinfo=dt.UTC)


def push() -> None:
    fold_all()
    OutboxEntry.objects.update(due_at=timezone.now() - dt.timedelta(seconds=1))
    push_due()
    forget_transaction()


@pytest.fixture
def old_order(integration: Integration) -> Order:
    """Return an order from before the integration was connected, never at Sendcloud."""
    order = factories.order()
    Order.objects.update(created=LONG_AGO)
    clear_outbox()
    order.refresh_from_db()
    return order


def test_related_change_never_creates_old_order(old_order: Order, sandbox: Any) -> None:
    old_order.customer.email = "new@example.com"
    old_order.customer.save()
    push()
    assert sandbox.shipments() == []
    assert not OutboxEntry.objects.exists()
    assert not Shipment.objects.exists()


def test_broken_old_order_is_not_rejected(old_order: Order, sandbox: Any) -> None:
    """With ``placed_at_field`` named, its age is known without a payload."""
    Order.objects.update(country="ZZ")

    class Dated(ShopOrder):
        placed_at_field = "created"

    with _instead(Dated):
        old_order.customer.save()
        push()
        assert not OutboxEntry.objects.exists()


@pytest.mark.parametrize("change", ["save", "enqueue", "save and customer", "customer and save"])
def test_own_change_creates_old_order(old_order: Order, sandbox: Any, change: str) -> None:
    {
        "save": old_order.save,
        "enqueue": lambda: enqueue(old_order),
        "save and customer": lambda: (old_order.save(), old_order.customer.save()),
        "customer and save": lambda: (old_order.customer.save(), old_order.save()),
    }[change]()
    push()
    assert len(sandbox.shipments()) == 1


def test_related_change_updates_order_at_sendcloud(old_order: Order, sandbox: Any) -> None:
    old_order.save()
    push()
    old_order.customer.email = "new@example.com"
    old_order.customer.save()
    push()
    assert sandbox.shipment(str(old_order.pk))["email"] == "new@example.com"


def test_related_change_creates_new_order(integration: Integration, sandbox: Any) -> None:
    order = factories.order()
    clear_outbox()
    order.customer.save()
    push()
    assert len(sandbox.shipments()) == 1


# -- left alone -----------------------------------------------------------------------------------------


class LeavesAlone(ShopOrder):
    def is_shippable(self, order: Order) -> bool | NotShippable | None:
        if order.status == "archived":
            return None
        return order.status == "paid" or NotShippable("unpaid", "The order is not paid.")


class _instead:
    """Another adapter for the shop's orders, within the block."""

    def __init__(self, adapter: type[Any]) -> None:
        self._registered = temporarily_registered(adapter, Order)

    def __enter__(self) -> None:
        self._registered.__enter__()

    def __exit__(self, *exc_info: Any) -> None:
        self._registered.__exit__(*exc_info)


def test_order_left_alone_is_not_created(integration: Integration, sandbox: Any) -> None:
    with _instead(LeavesAlone):
        factories.order(status="archived", country="ZZ")
        push()
        assert sandbox.shipments() == []
        assert not OutboxEntry.objects.exists()


def test_order_left_alone_stays_at_sendcloud(integration: Integration, sandbox: Any) -> None:
    with _instead(LeavesAlone):
        order = factories.order()
        push()
        requests = len(sandbox.requests)
        order.status, order.city = "archived", "Utrecht"
        order.save()
        push()
        assert len(sandbox.requests) == requests
        assert not OutboxEntry.objects.exists()
        assert sandbox.shipment(str(order.pk))["city"] == "Eindhoven"


def test_order_with_reason_is_deleted(integration: Integration, sandbox: Any) -> None:
    with _instead(LeavesAlone):
        order = factories.order()
        push()
        order.status = "open"
        order.save()
        push()
        assert sandbox.shipments() == []
        adapter = registry.responsible(Order)
        assert adapter.is_shippable(order) == NotShippable("unpaid", "The order is not paid.")


def test_order_left_alone_can_be_erased(integration: Integration, sandbox: Any) -> None:
    with _instead(LeavesAlone):
        order = factories.order()
        push()
        Order.objects.update(status="archived")
        assert erase(OrderRef.of(order)).shipments == 1
        assert sandbox.shipments() == []
        assert not Shipment.objects.exists()
        assert not OutboxEntry.objects.exists()


def test_order_left_alone_is_never_rejected(integration: Integration, sandbox: Any) -> None:
    """Neither what it was rejected for before, nor its recheck at another time, asks for a fix."""

    class Rechecked(LeavesAlone):
        def recheck_at(self, order: Order) -> Any:
            return "soon" if order.status == "archived" else None

    with _instead(Rechecked):
        order = factories.order(country="ZZ")
        push()
        assert OutboxEntry.objects.get().state == "rejected"
        order.status = "archived"
        order.save()
        push()
        assert not OutboxEntry.objects.exists()


def test_order_left_alone_is_deleted_when_gone(integration: Integration, sandbox: Any) -> None:
    with _instead(LeavesAlone):
        order = factories.order()
        push()
        order.status = "archived"
        order.save()
        push()
        assert len(sandbox.shipments()) == 1
        order.delete()
        push()
        assert sandbox.shipments() == []
