"""Keys that come by webhook, as registered platforms' connect flow sends them.

Such a webhook is signed with the very secret it carries, so anybody can make one. It is taken only while an operator
has opened the window for it, and its keys are used only once Sendcloud itself has accepted them.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.utils import timezone

from ..enums import WebhookAction
from ..exceptions import AuthenticationError, NotFound, PermissionDenied
from ..models import Integration, PauseReason
from . import signature

__all__ = ["REMOVED", "WINDOW", "adopt", "are_offered", "without_keys"]

REMOVED = "(removed)"

#: How long the window stays open.
WINDOW = dt.timedelta(minutes=15)


def are_offered(integration: Integration, raw: bytes, header: str | None) -> bool:
    """Whether this body brings keys for this integration, is signed with them, and the window is open."""
    until = integration.keys_by_webhook_until
    if until is None or timezone.now() > until:
        return False
    payload = _read(raw)
    keys = [payload.get("public_key"), payload.get("secret_key")]
    return (
        payload.get("action") == WebhookAction.INTEGRATION_CREDENTIALS
        and all(isinstance(key, str) and key and key.isascii() and key.isprintable() for key in keys)
        and payload.get("integration_id", integration.remote_id) == integration.remote_id
        and signature.verify(raw, header, [payload["secret_key"]])
    )


def without_keys(body: str) -> str:
    """The body of such a webhook without the keys it carries; any other as it is."""
    if WebhookAction.INTEGRATION_CREDENTIALS.value not in body:
        return body
    payload = _read(body)
    if payload.get("action") != WebhookAction.INTEGRATION_CREDENTIALS:
        return body
    return json.dumps({key: REMOVED if "key" in key else value for key, value in payload.items()})


def adopt(integration: Integration, payload: dict[str, Any]) -> str:
    """Use these keys from now on, if Sendcloud accepts them (operation: GET /integrations/{id}).

    Returns:
        What became of it, in a sentence.

    Raises:
        APIError: Sendcloud could not be asked.
    """
    candidate = Integration(
        remote_id=integration.remote_id,
        public_key=payload["public_key"],
        secret_key=payload["secret_key"],
        auth_scheme=integration.auth_scheme,
    )
    try:
        with candidate.client() as client:
            remote = client.integrations.get(integration.remote_id)
    except (AuthenticationError, PermissionDenied, NotFound):
        return "Sendcloud does not accept these keys; those that were there are still in use."
    integration.replace_secret_key(payload["secret_key"])
    integration.public_key = payload["public_key"]
    integration.keys_by_webhook_until = None
    integration.apply_remote(remote)
    keys = ("public_key", "secret_key", "previous_secret_key", "previous_secret_key_until", "keys_by_webhook_until")
    integration.save(update_fields=[*keys, *Integration.REMOTE_FIELDS])
    if integration.paused_reason in (PauseReason.CREDENTIALS, PauseReason.GONE):
        integration.resume()
    return "Sendcloud accepts these keys; they are in use now."


def _read(body: str | bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}
