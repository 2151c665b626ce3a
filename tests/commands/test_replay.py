"""``sendcloud_replay``: what failed is tried again, and nothing else."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_sendcloud.models import EntryState, EventState, WebhookEvent
from django_sendcloud.sync.pump import pump
from django_sendcloud.testing import send_webhook
from django_sendcloud.webhooks import apply
from tests import factories
from tests.shop.models import Order


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sendcloud_replay", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def refused(integration: Any, sandbox: Any) -> Order:
    order = factories.order()
    sandbox.reject_order(str(order.pk), {"address": ["Cannot be found."]})
    pump()
    assert factories.outbox().get().state == EntryState.REJECTED
    return order


def test_a_refused_order_is_sent_as_it_is_now(refused: Order, sandbox: Any) -> None:
    sandbox.reject_order(str(refused.pk), None)
    Order.objects.filter(pk=refused.pk).update(address="Markt 1")
    assert "1 order is tried again" in run()
    pump()
    assert sandbox.shipment(str(refused.pk))["address"] == "Markt 1"
    assert not factories.outbox().exists()


def test_a_dry_run_changes_nothing(refused: Order) -> None:
    assert "1 order would be tried again" in run("--dry-run")
    assert factories.outbox().get().state == EntryState.REJECTED


def test_only_what_was_asked_for(refused: Order) -> None:
    assert "0 orders" in run("orders", "--state", "dead")
    assert "0 orders" in run("orders", "--problem", "payload_invalid")
    assert "0 orders" in run("orders", "--since", "2999-01-01")
    assert "order" not in run("webhooks")
    assert factories.outbox().get().state == EntryState.REJECTED
    assert "1 order is" in run("orders", "--state", "rejected", "--since", "2020-01-01")


def test_failed_webhooks(integration: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django_sendcloud.webhooks import handlers

    def fail(*args: Any) -> Any:
        raise RuntimeError

    payload = {"action": "parcel_status_changed", "timestamp": 1, "parcel": {"id": 5, "status": {"id": 11}}}
    send_webhook(client, integration, payload)
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "handle", fail)
        patch.setattr(apply, "ATTEMPTS", 1)
        apply.drain()
    assert WebhookEvent.objects.get().state == EventState.FAILED
    assert "0 webhooks" in run("webhooks", "--action", "return_created")
    assert "1 webhook is tried again" in run("webhooks")
    apply.drain()
    assert WebhookEvent.objects.get().state == EventState.PROCESSED
    assert integration.parcels.get().status_id == 11


def test_a_date_that_is_none(db: None) -> None:
    with pytest.raises(CommandError, match=r"--since 31\.1\."):
        run("--since", "31.1.")
