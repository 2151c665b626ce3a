"""What may have been applied without our knowing is not taken for undone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud.models import Integration, Shipment
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order


def push() -> None:
    long_ago = timezone.now() - dt.timedelta(days=1)
    factories.outbox().update(due_at=long_ago, not_before=long_ago)
    pump()


def set_status(order: Order, status: str) -> None:
    forget_transaction()
    order.status = status
    order.save()


@pytest.fixture
def order(integration: Integration) -> Order:
    """An order that Sendcloud has."""
    created = factories.order(number="ORD-1001")
    push()
    return created


def test_an_order_told_again_after_its_deletion_with_a_lost_answer_can_be_deleted_again(
    sandbox: Any, order: Order
) -> None:
    set_status(order, "cancelled")
    push()
    set_status(order, "paid")
    sandbox.drop_answer(after_apply=True)
    push()
    assert sandbox.shipment(str(order.pk)), "it was applied, and nobody here knows"
    set_status(order, "cancelled")
    push()
    assert sandbox.shipments() == []
    assert not factories.outbox().exists()


def test_so_can_one_whose_teller_died(sandbox: Any, order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    set_status(order, "cancelled")
    push()
    set_status(order, "paid")
    with monkeypatch.context() as patched:
        # It was killed before it could write anything down.
        patched.setattr("django_sendcloud.sync.push.settle", lambda *args: None)
        push()
    assert sandbox.shipment(str(order.pk))
    set_status(order, "cancelled")
    push()
    assert sandbox.shipments() == []


def test_an_order_made_anew_at_sendcloud_with_a_lost_answer_is_deleted_although_its_uuid_is_unknown(
    sandbox: Any, order: Order
) -> None:
    sandbox.delete_shipment(str(Shipment.objects.get().uuid))
    sandbox.drop_answer(after_apply=True)
    forget_transaction()
    order.address = "Markt 1"
    order.save()
    push()
    assert sandbox.shipment(str(order.pk))["shipment_uuid"] != str(Shipment.objects.get().uuid)
    set_status(order, "cancelled")
    push()
    assert sandbox.shipments() == []
    assert not factories.outbox().exists()
