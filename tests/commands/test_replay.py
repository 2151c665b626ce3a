"""``sendcloud_replay``: what failed is tried again, and nothing else."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_sendcloud.models import EntryState, EventState, WebhookEvent
from django_sendcloud.sync.worker import push_due
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
    push_due()
    assert factories.outbox().get().state == EntryState.REJECTED
    return order


def test_rejected_order_is_pushed_with_current_state(refused: Order, sandbox: Any) -> None:
    sandbox.reject_order(str(refused.pk), None)
    Order.objects.filter(pk=refused.pk).update(address="Markt 1")
    assert "1 order is tried again" in run()
    push_due()
    assert sandbox.shipment(str(refused.pk))["address"] == "Markt 1"
    assert not factories.outbox().exists()


def test_dry_run_changes_nothing(refused: Order) -> None:
    assert "1 order would be tried again" in run("--dry-run")
    assert factories.outbox().get().state == EntryState.REJECTED


def test_options_limit_the_replay(refused: Order) -> None:
    assert "0 orders" in run("orders", "--state", "dead")
    assert "0 orders" in run("orders", "--problem", "payload_invalid")
    assert "0 orders" in run("orders", "--since", "2999-01-01")
    assert "order" not in run("webhooks")
    assert factories.outbox().get().state == EntryState.REJECTED
    assert "1 order is" in run("orders", "--state", "rejected", "--since", "2020-01-01")


def test_failed_webhooks_are_replayed(integration: Any, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from django_sendcloud.webhooks import handlers

    def fail(*args: Any) -> Any:
        raise RuntimeError

    payload = {"action": "parcel_status_changed", "timestamp": 1, "parcel": {"id": 5, "status": {"id": 11}}}
    send_webhook(client, integration, payload)
    with monkeypatch.context() as patch:
        patch.setattr(handlers, "apply_event", fail)
        patch.setattr(apply, "ATTEMPTS", 1)
        apply.drain()
    assert WebhookEvent.objects.get().state == EventState.FAILED
    assert "0 webhooks" in run("webhooks", "--action", "return_created")
    assert "1 webhook is tried again" in run("webhooks")
    apply.drain()
    assert WebhookEvent.objects.get().state == EventState.PROCESSED
    assert integration.parcels.get().status_id == 11


def test_invalid_date_is_refused(db: None) -> None:
    with pytest.raises(CommandError, match=r"--since 31\.1\."):
        run("--since", "31.1.")


@pytest.mark.parametrize(
    ("zone", "at", "found"),
    [
        ("Europe/Amsterdam", "2026-01-30T23:30+00:00", 1),
        ("Europe/Amsterdam", "2026-01-30T22:30+00:00", 0),
        ("America/New_York", "2026-01-31T05:30+00:00", 1),
        ("America/New_York", "2026-01-31T04:30+00:00", 0),
    ],
)
def test_day_begins_in_the_shops_zone(refused: Order, settings: Any, zone: str, at: str, found: int) -> None:
    settings.TIME_ZONE = zone
    factories.outbox().update(changed_at=dt.datetime.fromisoformat(at))
    WebhookEvent.objects.create(
        integration_id=factories.outbox().get().integration_id,
        digest="a" * 64,
        body="x",
        state=EventState.FAILED,
        received_at=dt.datetime.fromisoformat(at),
    )
    said = run("--since", "2026-01-31", "--dry-run")
    assert f"{found} order{'' if found == 1 else 's'} would be" in said
    assert f"{found} webhook{'' if found == 1 else 's'} would be" in said
    run("orders", "--since", "2026-01-31")
    assert (factories.outbox().get().state == EntryState.PENDING) is bool(found)


def test_changed_rejected_order_counts_as_changed(refused: Order) -> None:
    """It waits already, as the order is now: there is nothing to be tried again."""
    factories.forget_transaction()
    refused.save()
    assert "0 orders" in run("orders")
    assert factories.outbox().get().state == EntryState.PENDING
