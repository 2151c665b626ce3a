"""Keys by webhook: used only while an operator waits for them, and only if Sendcloud accepts them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_sendcloud import signals
from django_sendcloud.models import EventState, Integration, PauseReason, WebhookEvent
from django_sendcloud.webhooks import apply, follow_ups, signature

from .messages import BEGIN, post, raw


@pytest.fixture
def waiting(integration: Integration) -> Integration:
    """Return an integration whose keys are no longer valid and whose window for new keys is open."""
    integration.public_key, integration.secret_key = "old-public", "old-secret"  # type: ignore[assignment]
    integration.keys_by_webhook_until = timezone.now() + dt.timedelta(minutes=15)
    integration.save()
    return integration


def offer(client: Any, integration: Integration, sandbox: Any, **changes: Any) -> int:
    """Post the keys as Sendcloud does: signed with the secret among them."""
    payload = {
        "action": "integration_credentials",
        "timestamp": BEGIN,
        "integration_id": sandbox.integration_id,
        "public_key": sandbox.public_key,
        "secret_key": sandbox.secret_key,
        **changes,
    }
    body = raw(payload)
    return int(post(client, integration, body, signature=signature.sign(body, payload["secret_key"])).status_code)


def stored() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT body FROM django_sendcloud_webhookevent")
        return "".join(row[0] for row in cursor.fetchall())


def test_keys_within_window_are_tried_and_used(client: Any, waiting: Integration, sandbox: Any) -> None:
    heard: list[dict[str, Any]] = []
    signals.webhook_received.connect(receive := lambda **kwargs: heard.append(kwargs))
    waiting.pause(PauseReason.CREDENTIALS)
    try:
        assert offer(client, waiting, sandbox) == 200
        assert sandbox.secret_key not in stored(), "encrypted while they wait"
        apply.drain()
    finally:
        signals.webhook_received.disconnect(receive)
    waiting.refresh_from_db()
    assert (waiting.public_key, waiting.secret_key.reveal()) == (sandbox.public_key, sandbox.secret_key)
    assert "old-secret" in waiting.webhook_secrets()
    assert waiting.keys_by_webhook_until is None, "the window is closed behind them"
    assert not waiting.is_paused
    event = WebhookEvent.objects.get()
    assert event.state == EventState.PROCESSED
    assert not event.body
    assert sandbox.secret_key not in str(heard[0]["payload"])


@pytest.mark.parametrize("until", [None, dt.timedelta(seconds=-1)])
def test_keys_outside_window_are_rejected(
    client: Any, waiting: Integration, sandbox: Any, until: dt.timedelta | None
) -> None:
    Integration.objects.update(keys_by_webhook_until=None if until is None else timezone.now() + until)
    assert offer(client, waiting, sandbox) == 403
    assert not WebhookEvent.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "parcel_status_changed"},
        {"integration_id": 4711},
        {"public_key": ""},
        {"public_key": None},
        {"public_key": "é"},
        {"public_key": "a\r\nHost: evil"},
    ],
)
def test_other_body_with_own_signature_is_rejected(
    client: Any, waiting: Integration, sandbox: Any, changes: dict[str, Any]
) -> None:
    assert offer(client, waiting, sandbox, **changes) == 403
    assert not WebhookEvent.objects.exists()


def test_signature_with_another_secret_is_rejected(client: Any, waiting: Integration, sandbox: Any) -> None:
    body = raw({"action": "integration_credentials", "public_key": "p", "secret_key": "s"})
    assert post(client, waiting, body, signature=signature.sign(body, "t")).status_code == 403


@pytest.mark.parametrize("key", ['"\\ud800"', '"\\u0000"', '["a"]', "1", "{}", "NaN"])
def test_malformed_keys_are_rejected_without_error(client: Any, waiting: Integration, key: str) -> None:
    body = b'{"action": "integration_credentials", "public_key": "p", "secret_key": %b}' % key.encode()
    assert post(client, waiting, body, signature="0" * 64).status_code == 403
    assert not WebhookEvent.objects.exists()


def test_keys_rejected_by_sendcloud_change_nothing(client: Any, waiting: Integration, sandbox: Any) -> None:
    assert offer(client, waiting, sandbox, secret_key="made-up") == 200
    apply.drain()
    waiting.refresh_from_db()
    assert waiting.secret_key.reveal() == "old-secret"
    event = WebhookEvent.objects.get()
    assert event.note == {"code": "keys_rejected"}
    assert not event.body


def test_keys_are_retried_while_sendcloud_fails(client: Any, waiting: Integration, sandbox: Any) -> None:
    assert offer(client, waiting, sandbox) == 200
    sandbox.stop()
    apply.drain()
    event = WebhookEvent.objects.get()
    assert event.state == EventState.RECEIVER_FAILED
    assert event.due_at is not None
    sandbox.start()
    apply.drain(now=event.due_at + dt.timedelta(seconds=1))
    waiting.refresh_from_db()
    assert waiting.secret_key.reveal() == sandbox.secret_key


def test_keys_are_erased_after_last_attempt(
    client: Any, waiting: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow_ups, "ATTEMPTS", 1)
    offer(client, waiting, sandbox)
    sandbox.stop()
    apply.drain()
    event = WebhookEvent.objects.get()
    assert (event.state, event.due_at) == (EventState.RECEIVER_FAILED, None)
    assert not event.body
