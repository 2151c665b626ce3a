"""From an operation to its answer: limit, authenticate, send, judge, retry where that is safe."""

from __future__ import annotations

import base64
import copy
import json
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from ..exceptions import APIError, InvalidResponse
from ..hidden import HiddenBytes, HiddenDict, HiddenStr, hide
from ..payloads.exact_json import dumps
from .auth import Auth
from .errors import error_for, wrong_address
from .limits import RateLimiter
from .redact import values_of
from .retry import RetryPolicy
from .transport import Response, Transport, not_after

__all__ = ["NO_BODY", "Query", "Request", "Requestor"]

#: Names and values in the order they are written; a name may occur several times.
Query: TypeAlias = Sequence[tuple[str, str]]

#: Stands for no body at all; ``None`` would be JSON's null.
NO_BODY: Final = object()

JSON: Final = "application/json"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One operation of the contract, about to be sent.

    Args:
        operation: The operation, in words that may be logged.
        method: HTTP method.
        path: Below Sendcloud's root, with a leading slash: ``/api/v3/orders``.
        success: The statuses the contract promises for success. Any other 2xx is an unknown outcome.
        integration_id: Sendcloud's id of the integration concerned.
        query: The query string.
        body: The JSON to send, or the bytes of it; by default nothing at all.
        accept: The media type to ask for.
        resource: The thing a v3 404 is about, for :attr:`NotFound.resource`.
    """

    operation: str
    method: str
    path: str
    success: Sequence[int]
    integration_id: int | None = None
    query: Query = field(default=(), repr=False)
    body: Any = field(default=NO_BODY, repr=False)
    accept: str = JSON
    resource: str = ""

    @property
    def safe(self) -> bool:
        """Return whether it changes nothing."""
        return self.method == "GET"


class Requestor:
    """Sends requests with one set of credentials.

    Args:
        base_url: Sendcloud's root, checked already, without a trailing slash.
        auth: The credentials.
        transport: Makes the exchanges.
        retry: Decides on retries.
        limiter: Asked before each request.
        partner_id: For the header ``Sendcloud-Partner-Id``.
        is_sendcloud: The root is Sendcloud's own.
    """

    def __init__(
        self,
        *,
        base_url: str,
        auth: Auth,
        transport: Transport,
        retry: RetryPolicy,
        limiter: RateLimiter | None = None,
        partner_id: str | None = None,
        is_sendcloud: bool = False,
    ) -> None:
        self.base_url = base_url
        self.is_sendcloud = is_sendcloud
        self.auth = auth
        self.transport = transport
        self.retry = retry
        self.limiter = limiter
        self._headers: dict[str, str] = {}
        if partner_id:
            self._headers["Sendcloud-Partner-Id"] = partner_id

    def at(self, base_url: str) -> Requestor:
        """Return one with the same credentials, connections and limits for another host of the same service."""
        other = copy.copy(self)
        other.base_url = base_url
        return other

    def send(self, request: Request) -> Response:
        """Send a request and return its answer, which has one of the statuses of success.

        Raises:
            APIError: it did not end well. Its class says what can be done about it.
        """
        attempt, waited = 0, 0.0
        while True:
            attempt += 1
            try:
                self._await_turn(request)
                # One deadline for all of it: a token may have to be fetched or renewed first.
                with not_after(time.monotonic() + self.transport.deadline):
                    return self._attempt(request)
            except APIError as error:
                error.operation = error.operation or request.operation
                if error.integration_id is None:
                    error.integration_id = request.integration_id
                seconds = self.retry.wait(error, safe=request.safe, attempt=attempt, waited=waited)
                if seconds is None:
                    raise
            self.retry.sleep(seconds)
            waited += seconds

    def json(self, request: Request) -> Any:
        """Send a request and return the JSON it is answered with.

        Raises:
            APIError: it did not end well.
            InvalidResponse: it ended well, but the answer cannot be read.
        """
        return self.decode(request, self.send(request))

    def read(self, request: Request, reader: Callable[[Any], T]) -> T:
        """Send a request and return its answer as a typed value.

        Raises:
            APIError: it did not end well.
            InvalidResponse: it ended well, but the answer has another shape than the contract's.
        """
        return self.parse(request, reader, self.json(request))

    def decode(self, request: Request, response: Response) -> Any:
        """Return the JSON of an answer.

        Raises:
            InvalidResponse: the answer is something else.
        """
        try:
            return hide(json.loads(response.body), texts=False)
        except (ValueError, RecursionError):
            found = _describe(response)
        raise self.unreadable(request, f"{found} where JSON is due", response.status)

    def parse(self, request: Request, reader: Callable[[Any], T], content: Any) -> T:
        """Turn the JSON of an answer into a typed value.

        Raises:
            InvalidResponse: it has another shape than the contract's. The error names the request.
        """
        try:
            return reader(content)
        except InvalidResponse as error:
            raise self.unreadable(request, error.message) from None

    def unreadable(self, request: Request, message: str, status: int | None = None) -> InvalidResponse:
        """Return the error for an answer the contract does not promise."""
        return InvalidResponse(
            message, operation=request.operation, integration_id=request.integration_id, status=status
        )

    def _attempt(self, request: Request) -> Response:
        # The query of a label is a hash that opens it.
        query = HiddenStr("?" + urllib.parse.urlencode(request.query)) if request.query else ""
        url = HiddenStr(f"{self.base_url}{request.path}{query}")
        headers = {"Accept": request.accept, **self._headers}
        body: bytes | None = None
        if request.body is not NO_BODY:
            headers["Content-Type"] = "application/json"
            body = HiddenBytes(request.body if isinstance(request.body, bytes) else dumps(request.body).encode())
        authorization = self.auth.header(self.transport)
        response = self._exchange(request, url, HiddenDict({**headers, "Authorization": authorization}), body)
        if response.status == 401 and self.auth.renew(authorization, self.transport):
            authorization = self.auth.header(self.transport)
            self._await_turn(request)
            response = self._exchange(request, url, HiddenDict({**headers, "Authorization": authorization}), body)
        if response.status in request.success:
            return response
        if response.ok:
            due = " or ".join(str(status) for status in request.success)
            raise self.unreadable(request, f"{_describe(response)} where HTTP {due} is due", response.status)
        # (An endpoint of documents may say on a page that there is none.)
        if request.accept == JSON and (
            elsewhere := wrong_address(
                response, self.base_url, "the address of Sendcloud's API", known=self.is_sendcloud
            )
        ):
            raise elsewhere
        raise error_for(
            response,
            operation=request.operation,
            integration_id=request.integration_id,
            scheme=self.auth.scheme,
            sent=[*_secrets(authorization), *([] if body is None else values_of(json.loads(body)))],
            resource=request.resource,
        )

    def _await_turn(self, request: Request) -> None:
        if self.limiter is not None:
            self.limiter.acquire("safe" if request.safe else "unsafe")

    def _exchange(self, request: Request, url: str, headers: dict[str, str], body: bytes | None) -> Response:
        return self.transport.send(
            request.method,
            url,
            headers=headers,
            body=body,
            operation=request.operation,
            integration_id=request.integration_id,
        )


def _describe(response: Response) -> str:
    if not response.body:
        return "an empty answer"
    kind = response.headers.get("content-type", "").split(";")[0].strip()[:50] or "no content type"
    return f"{len(response.body)} bytes of {kind}"


def _secrets(authorization: str) -> list[str]:
    """Return what an ``Authorization`` header gives away, to be blacked out should an answer repeat it."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme != "Basic":
        return [credentials]
    return [credentials, *base64.b64decode(credentials).decode().split(":", 1)]
