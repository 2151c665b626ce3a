"""The way of a request from the socket to its response: log, faults, credentials, limits, operation."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs

from .auth import Authenticator, Denied
from .faults import GET_TOKEN, Fault
from .http import Response, json_response
from .limits import RateLimiter
from .request import Refused, Request
from .requestlog import LoggedRequest
from .router import Api, Operation
from .services import Services
from .store import SandboxIntegration
from .v2.operations import API as V2
from .v3.operations import API as V3

__all__ = ["APIS", "TOKEN_PATH", "Gateway"]

#: The contracts have a slash at its end; without it, a strict server answers 404.
TOKEN_PATH: Final = "/oauth2/token/"  # noqa: S105  (an address)
#: API generations by the first part of their paths; paths of no generation get the errors of the first.
APIS: Final[Sequence[Api]] = (V2, V3)


class Gateway:
    """Answers API requests.

    Attributes:
        auth: Keys and tokens.
        limits: Rate limits.
        pause: Function that waits some seconds, or less when the server stops.
    """

    def __init__(self, services: Services, pause: Callable[[float], None] = time.sleep) -> None:
        self.auth = Authenticator(services.store, services.behaviour)
        self.limits = RateLimiter()
        self._services = services
        self.pause = pause

    def answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Response | None:
        """Answer a request; ``None`` closes the connection without a response.

        Args:
            method: HTTP method.
            path: Path without query.
            query: Query.
            headers: Headers by lower-case names.
            body: The whole body.
        """
        log, faults = self._services.log, self._services.faults
        logged = log.begin(method, path, query, headers, body)
        api = next((api for api in APIS if path.startswith(f"{api.root}/")), APIS[0])
        operation, parameters = api.route(method, path)
        asks_for_token = method == "POST" and path == TOKEN_PATH
        logged.operation = GET_TOKEN if asks_for_token else operation.name if operation else ""
        if parameters.get("id", "").isdecimal() and "/integrations/" in path:
            logged.integration_id = int(parameters["id"])
        response: Response | None = None

        def process() -> Response:
            try:
                return self._process(api, logged, operation, parameters, headers, body)
            except Refused as refused:
                return api.refuse(logged.path, refused)

        try:
            if faults.latency:
                self.pause(faults.latency)
            while not faults.answering.is_set():
                self.pause(0.05)
            fault = faults.take(method, path, logged.operation)
            response = process() if fault is None else self._inject(fault, logged, process)
        finally:
            log.finish(logged, response.status if response else None)
        return response

    def _inject(self, fault: Fault, logged: LoggedRequest, process: Callable[[], Response]) -> Response | None:
        """Play a fault on a request."""
        logged.fault = fault.kind
        response = process() if fault.apply == "before" else None
        if fault.kind == "hang":
            self.pause(fault.seconds)
        if fault.apply == "after":
            response = process()
        match fault.kind:
            case "answer":
                kind = "text/html; charset=utf-8" if fault.body.lstrip().startswith(b"<") else "application/json"
                return Response(fault.status, fault.body, kind, fault.headers)
            case "truncate" if response is not None:
                response.cut = True
                return response
            case "hang":
                return response
        return None

    def _process(
        self,
        api: Api,
        logged: LoggedRequest,
        operation: Operation | None,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes,
    ) -> Response:
        if logged.operation == GET_TOKEN:
            return self._issue_token(logged, headers, body)
        if operation is None:
            raise api.unrouted(logged.method, logged.path)
        if logged.method == "GET" and body:
            raise Refused(403, "A GET request must not have a body.")
        caller = self._authenticate(logged, headers)
        if not self.limits.allows(caller.account, logged.method):
            retry_after = self.limits.retry_after
            return Response(429, headers={} if retry_after is None else {"Retry-After": str(retry_after)})
        if not self.auth.permits(headers.get("authorization", ""), operation.scope):
            raise Refused(403, f"The token lacks the scope {operation.scope}.")
        partner = headers.get("sendcloud-partner-id")
        self._check_partner(partner)
        if operation.for_partners and partner is None and self._services.behaviour.certified_partners_only:
            raise Refused(403, "You do not have permission to perform this action.")
        query = parse_qs(logged.query, keep_blank_values=True)
        content_type = headers.get("content-type", "")
        return operation.handler(self._services, Request(logged, parameters, query, caller, body, content_type))

    def _authenticate(self, logged: LoggedRequest, headers: Mapping[str, str]) -> SandboxIntegration:
        try:
            caller = self.auth.integration(headers.get("authorization", ""))
        except Denied as denied:
            raise Refused(401, str(denied), {"WWW-Authenticate": 'Basic realm="api"'}) from None
        if logged.integration_id is None:
            logged.integration_id = caller.id
        return caller

    def _check_partner(self, partner: str | None) -> None:
        if partner is None:
            return
        known = self._services.behaviour.partner_ids
        if (known is not None and partner not in known) or not is_uuid(partner):
            raise Refused(400, "Sendcloud-Partner-Id: Invalid partner id.")

    def _issue_token(self, logged: LoggedRequest, headers: Mapping[str, str], body: bytes) -> Response:
        try:
            token = self.auth.issue(headers.get("authorization", ""), body.decode("utf-8", "replace"))
        except Denied as denied:
            status = 401 if str(denied) == "invalid_client" else 400
            return json_response({"error": str(denied), "error_description": "The request is not accepted."}, status)
        logged.integration_id = token.integration_id
        content = {
            "access_token": token.value,
            "expires_in": self.auth.token_lifetime,
            "scope": " ".join(sorted(token.scopes)),
            "token_type": "bearer",
        }
        return json_response(content, headers={"Cache-Control": "no-store"})


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID in its usual form; Python also reads others."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
