"""Requests that Sendcloud may have applied although the answer was lost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud.models import Integration, Shipment
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order


def push() -> None:
    long_ago = timezone.now() - dt.timedelta(days=1)
    factories.outbox().update(due_at=long_ago, not_before=long_ago)
    push_due()


def set_status(order: Order, status: str) -> None:
    forget_transaction()
    order.status = status
    order.save()


@pytest.fixture
def order(integration: Integration) -> Order:
    """Return an order that Sendcloud has."""
    created = factories.order(number="ORD-1001")
    push()
    return created


@pytest.mark.long
def test_deletion_after_unanswered_push_deletes_shipment(sandbox: Any, order: Order) -> None:
    """The order was deleted and pushed again, and the answer to that push was lost."""
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


@pytest.mark.long
def test_deletion_after_killed_push_deletes_shipment(
    sandbox: Any, order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status(order, "cancelled")
    push()
    set_status(order, "paid")
    with monkeypatch.context() as patched:
        # The worker is killed before it settles.
        patched.setattr("django_sendcloud.sync.push.ledger.settle", lambda *args: None)
        push()
    assert sandbox.shipment(str(order.pk))
    set_status(order, "cancelled")
    push()
    assert sandbox.shipments() == []


@pytest.mark.long
def test_deletion_with_unknown_uuid_deletes_shipment(sandbox: Any, order: Order) -> None:
    """Sendcloud created the shipment again, and the answer with its new UUID was lost."""
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
