"""Every error this package raises, one class per decision a caller can take.

::

    SendcloudError                      everything of ours
    ├── PayloadError (ValueError)       the payload breaks the contract: fix the fields in ``.errors``
    ├── OrderProblem                    raised by an adapter: something in the order keeps it from being sent
    ├── RegistrationError (ValueError)  an adapter cannot be registered as written
    └── APIError                        the exchange with Sendcloud did not end well
        ├── RequestNotSent              it surely did not arrive: safe to send again
        │   └── TLSError                the server is not trusted: fix the set-up first
        ├── UnknownOutcome              it may have arrived: repeat only an idempotent request
        │   ├── TransportError          the connection broke or timed out after sending
        │   ├── InvalidResponse         an answer the contract does not promise (HTML, half a JSON, another status)
        │   └── ServerError             5xx
        ├── RateLimited                 429: nothing was done; wait ``.retry_after`` seconds
        ├── StillProcessing             409, or v3's 400 of that meaning: send the same request again in a few seconds
        ├── AuthenticationError         401: the keys are rejected
        ├── PermissionDenied            403: the keys are known and not allowed to do this
        ├── NotFound                    404: ``.resource`` says what is missing
        ├── Redirected                  3xx: credentials are never sent along, so it is not followed
        ├── WrongAddress                401, 403, 404 as a web page: the address is not that of the API
        └── RequestRejected             400, 422 and other 4xx: ``.errors`` and ``.items`` name the fields
            └── TooLarge                413

``str()`` of each of them can be logged: it names operation, integration and cause, and contains
no credentials, no personal data and nothing of the remote body but field names and known messages.

This module imports nothing of Django.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .violations import Errors, Param, Violation

__all__ = [
    "APIError",
    "AuthenticationError",
    "InvalidResponse",
    "NotFound",
    "OrderProblem",
    "PayloadError",
    "PermissionDenied",
    "RateLimited",
    "Redirected",
    "RegistrationError",
    "RequestNotSent",
    "RequestRejected",
    "SendcloudError",
    "ServerError",
    "StillProcessing",
    "TLSError",
    "TooLarge",
    "TransportError",
    "UnknownOutcome",
    "WrongAddress",
]


class SendcloudError(Exception):
    """Base of every error this package raises."""


class PayloadError(SendcloudError, ValueError):
    """A payload breaks the contract. Nothing was sent.

    All violations are collected before it is raised, so one round of fixes is enough.

    Args:
        errors: Field path (``parcel_items[2].weight``) to the violated rules, each a code with parameters. A plain
            text of the shop's own becomes the code ``text``. Parameters hold the offending value only where the
            field holds no personal data.
        subject: The thing that was being built, for instance ``order '1042'``. Empty when unknown.
    """

    def __init__(self, errors: Mapping[str, Sequence[Violation | str]], subject: str = "") -> None:
        self.errors: Errors = {path: [*map(Violation.from_json, found)] for path, found in errors.items()}
        self.subject = subject
        super().__init__(self.errors, subject)

    @property
    def messages(self) -> dict[str, list[str]]:
        """The errors as plain English text, by field path."""
        return {path: [str(violation) for violation in violations] for path, violations in self.errors.items()}

    def __str__(self) -> str:
        details = "; ".join(_in_line(path, violations) for path, violations in self.errors.items())
        return f"{self.subject}: {details}" if self.subject else details


class OrderProblem(SendcloudError):
    """A reason, in the shop's own words, why an order cannot be sent. Raised by an adapter; the operator reads it.

    The order alone is rejected, and planned again when it changes.

    ::

        raise OrderProblem(_("%(sku)s has no weight."), field="parcel_items", params={"sku": line.product.sku})

    Args:
        message: A sentence for the operator, best from ``gettext_lazy``: it is shown in the reader's language. With
            ``params`` it is a %-format, as in Django's ``ValidationError``.
        field: The field of the shipment that is concerned, for instance ``address``; ``""`` for the order as a whole.
        params: The values in the message. They are stored, so they must hold no personal data; what JSON does not keep
            is stored as text. One that is named ``sku``, ``product_id`` or ``item`` names the line as well.
    """

    def __init__(self, message: object, field: str = "", params: Mapping[str, object] | None = None) -> None:
        if params and "text" in params:
            raise ValueError("OrderProblem: 'text' is the message itself; name the parameter otherwise.")
        self.message = message
        # The shop's code may be untyped, and it is stored with the problems of other orders.
        self.field = str(field or "")
        self.params = {str(name): _param(value) for name, value in (params or {}).items()}
        super().__init__(message, field, self.params)

    @property
    def errors(self) -> Errors:
        """The problem as a violation, by field. A lazy message is read in the language that is active."""
        return {self.field: [Violation("order_problem", {**self.params, "text": str(self.message)})]}

    def __str__(self) -> str:
        return str(self.errors[self.field][0])


def _param(value: object) -> Param:
    if isinstance(value, list | tuple):
        return [str(each) for each in value]
    return value if isinstance(value, str | int) else str(value)


def _in_line(path: str, violations: Sequence[Violation]) -> str:
    line = next((violation.line for violation in violations if violation.line), "")
    # An error of the line alone names it as its subject.
    where = f"{path} ({line})" if line and "[" in path else path
    return f"{where}: {' '.join(map(str, violations))}"


class RegistrationError(SendcloudError, ValueError):
    """An adapter cannot be registered: the model is taken, abstract, or not a model at all."""


class APIError(SendcloudError):
    """The exchange with Sendcloud did not end well.

    Args:
        message: The cause, in words that may be logged and shown.
        operation: The operation in the contract's words, for instance ``upsert shipments``.
        integration_id: Sendcloud's id of the integration concerned, ``None`` where there is none.
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
    """An answer the contract does not promise: another 2xx, another shape, not JSON, truncated or too large."""


