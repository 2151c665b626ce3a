"""Test order: made at Sendcloud, seen there, deleted again; through both API generations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from django_sendcloud.core.clock import clock
from django_sendcloud.exceptions import AuthenticationError
from django_sendcloud.models import Integration, OutboxEntry, Shipment
from django_sendcloud.payloads import preflight
from django_sendcloud.sync.send_test_order import payload_for_test, send_test_order

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("generation", ["v2", "v3"], indirect=True)]


def there(sandbox: Any, generation: str) -> list[Any]:
    return sandbox.orders() if generation == "v3" else sandbox.shipments()


def test_order_is_made_seen_and_deleted(integration: Integration, sandbox: Any, generation: str) -> None:
    sent = send_test_order(integration)
    assert sent.works
    assert there(sandbox, generation) == []
    methods = [request.method for request in sandbox.requests]
    assert "POST" in methods
    assert not Shipment.objects.exists()
    assert not OutboxEntry.objects.exists()
    integration.refresh_from_db()
    assert integration.last_success_at is not None


def test_refused_keys_make_nothing(integration: Integration, sandbox: Any, generation: str) -> None:
    sandbox.revoke_credentials()
    with pytest.raises(AuthenticationError):
        send_test_order(integration)
    integration.refresh_from_db()
    assert integration.last_success_at is None


def test_order_is_marked_and_without_advice(integration: Integration, generation: str) -> None:
    payload = payload_for_test("TEST-1", clock.now())
    assert payload.name.startswith("TEST ORDER")
    assert [note for note in preflight(payload) if note.level in ("rejected", "advice")] == []


def test_operator_sends_a_test_order(
    integration: Integration, sandbox: Any, generation: str, log_in: Callable[..., Client]
) -> None:
    url = reverse("admin:django_sendcloud_integration_action", args=[integration.pk, "test_order"])
    operator = log_in("operator")
    assert "whose number begins with TEST" in operator.post(url).content.decode()
    assert sandbox.requests == []
    response = operator.post(url, {"confirmed": "yes", "number": "1"})
    assert "orders arrive" in " ".join(map(str, get_messages(response.wsgi_request)))
    assert there(sandbox, generation) == []
    assert log_in("viewer").post(url).status_code == 403
