"""The closed table from an answer to an error, by which callers decide without reading text."""

from __future__ import annotations

import ast
import datetime as dt
import email.utils
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ..enums import AuthScheme
from ..exceptions import (
    APIError,
    AuthenticationError,
    InvalidResponse,
    NotFound,
    PermissionDenied,
    RateLimited,
    Redirected,
    RequestRejected,
    ServerError,
    StillProcessing,
    TooLarge,
    WrongAddress,
)
from .jsonapi import ErrorItem, read_items
from .redact import flatten_errors, redact
from .transport import Response

__all__ = ["MAX_RETRY_AFTER", "error_for", "read_retry_after", "wrong_address"]

#: Seconds; a server that asks for more is not believed.
MAX_RETRY_AFTER: Final = 3600.0

_TABLE: Final[tuple[tuple[range, type[APIError], str], ...]] = (
    # The first row that holds the status counts. A status outside all rows is an unreadable answer.
    (range(300, 400), Redirected, "a redirect, which is never followed because the credentials would go along"),
    (range(401, 402), AuthenticationError, "the credentials are rejected"),
    (range(403, 404), PermissionDenied, "the credentials are known but not allowed to do this"),
    (range(404, 405), NotFound, "not found"),
    (range(409, 410), StillProcessing, "an earlier request for the same thing is still being processed"),
    (range(413, 414), TooLarge, "the request is larger than Sendcloud takes"),
    (range(429, 430), RateLimited, "too many requests"),
    (range(400, 500), RequestRejected, "the request is rejected"),
    (range(500, 600), ServerError, "Sendcloud failed"),
)

#: Beginnings of Sendcloud's sentences about something missing (v2: ``404-Integrations``, ``404-Shipments``).
_MISSING: Final = (
    ("no integration", "integration", "the integration does not exist, or belongs to another account"),
    (
        "the integration could not be found",
        "integration",
        "the integration does not exist, or belongs to another account",
    ),
    ("integration with id", "integration", "the integration does not exist, or belongs to another account"),
    ("no shipmentblob", "shipment", "the shipment does not exist"),
    ("no shipment", "shipment", "the shipment does not exist"),
    ("the order could not be found", "order", "the order does not exist"),
    ("invalid cursor", "page", "the cursor does not exist any more; start again without it"),
)
_EXPLANATIONS: Final = {resource: explanation for _, resource, explanation in _MISSING}

#: The beginning of v3's 400 for an order that an earlier request still changes.
_STILL_PROCESSING: Final = "we are still processing"

_FIELD_MESSAGE: Final = re.compile(r"([A-Za-z_]\w{0,99}): (.+)", re.DOTALL)
_MAX_LITERAL: Final = 20_000
_MAX_NESTING: Final = 50
_MAX_MESSAGES: Final = 200


def error_for(
    response: Response,
    *,
    operation: str,
    integration_id: int | None = None,
    scheme: AuthScheme | None = None,
    sent: Iterable[str] = (),
    resource: str = "",
    now: dt.datetime | None = None,
) -> APIError:
    """Return the error that an answer means. The status decides first, the body refines.

    Args:
        response: An answer the operation does not count as success.
        operation: The operation, in words.
        integration_id: Sendcloud's id of the integration concerned.
        scheme: How the request was authenticated, for the hint that goes with a 401.
        sent: Texts that were sent, to be blacked out in messages.
        resource: The thing a v3 404 with the code ``not_found`` means, unless its text says otherwise.
        now: The time, for a ``Retry-After`` that names a date.
    """
    kind, cause = next(
        ((kind, cause) for statuses, kind, cause in _TABLE if response.status in statuses),
        (InvalidResponse, "an answer with a status that means nothing here"),
    )
    content = _content(response.body)
    items = read_items(content)
    message = "; ".join(item.detail for item in items) if items else _message(content)
    context: dict[str, Any] = {
        "operation": operation,
        "integration_id": integration_id,
        "status": response.status,
        "retry_after": read_retry_after(response.headers.get("retry-after"), now),
    }
    if kind is RequestRejected and _is_still_processing(items):
        return StillProcessing(_cause_of(StillProcessing), **context)
    if kind is RequestRejected and _names_unknown_integration(items):
        return NotFound(_EXPLANATIONS["integration"], resource="integration", **context)
    if kind is NotFound:
        found, cause = _missing(message, items, resource, cause)
        return NotFound(cause, resource=found, **context)
    if kind is AuthenticationError:
        oauth2_required = scheme == AuthScheme.BASIC and "oauth" in redact(message).lower()
        return AuthenticationError(
            _authentication_hint(cause, scheme, oauth2_required=oauth2_required),
            oauth2_required=oauth2_required,
            **context,
        )
    if issubclass(kind, RequestRejected):
        sent = [*sent]
        errors, by_index = _item_errors(items, sent) if items else (_field_errors(message, sent), {})
        details = "; ".join(
            f"{path}: {' '.join(messages)}" if path else " ".join(messages) for path, messages in errors.items()
        )
        if len(details) > 500:
            details = f"{details[:499]}…"
        return kind(f"{cause}: {details}" if details else cause, errors=errors, items=by_index, **context)
    return kind(cause, **context)


