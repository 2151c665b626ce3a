"""Every error this package raises, one class per decision a caller can take.

::

    SendcloudError                      everything of ours
    ├── PayloadError (ValueError)       what you built breaks the contract: fix the fields in ``.errors``
    ├── RegistrationError (ValueError)  an adapter cannot be registered as written
    └── APIError                        the exchange with Sendcloud did not end well
        ├── RequestNotSent              it surely did not arrive: safe to send again
        │   └── TLSError                the server could not be trusted: fix the set-up first
        ├── UnknownOutcome              it may have arrived: only an idempotent request may be repeated
        │   ├── TransportError          the connection broke or timed out after sending
        │   ├── InvalidResponse         an answer nobody can read (HTML, half a JSON, too large)
        │   └── ServerError             5xx
        ├── RateLimited                 429: nothing was done; wait ``.retry_after`` seconds
        ├── AuthenticationError         401: the keys are refused
        ├── PermissionDenied            403: the keys are known and not allowed to do this
        ├── NotFound                    404: ``.resource`` says what is missing
        ├── Redirected                  3xx: credentials are never sent along, so it is refused
        └── RequestRejected             400, 422 and other 4xx: ``.errors`` names the fields
            ├── Conflict                409
            └── TooLarge                413

``str()`` of each of them can be logged: it names operation, integration and cause, and contains
no credentials, no personal data and nothing of the remote body but field names and known messages.

This module imports nothing of Django.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "APIError",
    "AuthenticationError",
    "Conflict",
    "InvalidResponse",
    "NotFound",
    "PayloadError",
    "PermissionDenied",
    "RateLimited",
    "Redirected",
    "RegistrationError",
    "RequestNotSent",
    "RequestRejected",
    "SendcloudError",
    "ServerError",
    "TLSError",
    "TooLarge",
    "TransportError",
    "UnknownOutcome",
]


class SendcloudError(Exception):
    """Base of every error this package raises."""


class PayloadError(SendcloudError, ValueError):
    """A payload breaks the contract. Nothing was sent.

    All violations are collected before it is raised, so one correction round is enough.

    Args:
        errors: Field path (``parcel_items[2].weight``) to the list of what is wrong with it. Each
            sentence names the rule and the cure; the offending value is quoted only for fields
            that hold no personal data.
        subject: What was being built, for instance ``order 1042``. Empty when unknown.
    """

    def __init__(self, errors: Mapping[str, Sequence[str]], subject: str = "") -> None:
        self.errors: dict[str, list[str]] = {path: list(messages) for path, messages in errors.items()}
        self.subject = subject
        super().__init__(self.errors, subject)

    def __str__(self) -> str:
        details = "; ".join(f"{path}: {' '.join(messages)}" for path, messages in self.errors.items())
        return f"{self.subject}: {details}" if self.subject else details


class RegistrationError(SendcloudError, ValueError):
    """An adapter cannot be registered: the model is taken, abstract, or not a model at all."""


class APIError(SendcloudError):
    """The exchange with Sendcloud did not end well.

    Args:
        message: What went wrong, in words that may be logged and shown.
        operation: The operation in the contract's words, for instance ``upsert shipments``.
        integration_id: The remote id of the integration concerned, ``None`` where there is none.
        status: HTTP status code, ``None`` where there was no answer.
        retry_after: Seconds the server asked us to wait, ``None`` where it did not say.
    """

    def __init__(
        self,
        message: str = "",
        *,
        operation: str = "",
        integration_id: int | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message
        self.operation = operation
        self.integration_id = integration_id
        self.status = status
        self.retry_after = retry_after
        super().__init__(message)

    def __str__(self) -> str:
        where = self.operation or "request"
        if self.integration_id is not None:
            where += f" (integration {self.integration_id})"
        cause = self.message or type(self).__name__
        return f"{where}: {cause}" if self.status is None else f"{where}: HTTP {self.status}: {cause}"


class RequestNotSent(APIError, ConnectionError):
    """The request surely did not arrive (name resolution, refused, connect timeout). Safe to repeat."""


class TLSError(RequestNotSent):
    """The server's certificate could not be verified. Repeating does not help; the set-up needs a person."""


class UnknownOutcome(APIError):
    """The request may have arrived and may still be applied later."""


class TransportError(UnknownOutcome, ConnectionError):
    """The connection broke, or time ran out, after the request was at least partly sent."""


class InvalidResponse(UnknownOutcome):
    """An answer that cannot be read: not JSON, another shape than the contract's, truncated or too large."""


class ServerError(UnknownOutcome):
    """5xx: the server failed, perhaps after it had applied the request."""


class RateLimited(APIError):
    """429: the request was not processed. Wait ``retry_after`` seconds where given, else back off."""


class AuthenticationError(APIError):
    """401: the public key, the secret key or the token is refused, or the integration demands OAuth2."""


class PermissionDenied(APIError):
    """403: the credentials are valid but this operation is not allowed to them."""


class NotFound(APIError):
    """404. ``resource`` is ``"integration"``, ``"shipment"``, ``"page"`` or ``""`` where the answer does not tell."""

    def __init__(self, message: str = "", *, resource: str = "", **context: Any) -> None:
        self.resource = resource
        super().__init__(message, **context)


class Redirected(APIError):
    """3xx: a redirect is never followed, because the credentials would go along."""


class RequestRejected(APIError):
    """The request was understood and refused as a whole (400, 422 and other 4xx).

    Args:
        errors: Field path to messages, as far as the answer could be read. May be empty.
    """

    def __init__(self, message: str = "", *, errors: Mapping[str, Sequence[str]] | None = None, **context: Any) -> None:
        self.errors: dict[str, list[str]] = {path: list(messages) for path, messages in (errors or {}).items()}
        super().__init__(message, **context)


class Conflict(RequestRejected):
    """409: another request on the same resource is being processed; repeat a little later."""


class TooLarge(RequestRejected):
    """413: the body is larger than the server takes; send fewer shipments at once."""