class ServerError(UnknownOutcome):
    """5xx: the server failed, perhaps after it had applied the request."""


class RateLimited(APIError):
    """429: the request was not processed. Wait ``retry_after`` seconds where given, else back off."""


class StillProcessing(APIError):
    """409, or v3's 400 of that meaning: Sendcloud still works on an earlier request for the same thing.

    Nothing was done and nothing is wrong: send the same request again, as a whole, in 1 to 5 seconds.
    """


class AuthenticationError(APIError):
    """401: the public key, the secret key or the token is rejected.

    ``oauth2_required`` says that the integration demands OAuth2: it accepts no API key.
    """

    def __init__(self, message: str = "", *, oauth2_required: bool = False, **context: Any) -> None:
        self.oauth2_required = oauth2_required
        super().__init__(message, **context)


class PermissionDenied(APIError):
    """403: the credentials are valid but this operation is not allowed to them."""


class NotFound(APIError):
    """404, or v3's 400 for an integration it does not know.

    ``resource`` is ``"integration"``, ``"shipment"``, ``"order"``, ``"page"``, or ``""`` where the answer does not
    say. An empty one proves nothing: a proxy answers 404 as well.
    """

    def __init__(self, message: str = "", *, resource: str = "", **context: Any) -> None:
        self.resource = resource
        super().__init__(message, **context)


class Redirected(APIError):
    """3xx: a redirect is never followed, because the credentials would go along."""


class WrongAddress(APIError):
    """A web page answered 401, 403 or 404: the address is not that of Sendcloud's API, and says nothing of the keys."""


class RequestRejected(APIError):
    """The request was understood and rejected as a whole (400, 422 and other 4xx).

    Args:
        errors: Field path to messages, as far as the answer could be read. May be empty.
        items: The errors of each item of a batch: its index in the request, from 0, to field path to messages. Empty
            where the answer names no item.
    """

    def __init__(
        self,
        message: str = "",
        *,
        errors: Mapping[str, Sequence[str]] | None = None,
        items: Mapping[int, Mapping[str, Sequence[str]]] | None = None,
        **context: Any,
    ) -> None:
        self.errors: dict[str, list[str]] = {path: list(messages) for path, messages in (errors or {}).items()}
        self.items: dict[int, dict[str, list[str]]] = {
            index: {path: list(messages) for path, messages in fields.items()}
            for index, fields in (items or {}).items()
        }
        super().__init__(message, **context)


class TooLarge(RequestRejected):
    """413: the body is larger than the server takes; send fewer shipments per request."""
