"""Keys that come by webhook, in the connect flow of registered platforms.

Such a webhook is signed with the very secret it carries, so anyone can make one. It is accepted only while an operator
has opened the window for it, and its keys are used only after Sendcloud itself has accepted them.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from ..enums import WebhookAction
from ..exceptions import AuthenticationError, NotFound, PermissionDenied
from ..hidden import HiddenDict, hide
from ..models import Integration, PauseReason
from . import signature

__all__ = ["REMOVED", "WINDOW", "adopt", "are_offered", "without_keys"]

REMOVED = "(removed)"

#: Time for which the window stays open.
WINDOW = dt.timedelta(minutes=15)


def are_offered(integration: Integration, raw: bytes, header: str | None) -> bool:
    """Return whether a body brings keys for this integration, signed with them, while the window is open."""
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
    """Return the body of such a webhook without the keys it carries, and any other body as it is."""
    if WebhookAction.INTEGRATION_CREDENTIALS.value not in body:
        return body
    payload = _read(body)
    if payload.get("action") != WebhookAction.INTEGRATION_CREDENTIALS:
        return body
    return json.dumps({key: REMOVED if "key" in key else value for key, value in payload.items()})


def adopt(integration: Integration, payload: Mapping[str, Any]) -> str:
    """Use these keys if Sendcloud accepts them (operation: GET /integrations/{id}).

    Returns:
        ``keys_accepted`` or ``keys_rejected``.

    Raises:
        APIError: Sendcloud could not be asked.
    """
    candidate = Integration(
        remote_id=integration.remote_id,
        public_key=str(payload["public_key"]),
        secret_key=payload["secret_key"],
        auth_scheme=integration.auth_scheme,
    )
    try:
        with candidate.client() as client:
            remote = integration.read(client)
    except (AuthenticationError, PermissionDenied, NotFound):
        return "keys_rejected"
    integration.replace_secret_key(payload["secret_key"])
    integration.public_key = candidate.public_key
    integration.keys_by_webhook_until = None
    integration.apply_remote(remote)
    keys = ("public_key", "secret_key", "previous_secret_key", "previous_secret_key_until", "keys_by_webhook_until")
    integration.save(update_fields=[*keys, *Integration.REMOTE_FIELDS])
    if integration.paused_reason in (PauseReason.CREDENTIALS, PauseReason.GONE):
        integration.resume()
    return "keys_accepted"


def _read(body: str | bytes) -> HiddenDict:
    try:
        payload = hide(json.loads(body))
    except (ValueError, RecursionError):
        return HiddenDict()
    return payload if isinstance(payload, HiddenDict) else HiddenDict()
