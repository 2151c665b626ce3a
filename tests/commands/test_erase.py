"""``sendcloud_erase``: gone at Sendcloud, then gone here, and nothing half."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_sendcloud import signals
from django_sendcloud.models import (
    Change,
    Integration,
    OutboxEntry,
    Parcel,
    ParcelStatus,
    Recheck,
    Shipment,
    WebhookEvent,
)
from django_sendcloud.sync.record import record
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import inbox
from tests import factories
from tests.databases import rows_as_text
from tests.shop.models import Order
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw

pytestmark = pytest.mark.long


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


def test_deleted_order_is_erased(order: Order, sandbox: Any) -> None:
    pk = str(order.pk)
    Recheck.objects.schedule([("shop.order", pk, timezone.now() + dt.timedelta(days=90))])
    order.delete()
    factories.forget_transaction()
    assert "CANARY-1" in rows_as_text()
    said = run(pk)
    assert sandbox.shipment(pk) is None
    for model in (Shipment, Parcel, ParcelStatus, WebhookEvent, OutboxEntry):
        assert not model._default_manager.exists(), model
    assert "CANARY-1" not in rows_as_text()
    assert pk not in rows_as_text()
    assert "1 parcels" in said


@pytest.mark.parametrize(
    "keys",
    [
        {"id": 4711},
        {"id": 5, "shipment_uuid": "…"},
        {"id": 5, "external_order_id": "…"},
        {"id": 5, "order_number": "CANARY-1"},
    ],
    ids=["parcel", "uuid", "order id", "number"],
)
def test_erased_parcel_does_not_come_back(
    order: Order, sandbox: Any, integration: Integration, keys: dict[str, Any]
) -> None:
    """The next webhook of the parcel, or the first one of another parcel of the order, leaves nothing behind."""
    pk, uuid = str(order.pk), sandbox.shipment(str(order.pk))["shipment_uuid"]
    order.delete()
    factories.forget_transaction()
    run(pk)
    named = {name: {"shipment_uuid": uuid, "external_order_id": pk}.get(name, value) for name, value in keys.items()}
    for body in (parcel(11, BEGIN + HOUR, **{"order_number": None, "name": "CANARY-1", **named}), parcel(3, id=99)):
        inbox.store(integration, raw(body))
    heard: list[Any] = []
    signals.webhook_received.connect(hear := lambda **kwargs: heard.append(kwargs["payload"]["parcel"]["id"]))
    try:
        drain()
    finally:
        signals.webhook_received.disconnect(hear)
    assert [parcel.remote_id for parcel in Parcel.objects.all()] == heard == [99]
    assert "CANARY-1" not in rows_as_text()
    dropped = WebhookEvent.objects.get(parcel=None)
    assert (dropped.state, dropped.note, bool(dropped.body)) == ("processed", {"code": "erased"}, False)


@pytest.mark.long
def test_reused_order_number_is_not_erased(order: Order, sandbox: Any, integration: Integration) -> None:
    pk = str(order.pk)
    order.delete()
    factories.forget_transaction()
    run(pk)
    again = factories.order(number="CANARY-1")
    drain()
    uuid = sandbox.shipment(str(again.pk))["shipment_uuid"]
    inbox.store(integration, raw(parcel(3, id=5, shipment_uuid=uuid, order_number="CANARY-1")))
    drain()
    assert Parcel.objects.for_order(again).count() == 1


def test_cancelled_order_is_erased_for_good(order: Order, sandbox: Any) -> None:
    Order.objects.update(status="cancelled")
    run(str(order.pk))
    assert sandbox.shipment(str(order.pk)) is None
    drain()
    assert not Shipment.objects.exists()


def test_shippable_order_is_not_erased(order: Order, sandbox: Any) -> None:
    with pytest.raises(CommandError, match="Cancel it or delete it first"):
        run(str(order.pk))
    assert sandbox.shipment(str(order.pk))
    assert Parcel.objects.exists()


def test_unconfirmed_deletion_keeps_local_rows(order: Order, sandbox: Any) -> None:
    Order.objects.update(status="cancelled")
    sandbox.fail_next(500, times=3)
    with pytest.raises(CommandError, match="has not confirmed"):
        run(str(order.pk))
    assert Shipment.objects.exists()
    sandbox.clear_faults()
    drain()
    run(str(order.pk))
    assert not Shipment.objects.exists()


def test_other_orders_are_not_erased(order: Order, sandbox: Any) -> None:
    other = factories.order(number="OTHER")
    drain()
    Order.objects.filter(pk=order.pk).update(status="cancelled")
    run(str(order.pk))
    assert sandbox.shipment(str(other.pk))
    assert Shipment.objects.get().order_pk == str(other.pk)


def test_order_is_erased_by_number(order: Order, sandbox: Any) -> None:
    Order.objects.update(status="cancelled")
    assert "CANARY-1: forgotten" in run("CANARY-1", "--by-number")
    with pytest.raises(CommandError, match="No order with the number"):
        run("CANARY-1", "--by-number")


def test_repeated_erase_finds_nothing(order: Order) -> None:
    Order.objects.update(status="cancelled")
    run(str(order.pk))
    assert "0 shipments" in run(str(order.pk))


def test_unknown_model_is_refused(order: Order) -> None:
    with pytest.raises(CommandError, match=r"shop\.Order"):
        run(str(order.pk), "--model", "shop.Nothing")


def test_unfolded_changes_are_erased(order: Order, sandbox: Any) -> None:
    """It is deleted at Sendcloud already, and was touched since."""
    pk = str(order.pk)
    Parcel.objects.update(phase="cancelled")
    order.delete()
    drain()
    assert sandbox.shipment(pk) is None
    record("shop.order", [pk])
    factories.forget_transaction()
    assert Change.objects.get().order_pk == pk
    run(pk)
    assert not Change.objects.exists()
    assert pk not in rows_as_text()


def test_erase_ignores_changes_of_others(order: Order, sandbox: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(DEBOUNCE_SECONDS=60)
    pk = str(order.pk)
    order.delete()
    factories.forget_transaction()
    assert "1 shipments" in run(pk)
    assert sandbox.shipment(pk) is None
    assert pk not in rows_as_text()
