"""Which answer becomes which error: one closed table, from which callers decide without reading text."""

from __future__ import annotations

import ast
import datetime as dt
import email.utils
import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from ..enums import AuthScheme
from ..exceptions import (
    APIError,
    AuthenticationError,
    Conflict,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Redirected,
    RequestRejected,
    ServerError,
    TooLarge,
)
from .redact import flatten_errors, redact
from .transport import Answer

__all__ = ["MAX_RETRY_AFTER", "error_for", "read_retry_after"]

#: Seconds; a server that asks for more is not believed.
MAX_RETRY_AFTER: Final = 3600.0

_TABLE: Final[tuple[tuple[range, type[APIError], str], ...]] = (
    # The first row that holds the status counts. What no row holds is an answer nobody can read.
    (range(300, 400), Redirected, "a redirect, which is never followed because the credentials would go along"),
    (range(401, 402), AuthenticationError, "the credentials are refused"),
    (range(403, 404), PermissionDenied, "the credentials are known but not allowed to do this"),
    (range(404, 405), NotFound, "not found"),
    (range(409, 410), Conflict, "another request on the same resource is being processed"),
    (range(413, 414), TooLarge, "the request is larger than Sendcloud takes"),
    (range(429, 430), RateLimited, "too many requests"),
    (range(400, 500), RequestRejected, "the request is refused"),
    (range(500, 600), ServerError, "Sendcloud failed"),
)

#: What Sendcloud says is missing (contract: ``404-Integrations``, ``404-Shipments``).
_MISSING: Final = (
    ("no integration", "integration", "the integration does not exist, or belongs to another account"),
    ("no shipmentblob", "shipment", "the shipment does not exist"),
    ("no shipment", "shipment", "the shipment does not exist"),
    ("invalid cursor", "page", "the cursor does not exist any more; start again without it"),
)

_FIELD_MESSAGE: Final = re.compile(r"([A-Za-z_]\w{0,99}): (.+)", re.DOTALL)
_MAX_LITERAL: Final = 20_000
_MAX_NESTING: Final = 50


def error_for(
    answer: Answer,
    *,
    operation: str,
    integration_id: int | None = None,
    scheme: AuthScheme | None = None,
    sent: Iterable[str] = (),
    now: dt.datetime | None = None,
) -> APIError:
    """Return the error that an answer other than 2xx means.

    Args:
        answer: The answer.
        operation: What was being done.
        integration_id: With which integration.
        scheme: How we authenticated, for the hint that goes with a 401.
        sent: Texts that were sent, to be blacked out in messages.
        now: The time, for a ``Retry-After`` that names a date.
    """
    kind, cause = next(
        ((kind, cause) for statuses, kind, cause in _TABLE if answer.status in statuses),
        (InvalidResponse, "an answer with a status that HTTP does not know"),
    )
    message = _message(answer.body)
    context: dict[str, Any] = {
        "operation": operation,
        "integration_id": integration_id,
        "status": answer.status,
        "retry_after": read_retry_after(answer.headers.get("retry-after"), now),
    }
    if kind is NotFound:
        resource, cause = _missing(message, cause)
        return NotFound(cause, resource=resource, **context)
    if kind is AuthenticationError:
        return AuthenticationError(_authentication_hint(cause, message, scheme), **context)
    if issubclass(kind, RequestRejected):
        errors = _field_errors(message, sent)
        details = "; ".join(
            f"{path}: {' '.join(messages)}" if path else " ".join(messages) for path, messages in errors.items()
        )
        if len(details) > 500:
            details = f"{details[:499]}…"
        return kind(f"{cause}: {details}" if details else cause, errors=errors, **context)
    return kind(cause, **context)


def read_retry_after(value: str | None, now: dt.datetime | None = None) -> float | None:
    """Read a ``Retry-After`` header: seconds or a date; ``None`` where it is absent or nonsense.

    Never negative, never more than :data:`MAX_RETRY_AFTER`.
    """
    if not value or len(value) > 100:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = email.utils.parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=dt.UTC)
        seconds = max(0.0, (when - (now or dt.datetime.now(dt.UTC))).total_seconds())
    if math.isnan(seconds) or seconds < 0:
        return None
    return min(seconds, MAX_RETRY_AFTER)


def _message(body: bytes) -> object:
    """Dig the message out of an error's body (contract: ``{"error": {"code", "request", "message"}}``)."""
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = content.get("error", content) if isinstance(content, dict) else content
    if isinstance(error, dict) and "message" in error:
        error = error["message"]
    elif isinstance(error, dict) and set(error) == {"detail"}:
        error = error["detail"]
    return _literal(error) if isinstance(error, str) else error


def _literal(text: str) -> object:
    """Read a message that is a Python literal, as v2's validation errors are; any other stays text."""
    stripped = text.strip()
    if not stripped.startswith(("{", "[")) or len(stripped) > _MAX_LITERAL:
        return text
    if sum(map(stripped.count, "([{")) > _MAX_NESTING * 4 or _nesting(stripped) > _MAX_NESTING:
        return text
    try:
        return ast.literal_eval(stripped)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text


def _nesting(text: str) -> int:
    deepest = depth = 0
    for character in text:
        if character in "([{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in ")]}":
            depth -= 1
    return deepest


def _field_errors(message: object, sent: Iterable[str]) -> dict[str, list[str]]:
    """Turn a validation message into field errors.

    ``{'settings': ['webhook_url: This field may not be null.']}`` becomes
    ``{"webhook_url": ["This field may not be null."]}``: ``settings`` is no field anybody sent.
    """
    if not message:
        return {}
    if isinstance(message, dict) and isinstance(settings := message.get("settings"), list):
        rest = {key: value for key, value in message.items() if key != "settings"}
        for entry in settings:
            match = _FIELD_MESSAGE.fullmatch(entry) if isinstance(entry, str) else None
            name, text = match.groups() if match else ("settings", entry)
            rest[name] = [*rest.get(name, []), text]
        message = rest
    return flatten_errors(message, sent)


def _missing(message: object, cause: str) -> tuple[str, str]:
    text = message.lower() if isinstance(message, str) else ""
    for beginning, resource, explanation in _MISSING:
        if text.startswith(beginning):
            return resource, explanation
    return "", cause


def _authentication_hint(cause: str, message: object, scheme: AuthScheme | None) -> str:
    text = redact(message).lower()
    if scheme == AuthScheme.BASIC:
        if "oauth" in text:
            return f"{cause}: this integration demands OAuth2; use OAuth2ClientCredentials instead of the API keys"
        return (
            f"{cause}: compare the public and secret key with those in Sendcloud's panel under Settings > Integrations "
            "(an integration with OAuth2 authentication switched on refuses API keys)"
        )
    if scheme == AuthScheme.OAUTH2:
        return f"{cause}: Sendcloud does not accept the access token"
    return cause
