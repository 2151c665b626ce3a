"""From an operation to its answer: limit, authenticate, send, judge, try again where that is safe."""

from __future__ import annotations

import base64
import copy
import json
import time
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeVar

from ..exceptions import APIError, InvalidResponse
from .auth import Auth
from .errors import error_for
from .limits import RateLimiter
from .redact import values_of
from .retry import RetryPolicy
from .transport import Answer, Transport, not_after

__all__ = ["NO_BODY", "Call", "Query", "Requestor"]

#: Names and values in the order they are written; a name may occur several times.
Query: TypeAlias = Sequence[tuple[str, str]]

#: Stands for no body at all; ``None`` would be JSON's null.
NO_BODY: Final = object()

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operation of the contract, about to be made.

    Args:
        operation: What it does, in words that may be logged.
        method: HTTP method.
        path: Below the base URL, with a leading slash.
        integration_id: Sendcloud's id of the integration concerned.
        query: The query string.
        body: What is sent as JSON, or the bytes of it; by default nothing at all.
        accept: What is asked for.
    """

    operation: str
    method: str
    path: str
    integration_id: int | None = None
    query: Query = ()
    body: Any = NO_BODY
    accept: str = "application/json"

    @property
    def safe(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"


class Requestor:
    """Makes calls with one set of credentials.

    Args:
        base_url: Checked already, without a trailing slash.
        auth: Who we are.
        transport: How it gets there.
        retry: What is tried again.
        limiter: Asked before each request.
        partner_id: For the header ``Sendcloud-Partner-Id``.
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
    ) -> None:
        self.base_url = base_url
        self.auth = auth
        self.transport = transport
        self.retry = retry
        self.limiter = limiter
        self._headers: dict[str, str] = {}
        if partner_id:
            self._headers["Sendcloud-Partner-Id"] = partner_id

    def at(self, base_url: str) -> Requestor:
        """Return one with the same credentials, connections and limits for another address of the same service."""
        other = copy.copy(self)
        other.base_url = base_url
        return other

    def send(self, call: Call) -> Answer:
        """Make a call and return its answer, any 2xx.

        Raises:
            APIError: it did not end well. Which class says what can be done about it.
        """
        attempt, waited = 0, 0.0
        while True:
            attempt += 1
            try:
                self._await_turn(call)
                # One deadline for all of it: a token may have to be fetched first, or fetched anew.
                with not_after(time.monotonic() + self.transport.deadline):
                    return self._attempt(call)
            except APIError as error:
                error.operation = error.operation or call.operation
                if error.integration_id is None:
                    error.integration_id = call.integration_id
                seconds = self.retry.wait(error, safe=call.safe, attempt=attempt, waited=waited)
                if seconds is None:
                    raise
            self.retry.sleep(seconds)
            waited += seconds

    def json(self, call: Call) -> Any:
        """Make a call and return the JSON it is answered with.

        Raises:
            APIError: it did not end well.
            InvalidResponse: it ended well, but the answer cannot be read.
        """
        answer = self.send(call)
        try:
            return json.loads(answer.body)
        except (ValueError, RecursionError):
            kind = answer.headers.get("content-type", "").split(";")[0].strip()[:50] or "no content type"
            what = f"{len(answer.body)} bytes of {kind}" if answer.body else "an empty answer"
        raise self.unreadable(call, f"{what} where JSON is due", answer.status)

    def read(self, call: Call, reader: Callable[[Any], T]) -> T:
        """Make a call and return its answer as a typed value.

        Raises:
            APIError: it did not end well.
            InvalidResponse: it ended well, but the answer has another shape than the contract's.
        """
        return self.parse(call, reader, self.json(call))

    def parse(self, call: Call, reader: Callable[[Any], T], content: Any) -> T:
        """Turn the JSON a call was answered with into a typed value.

        Raises:
            InvalidResponse: it has another shape than the contract's. The error names the call.
        """
        try:
            return reader(content)
        except InvalidResponse as error:
            raise self.unreadable(call, error.message) from None

    def unreadable(self, call: Call, message: str, status: int | None = None) -> InvalidResponse:
        """Return the error for an answer of the wrong shape."""
        return InvalidResponse(message, operation=call.operation, integration_id=call.integration_id, status=status)

    def _attempt(self, call: Call) -> Answer:
        url = self.base_url + call.path
        if call.query:
            url += "?" + urllib.parse.urlencode(call.query)
        headers = {"Accept": call.accept, **self._headers}
        body: bytes | None = None
        if call.body is not NO_BODY:
            headers["Content-Type"] = "application/json"
            encoded = isinstance(call.body, bytes)
            body = call.body if encoded else json.dumps(call.body, allow_nan=False, separators=(",", ":")).encode()
        authorization = self.auth.header(self.transport)
        answer = self._exchange(call, url, headers | {"Authorization": authorization}, body)
        if answer.status == 401 and self.auth.renew(authorization, self.transport):
            authorization = self.auth.header(self.transport)
            self._await_turn(call)
            answer = self._exchange(call, url, headers | {"Authorization": authorization}, body)
        if answer.ok:
            return answer
        raise error_for(
            answer,
            operation=call.operation,
            integration_id=call.integration_id,
            scheme=self.auth.scheme,
            sent=[*_secrets(authorization), *([] if body is None else values_of(json.loads(body)))],
        )

    def _await_turn(self, call: Call) -> None:
        if self.limiter is not None:
            self.limiter.acquire("safe" if call.safe else "unsafe")

    def _exchange(self, call: Call, url: str, headers: dict[str, str], body: bytes | None) -> Answer:
        return self.transport.send(
            call.method,
            url,
            headers=headers,
            body=body,
            operation=call.operation,
            integration_id=call.integration_id,
        )


def _secrets(authorization: str) -> list[str]:
    """Return what an ``Authorization`` header gives away, to be blacked out should an answer repeat it."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme != "Basic":
        return [credentials]
    return [credentials, *base64.b64decode(credentials).decode().split(":", 1)]
