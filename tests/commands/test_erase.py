"""``sendcloud_erase``: gone at Sendcloud, then gone here, and nothing half."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from django_sendcloud.models import Change, Integration, OutboxEntry, Parcel, ParcelStatus, Shipment, WebhookEvent
from django_sendcloud.sync.record import record
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import inbox
from tests import factories
from tests.shop.models import Order
from tests.webhooks.messages import parcel, raw


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcloud_erase", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def order(integration: Integration, sandbox: Any) -> Order:
    order = factories.order(number="CANARY-1")
    drain()
    shipment = sandbox.shipment(str(order.pk))
    inbox.store(integration, raw(parcel(shipment_uuid=shipment["shipment_uuid"], order_number="CANARY-1")))
    drain()
    assert Parcel.objects.for_order(order).count() == 1
    factories.clear_outbox()
    return order


def remembered() -> str:
    """Everything in our tables, as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("django_sendcloud"):
                cursor.execute(f"SELECT * FROM {table}")
                found += [repr(row) for row in cursor.fetchall()]
    return "\n".join(found)


def test_a_deleted_order_is_forgotten(order: Order, sandbox: Any) -> None:
    pk = str(order.pk)
    order.delete()
    factories.forget_transaction()
    assert "CANARY-1" in remembered()
    said = run(pk)
    assert sandbox.shipment(pk) is None
    for model in (Shipment, Parcel, ParcelStatus, WebhookEvent, OutboxEntry):
        assert not model._default_manager.exists(), model
    assert "CANARY-1" not in remembered()
    assert pk not in remembered()
    assert "1 parcels" in said


def test_a_cancelled_order_is_forgotten_and_stays_away(order: Order, sandbox: Any) -> None:
    Order.objects.update(status="cancelled")
    run(str(order.pk))
    assert sandbox.shipment(str(order.pk)) is None
    drain()
    assert not Shipment.objects.exists()


def test_an_order_that_is_still_shipped_is_not(order: Order, sandbox: Any) -> None:
    with pytest.raises(CommandError, match="Cancel it or delete it first"):
        run(str(order.pk))
    assert sandbox.shipment(str(order.pk))
    assert Parcel.objects.exists()


def test_while_sendcloud_has_not_confirmed_nothing_is_forgotten_here(order: Order, sandbox: Any) -> None:
    Order.objects.update(status="cancelled")
    sandbox.fail_next(500, times=3)
    with pytest.raises(CommandError, match="has not confirmed"):
        run(str(order.pk))
    assert Shipment.objects.exists()
    sandbox.clear_faults()
    drain()
    run(str(order.pk))
    assert not Shipment.objects.exists()


def test_others_are_not_touched(order: Order, sandbox: Any) -> None:
    other = factories.order(number="OTHER")
    drain()
    Order.objects.filter(pk=order.pk).update(status="cancelled")
    run(str(order.pk))
    assert sandbox.shipment(str(other.pk))
    assert Shipment.objects.get().order_pk == str(other.pk)


def test_by_number(order: Order, sandbox: Any) -> None:
    Order.objects.update(status="cancelled")
    assert "CANARY-1: forgotten" in run("CANARY-1", "--by-number")
    with pytest.raises(CommandError, match="No order with the number"):
        run("CANARY-1", "--by-number")


def test_repeated_it_says_that_there_was_nothing(order: Order) -> None:
    Order.objects.update(status="cancelled")
    run(str(order.pk))
    assert "0 shipments" in run(str(order.pk))


def test_an_unknown_model(order: Order) -> None:
    with pytest.raises(CommandError, match=r"shop\.Order"):
        run(str(order.pk), "--model", "shop.Nothing")


def test_what_was_recorded_and_not_folded_yet_is_forgotten_too(order: Order, sandbox: Any) -> None:
    """It is deleted at Sendcloud already, and still somebody has touched it since."""
    pk = str(order.pk)
    order.delete()
    drain()
    assert sandbox.shipment(pk) is None
    record("shop.order", [pk])
    factories.forget_transaction()
    assert Change.objects.get().order_pk == pk
    run(pk)
    assert not Change.objects.exists()
    assert pk not in remembered()


def test_it_does_not_wait_for_other_changes_to_come(order: Order, sandbox: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(DEBOUNCE_SECONDS=60)
    pk = str(order.pk)
    order.delete()
    factories.forget_transaction()
    assert "1 shipments" in run(pk)
    assert sandbox.shipment(pk) is None
    assert pk not in remembered()
