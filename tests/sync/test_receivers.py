"""Receivers of every model that stands for an order's row; they never make the shop's own save fail."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from django_sendcloud import OrderAdapter, enqueue
from django_sendcloud.models import Change, Integration, Shipment
from django_sendcloud.payloads import ShipmentPayload, Status
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync import record as recording
from django_sendcloud.sync.record import record
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import clear_outbox, forget_transaction
from tests.shop.models import Bundle, Customer, Order, OrderLine, OrderProxy, WholesaleOrder


def recorded() -> set[tuple[str, str]]:
    return set(Change.objects.values_list("order_type", "order_pk"))


@pytest.fixture
def order(db: None) -> Order:
    order = factories.order(lines=1)
    clear_outbox()
    return order


class OfAnAdapter(OrderAdapter[Any]):
    def get_shipments(self, order: Any) -> Iterator[ShipmentPayload]:
        yield ShipmentPayload(
            external_order_id=f"W-{order.pk}",
            order_number=order.number,
            order_status=Status(id="paid", message="Paid"),
            name="Jane Doe",
            address=order.address,
            postal_code=order.postal_code,
            city=order.city,
            country=order.country,
            created_at=order.created,
            parcel_items=[],
        )


# -- models of one row ----------------------------------------------------------------------------------


def test_child_is_recorded_by_either_models_signals(db: None) -> None:
    with temporarily_registered(OfAnAdapter, WholesaleOrder):
        child = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
        assert recorded() == {("shop.wholesaleorder", str(child.pk))}
        clear_outbox()
        # Code that loads the same row as its parent does not know of the child.
        Order.objects.get(pk=child.pk).save()
        assert ("shop.order", str(child.pk)) in recorded()


def test_child_recorded_as_parent_is_pushed_once(sandbox: Any, integration: Integration) -> None:
    with temporarily_registered(OfAnAdapter, WholesaleOrder):
        child = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
        plain = factories.order()
        clear_outbox()
        Order.objects.get(pk=child.pk).save()
        OrderLine.objects.create(order_id=child.pk)
        enqueue(Order.objects.all())
        while factories.outbox().exists():
            factories.outbox().update(due_at="2020-01-01T00:00:00Z")
            push_due()
            forget_transaction()
        assert {s["external_order_id"] for s in sandbox.shipments()} == {f"W-{child.pk}", str(plain.pk)}
        assert set(Shipment.objects.values_list("order_type", flat=True)) == {"shop.wholesaleorder", "shop.order"}


def test_child_saved_through_parents_proxy_is_recorded(db: None) -> None:
    from tests.shop.sendcloud import ShopOrder

    del ShopOrder
    child = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
    clear_outbox()
    OrderProxy.objects.get(pk=child.pk).save()
    assert recorded() == {("shop.order", str(child.pk))}


class Bundled(OfAnAdapter):
    related = {Bundle: "orders"}


@pytest.mark.parametrize("change", ["add", "remove", "clear", "set", "save", "delete"])
@pytest.mark.parametrize("end", ["bundle", "order"])
def test_related_m2m_change_is_recorded(db: None, change: str, end: str) -> None:
    """Both ends of the relation are watched, before a row goes: afterwards its orders can no longer be found."""
    with temporarily_registered(Bundled, WholesaleOrder):
        child = WholesaleOrder.objects.create(number="W-1", customer=factories.customer())
        bundle = Bundle.objects.create()
        if change != "add":
            bundle.orders.add(child)
        clear_outbox()
        here, other = (bundle.orders, child) if end == "bundle" else (child.bundles, bundle)
        {
            "add": lambda: here.add(other),
            "remove": lambda: here.remove(other),
            "clear": lambda: here.clear(),
            "set": lambda: here.set([]),
            "save": lambda: bundle.save(),
            "delete": lambda: bundle.delete(),
        }[change]()
        assert recorded() == {("shop.wholesaleorder", str(child.pk))}


# -- without a transaction ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_line_in_autocommit_is_recorded_before_commit() -> None:
    """A process may die between the commit and ``post_save``."""
    order = factories.order(lines=1)
    line = order.lines.get()
    clear_outbox()
    statements: list[str] = []

    def note(execute: Any, sql: str, *args: Any) -> Any:
        if "django_sendcloud_change" in sql or "shop_orderline" in sql:
            statements.append(sql.split()[0] + " " + ("ours" if "django_sendcloud" in sql else "line"))
        return execute(sql, *args)

    with connection.execute_wrapper(note):
        line.quantity = 7
        line.save()
    assert statements.index("INSERT ours") < statements.index("UPDATE line")
    assert statements[-1] == "INSERT ours"


# -- saves of the shop never fail ----------------------------------------------------------------------


class Careless(OfAnAdapter):
    related = {Customer: lambda customer: [1 / 0]}


def test_failing_related_callable_does_not_fail_save(db: None, caplog: pytest.LogCaptureFixture) -> None:
    with temporarily_registered(Careless, WholesaleOrder), caplog.at_level(logging.ERROR, "django_sendcloud"):
        customer = factories.customer(name="Jane Secret")
    assert customer.pk
    assert "Careless.related[Customer] failed: ZeroDivisionError." in caplog.text
    assert "Secret" not in caplog.text


def test_invalid_settings_do_not_fail_save(order: Order, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "DEBOUNCE_SECONDS": "soon", "LEESE_SECONDS": 3}
    with transaction.atomic(), caplog.at_level(logging.ERROR, "django_sendcloud"):
        order.save()
    assert recorded() == {("shop.order", str(order.pk))}
    assert "DEBOUNCE_SECONDS" in caplog.text
    assert "LEESE_SECONDS" in caplog.text


def test_too_long_key_is_logged_not_recorded(db: None, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "django_sendcloud"):
        assert record("shop.unknown", ["x" * 256, "x" * 255]) == 1
    assert "255 characters" in caplog.text
    assert "xxx" not in caplog.text


# -- the one form of a key ------------------------------------------------------------------------------


def test_order_key_is_recorded_in_one_form(db: None) -> None:
    """An instance keeps its key as it was given. The database returns it in another form."""
    key = uuid.uuid4()
    customer = factories.customer()
    clear_outbox()
    for written in (key, str(key), str(key).upper(), key.hex, f"{{{key}}}"):
        forget_transaction()
        order = Order(pk=written, number="1", customer=customer)
        order._state.adding = not Order.objects.exists()
        order.save(update_fields=None if order._state.adding else ["number"])
    assert recorded() == {("shop.order", str(key))}


def test_orders_above_remembered_number_cost_rows(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "REMEMBERED", 3)
    orders = [factories.order(lines=0) for _ in range(5)]
    clear_outbox()
    for _ in range(2):
        for order in orders:
            order.save()
    assert Change.objects.count() == 5 + 2
    assert factories.outbox().count() == 5