def wrong_address(response: Response, url: str, what: str, *, known: bool = False) -> WrongAddress | None:
    """Return the error for an answer that comes from somewhere else than Sendcloud's API, if it does.

    Args:
        response: The answer.
        url: The address that was configured; holds no credentials.
        what: Its name.
        known: It is Sendcloud's own address, where a page may reject the request all the same.
    """
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_page = kind in ("text/html", "application/xhtml+xml") or response.body.lstrip()[:1] == b"<"
    if not is_page or response.status not in ((404,) if known else (401, 403, 404)):
        return None
    return WrongAddress(f"a web page answered, so {url} is not {what}; correct this address", status=response.status)


def _cause_of(error: type[APIError]) -> str:
    return next(cause for _, kind, cause in _TABLE if kind is error)


def _is_still_processing(items: Sequence[ErrorItem]) -> bool:
    return any(
        item.pointer.rstrip("/") == "/data" and item.detail.lower().startswith(_STILL_PROCESSING) for item in items
    )


def _names_unknown_integration(items: Sequence[ErrorItem]) -> bool:
    """Return whether v3 does not know the integration: of an order, or of a list's filter."""
    return any(
        (item.path.startswith("order_details.integration") and "does not exist" in item.detail.lower())
        or (item.parameter in {"integration", "integration_id"} and item.code == "invalid_choice")
        for item in items
    )


def _item_errors(
    items: Sequence[ErrorItem], sent: Sequence[str]
) -> tuple[dict[str, list[str]], dict[int, dict[str, list[str]]]]:
    """Turn error items into field errors: all of them by path, and those of each item of the batch."""
    errors: dict[str, list[str]] = {}
    by_index: dict[int, dict[str, list[str]]] = {}
    for item in items[:_MAX_MESSAGES]:
        detail = redact(item.detail, sent)
        path = item.path
        if item.index is not None:
            by_index.setdefault(item.index, {}).setdefault(path, []).append(detail)
            path = f"[{item.index}].{path}" if path else f"[{item.index}]"
        errors.setdefault(path, []).append(detail)
    for item in items[_MAX_MESSAGES:]:  # each culprit is named, however many there are
        if item.index is not None and item.index not in by_index:
            by_index[item.index] = {item.path: [redact(item.detail, sent)]}
    return errors, by_index


def read_retry_after(value: str | None, now: dt.datetime | None = None) -> float | None:
    """Read a ``Retry-After`` header, seconds or a date; ``None`` where it is absent or nonsense.

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


def _content(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _message(content: Any) -> object:
    """Return the message of a v2 error (contract: ``{"error": {"code", "request", "message"}}``)."""
    if content is None:
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
    ``{"webhook_url": ["This field may not be null."]}``: ``settings`` is no field of the request.
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


def _missing(message: object, items: Sequence[ErrorItem], resource: str, cause: str) -> tuple[str, str]:
    text = message.lower() if isinstance(message, str) else ""
    for beginning, found, explanation in _MISSING:
        if text.startswith(beginning):
            return found, explanation
    if any(item.code == "not_found" for item in items):
        return resource, _EXPLANATIONS.get(resource, cause)
    return "", cause


def _authentication_hint(cause: str, scheme: AuthScheme | None, *, oauth2_required: bool) -> str:
    if scheme == AuthScheme.BASIC:
        if oauth2_required:
            return f"{cause}: this integration demands OAuth2; use OAuth2ClientCredentials instead of the API keys"
        return (
            f"{cause}: compare the public and secret key with those in Sendcloud's panel under Settings > Integrations "
            "(an integration with OAuth2 authentication switched on rejects API keys)"
        )
    if scheme == AuthScheme.OAUTH2:
        return f"{cause}: Sendcloud does not accept the access token"
    return cause
