"""Keys by webhook: only while an operator waits for them, and only if Sendcloud accepts them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_sendcloud import signals
from django_sendcloud.models import EventState, Integration, PauseReason, WebhookEvent
from django_sendcloud.webhooks import apply, signature

from .messages import BEGIN, post, raw


@pytest.fixture
def waiting(integration: Integration) -> Integration:
    """An integration with keys that are not valid any more, and the window open."""
    integration.public_key, integration.secret_key = "old-public", "old-secret"  # type: ignore[assignment]
    integration.keys_by_webhook_until = timezone.now() + dt.timedelta(minutes=15)
    integration.save()
    return integration


def offer(client: Any, integration: Integration, sandbox: Any, **changes: Any) -> int:
    """What Sendcloud sends: the keys, signed with the secret among them."""
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


def test_while_the_window_is_open_they_are_tried_and_used(client: Any, waiting: Integration, sandbox: Any) -> None:
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
def test_while_it_is_closed_they_are_refused(
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
def test_anything_else_signed_with_its_own_secret_is_refused(
    client: Any, waiting: Integration, sandbox: Any, changes: dict[str, Any]
) -> None:
    assert offer(client, waiting, sandbox, **changes) == 403
    assert not WebhookEvent.objects.exists()


def test_a_signature_with_another_secret_is_refused(client: Any, waiting: Integration, sandbox: Any) -> None:
    body = raw({"action": "integration_credentials", "public_key": "p", "secret_key": "s"})
    assert post(client, waiting, body, signature=signature.sign(body, "t")).status_code == 403


@pytest.mark.parametrize("key", ['"\\ud800"', '"\\u0000"', '["a"]', "1", "{}", "NaN"])
def test_keys_that_are_none_are_refused_without_an_error(client: Any, waiting: Integration, key: str) -> None:
    body = b'{"action": "integration_credentials", "public_key": "p", "secret_key": %b}' % key.encode()
    assert post(client, waiting, body, signature="0" * 64).status_code == 403
    assert not WebhookEvent.objects.exists()


def test_keys_sendcloud_does_not_accept_change_nothing(client: Any, waiting: Integration, sandbox: Any) -> None:
    assert offer(client, waiting, sandbox, secret_key="made-up") == 200
    apply.drain()
    waiting.refresh_from_db()
    assert waiting.secret_key.reveal() == "old-secret"
    event = WebhookEvent.objects.get()
    assert "does not accept" in event.error
    assert not event.body


def test_sendcloud_cannot_be_asked_and_they_are_tried_again(client: Any, waiting: Integration, sandbox: Any) -> None:
    assert offer(client, waiting, sandbox) == 200
    sandbox.stop()
    apply.drain()
    event = WebhookEvent.objects.get()
    assert event.state == EventState.RECEIVED
    sandbox.start()
    apply.drain(now=event.due_at + dt.timedelta(seconds=1))
    waiting.refresh_from_db()
    assert waiting.secret_key.reveal() == sandbox.secret_key


def test_given_up_they_are_forgotten(
    client: Any, waiting: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "ATTEMPTS", 1)
    offer(client, waiting, sandbox)
    sandbox.stop()
    apply.drain()
    event = WebhookEvent.objects.get()
    assert event.state == EventState.FAILED
    assert not event.body
