"""Failures of webhooks, as the merchant sees them: the integration's state and its connection log."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from .store import Store
from .webhooks import Attempt, DeliveredWebhook

__all__ = ["note_attempt"]


def note_attempt(store: Store, webhook: DeliveredWebhook, attempt: Attempt) -> None:
    """Store the outcome of an attempt to deliver a webhook.

    "If after 10 tries, the call is still failing, Sendcloud will stop trying, and report the issue to your Failed
    Request logs" (https://sendcloud.dev/api/v2/webhooks).
    """
    with store.lock:
        integration = store.integrations.get(webhook.integration_id)
        if integration is None:
            return
        if attempt.fine != (integration.failing_since is None):
            integration.failing_since = None if attempt.fine else store.clock()
        if webhook.state == "failed":
            store.note(integration.id, _log_entry(webhook, attempt))


def _log_entry(webhook: DeliveredWebhook, attempt: Attempt) -> dict[str, Any]:
    """Return the entry of a failed webhook for the connection log (contract v2: ``IntegrationLog``)."""
    target = urlsplit(webhook.url)
    # The address may hold a password.
    place = target._replace(netloc=target.netloc.rpartition("@")[2])
    entry: dict[str, Any] = {
        "base_url": f"{place.scheme}://{place.netloc}",
        "full_url": place.geturl(),
        "method": "POST",
        "request": {"headers": dict(webhook.headers), "payload": webhook.payload},
    }
    if attempt.status is not None:
        return entry | {
            "response_code": attempt.status,
            "response": {"headers": dict(attempt.headers), "body": attempt.body},
            "exception": f"The webhook was answered with HTTP {attempt.status}.",
        }
    return entry | {"exception_type": attempt.exception_type, "exception": attempt.exception}
