"""Orders whose key is inherited, or is not: a row has one key for each model that it is a row of."""

from __future__ import annotations

from typing import Any

import pytest

from django_sendcloud import OrderAdapter, enqueue, order_shipping
from django_sendcloud.models import Change, Integration, OutboxEntry, Shipment
from django_sendcloud.orders import OrderRef
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.drift import scan
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import clear_outbox, forget_transaction
from tests.shop.models import Order, OrderLine, OwnKeyOrder, Stamp, StampedOrder, Tag, Ticket, TicketOrder
from tests.shop.sendcloud import ShopOrder


def recorded() -> set[tuple[str, str]]:
    return set(Change.objects.values_list("order_type", "order_pk"))


def push() -> None:
    for _ in range(4):
        fold_all()
        OutboxEntry.objects.update(due_at="2020-01-01T00:00:00Z")
        push_due()
        forget_transaction()


@pytest.fixture
def order(db: None) -> OwnKeyOrder:
    """Return an order that the shop knows as W-1, and its adapter by the key of the parent."""
    order = OwnKeyOrder.objects.create(code="W-1", number="1", customer=factories.customer())
    assert recorded() == {("shop.order", str(order.id))}
    clear_outbox()
    return order


@pytest.mark.parametrize("change", ["save", "line", "enqueue", "bulk", "tag", "untag", "delete"])
def test_child_is_recorded_by_adapters_key(order: OwnKeyOrder, change: str) -> None:
    tag = Tag.objects.create(name="Gift")
    if change == "untag":
        order.tags.add(tag)
        clear_outbox()
    key = str(order.id)
    {
        "save": lambda: order.save(),
        "line": lambda: OrderLine.objects.create(order_id=order.id),
        "enqueue": lambda: enqueue(order),
        "bulk": lambda: enqueue(OwnKeyOrder.objects.all()),
        "tag": lambda: order.tags.add(tag),
        "untag": lambda: tag.orders.clear(),
        "delete": lambda: order.delete(),
    }[change]()
    assert recorded() == {("shop.order", key)}


def test_child_and_parent_are_one_order(integration: Integration, sandbox: Any) -> None:
    order = OwnKeyOrder.objects.create(code="W-1", number="1", customer=factories.customer())
    push()
    assert OrderRef.of(order) == OrderRef.of(Order.objects.get())
    assert len(sandbox.shipments()) == 1
    assert order_shipping(order).state == "synced"


class OfChildren(ShopOrder):
    queryset = OwnKeyOrder.objects.prefetch_related("lines")


@pytest.mark.parametrize("change", ["save", "line", "tag", "untag", "drift"])
def test_parents_change_reaches_childs_adapter(integration: Integration, sandbox: Any, change: str) -> None:
    """The change names the parent's key, and the adapter knows the order by the child's."""
    with temporarily_registered(OfChildren, OwnKeyOrder):
        order = OwnKeyOrder.objects.create(code="W-1", number="1", customer=factories.customer())
        tag = Tag.objects.create(name="Gift")
        order.tags.add(tag)
        push()
        assert list(Shipment.objects.values_list("order_type", "order_pk")) == [("shop.ownkeyorder", "W-1")]
        Order.objects.update(city="Utrecht")
        clear_outbox()
        {
            "save": lambda: Order.objects.get().save(),
            "line": lambda: OrderLine.objects.create(order_id=order.id),
            "tag": lambda: tag.orders.set([order.id], clear=True),
            "untag": lambda: tag.orders.clear(),
            "drift": lambda: (Order.objects.get().save(), clear_outbox(), scan()),
        }[change]()
        push()
        assert [shipment["city"] for shipment in sandbox.shipments()] == ["Utrecht"]
        assert Shipment.objects.count() == 1


def test_second_parent_has_keys_of_its_own(db: None) -> None:
    class OfStamped(OrderAdapter[Any]):
        pass

    with temporarily_registered(OfStamped, StampedOrder):
        Stamp.objects.create()
        order = StampedOrder.objects.create(number="1", customer=factories.customer())
        clear_outbox()
        Stamp.objects.get(pk=order.stamp).save()
        assert recorded() == {("shop.stampedorder", str(order.pk))}
        clear_outbox()
        Stamp.objects.exclude(pk=order.stamp).get().save()
        assert recorded() == set(), "no order"


def test_key_of_other_row_is_recorded(db: None) -> None:
    class OfTickets(OrderAdapter[Any]):
        related = {Ticket: "order"}

    with temporarily_registered(OfTickets, TicketOrder):
        ticket = Ticket.objects.create(title="Concert")
        order = TicketOrder.objects.create(ticket=ticket)
        for change in (order.save, ticket.save):
            clear_outbox()
            change()
            assert recorded() == {("shop.ticketorder", str(ticket.pk))}
