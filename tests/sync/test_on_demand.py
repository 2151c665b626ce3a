"""Withdrawal of a shipment by a person, while changes of its order wait."""

from __future__ import annotations

from typing import Any

import pytest

from django_sendcloud.exceptions import ServerError
from django_sendcloud.models import Change, Integration, Shipment, ShipmentStatus
from django_sendcloud.sync.fold import fold
from django_sendcloud.sync.on_demand import Busy, withdraw
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order


@pytest.fixture
def order(integration: Integration, sandbox: Any) -> Order:
    order = factories.order()
    push_due()
    factories.forget_transaction()
    return order


def shipment() -> Shipment:
    return Shipment.objects.select_related("integration__account").get()


def test_withdrawal_without_change_leaves_nothing_to_do(order: Order, sandbox: Any) -> None:
    withdraw(shipment())
    assert sandbox.shipment(str(order.pk)) is None
    assert shipment().status == ShipmentStatus.DELETED
    assert not factories.outbox().exists()
    assert not Change.objects.exists()


@pytest.mark.parametrize("folded", [False, True])
def test_change_recorded_before_withdrawal_restores_shipment(order: Order, sandbox: Any, folded: bool) -> None:
    order.address = "Markt 1"
    order.save()
    if folded:
        factories.outbox()
    else:
        assert Change.objects.exists()
    withdraw(shipment())
    assert sandbox.shipment(str(order.pk)) is None
    assert shipment().status == ShipmentStatus.DELETED
    waiting = factories.outbox().get()
    assert waiting.lease == ""
    push_due()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"
    assert not factories.outbox().exists()


@pytest.mark.parametrize("folded", [False, True])
def test_change_recorded_during_withdrawal_restores_shipment(
    order: Order, sandbox: Any, monkeypatch: pytest.MonkeyPatch, folded: bool
) -> None:
    from django_sendcloud.api.v2.shipments import Shipments

    original, pushed = Shipments.delete, []

    def meanwhile(self: Shipments, integration_id: int, **which: Any) -> Any:
        order.address = "Markt 1"
        order.save()
        if folded:
            # The worker has to see that the withdrawal has leased the order.
            fold()
            pushed.append(push_due())
        return original(self, integration_id, **which)

    with monkeypatch.context() as patched:
        patched.setattr(Shipments, "delete", meanwhile)
        before = sandbox.count("POST", "/shipments")
        withdraw(shipment())
    assert sandbox.count("POST", "/shipments") == before, "no worker has pushed it meanwhile"
    assert sandbox.shipment(str(order.pk)) is None
    assert factories.outbox().count() == 1
    drain()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"


def test_withdrawal_of_leased_order_is_busy(order: Order, sandbox: Any) -> None:
    from django_sendcloud.sync.claim import claim

    order.save()
    factories.outbox()
    held = claim(10)
    assert len(held.entries) == 1
    factories.forget_transaction()
    order.save()
    with pytest.raises(Busy):
        withdraw(shipment())
    assert factories.outbox().get().lease == held.lease
    assert sandbox.shipment(str(order.pk))


def test_failed_withdrawal_keeps_change(order: Order, sandbox: Any) -> None:
    order.address = "Markt 1"
    order.save()
    sandbox.fail_next(500, match="POST delete")
    with pytest.raises(ServerError):
        withdraw(shipment())
    waiting = factories.outbox().get()
    assert (waiting.lease, waiting.in_doubt) == ("", True)
    assert shipment().status == ShipmentStatus.SYNCED
    drain()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 1"
