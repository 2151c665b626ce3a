"""A self-test of the webhook's address: the shop calls itself from outside, as Sendcloud does.

The question is signed like a webhook, so that the test covers the whole way: name service, certificate, proxy, URLs,
keys, and an unchanged body. It is neither stored nor applied. The answer has to prove that this shop gave it.

Only an address of this shop is called (:func:`own_address`), no redirect is followed, and only the status of an answer
is shown: a button in the admin must not become a way to look around in the shop's network.
"""

from __future__ import annotations

import dataclasses
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from ..api.transport import Response, Transport
from ..conf import SendcloudConfigurationError, conf
from ..exceptions import APIError, InvalidResponse, RequestNotSent, TLSError
from ..models import Integration
from . import signature

__all__ = ["Outcome", "answer", "own_address", "run"]

ACTION = "django_sendcloud.self_test"
# Answer of the webhook's view to a wrong signature.
NOT_SIGNED = "The signature is missing or wrong."

# An operator waits for it, and a server with one process only cannot answer itself.
CONNECT_SECONDS, DEADLINE_SECONDS = 3.0, 6.0
MAX_BYTES = 64 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a self-test.

    Args:
        problem: ``""`` where the shop answered; otherwise what was in the way: ``unreachable``, ``certificate``,
            ``too_slow``, ``redirected``, ``signature``, ``closed``, ``not_there``, ``failed``, ``somebody_else``.
        status: The HTTP status of the answer, if there was one.
    """

    problem: str = ""
    status: int | None = None


def own_address(integration: Integration) -> str:
    """Return the address that may be called: the configured one, or the registered one if it is surely the shop's.

    Returns:
        ``""`` where there is none: without ``SENDCLOUD["WEBHOOK_BASE_URL"]``, the registered address has to have the
        path of this integration's webhook, a host that ``ALLOWED_HOSTS`` names, and no port of its own.
    """
    if conf().WEBHOOK_BASE_URL:
        return integration.webhook_address()
    path = integration.webhook_path()
    try:
        parts = urlsplit(integration.webhook_url)
        port = parts.port
    except ValueError:
        return ""
    named = [host for host in settings.ALLOWED_HOSTS if host != "*"]
    ours = (
        parts.scheme in ("http", "https")
        and port is None
        and "@" not in parts.netloc
        and bool(path)
        and parts.path == path
        and not parts.query
        and validate_host((parts.hostname or "").lower(), named)
    )
    return integration.webhook_url if ours else ""


def run(integration: Integration, address: str) -> Outcome:
    """Call the address and return the result. Takes a few seconds at most.

    Args:
        integration: Whose webhook it is.
        address: From :func:`own_address`.

    Raises:
        SendcloudConfigurationError: the integration has no keys, or they cannot be decrypted.
    """
    keys = integration.webhook_secrets()
    if not keys:
        raise SendcloudConfigurationError(f"Integration {integration} has no API keys. Enter them in the admin.")
    secret = keys[0]
    nonce = secrets.token_urlsafe(24)
    body = json.dumps({"action": ACTION, "nonce": nonce}).encode()
    headers = {"Content-Type": "application/json", signature.HEADER: signature.sign(body, secret)}
    transport = Transport(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=DEADLINE_SECONDS,
        deadline=DEADLINE_SECONDS,
        max_response_bytes=MAX_BYTES,
        user_agent="django-sendcloud self-test",
    )
    try:
        found = transport.send("POST", address, headers=headers, body=body, operation="self-test")
    except APIError as error:
        return Outcome(_broken(error), error.status)
    finally:
        transport.close()
    return Outcome(_judged(found, _proof(nonce, secret)), found.status)


def answer(raw: bytes, keys: Sequence[str]) -> str:
    """Return the proof that this is the shop, if a verified body is such a question; ``""`` for any other."""
    if ACTION.encode() not in raw or not keys:
        return ""
    question = _read(raw)
    if question.get("action") != ACTION:
        return ""
    return _proof(str(question.get("nonce")), keys[0])


def _proof(nonce: str, secret: str) -> str:
    return signature.sign(f"{ACTION}: {nonce}".encode(), secret)


def _judged(found: Response, proof: str) -> str:
    said = _read(found.body)
    if found.ok:
        return "" if hmac.compare_digest(str(said.get("proof")).encode(), proof.encode()) else "somebody_else"
    if found.status == 403 and said.get("detail") == NOT_SIGNED:
        return "signature"
    if 300 <= found.status < 400:
        return "redirected"
    if found.status in (404, 410):
        return "not_there"
    return "failed" if found.status >= 500 else "closed"


def _broken(error: APIError) -> str:
    match error:
        case TLSError():
            return "certificate"
        case RequestNotSent():
            return "unreachable"
        case InvalidResponse():
            return "somebody_else"
    return "too_slow"


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
