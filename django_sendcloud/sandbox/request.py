"""A request that the sandbox has authenticated and routed, and the refusal that ends one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .requestlog import LoggedRequest
from .store import SandboxIntegration

__all__ = ["Refused", "Request"]


class Refused(Exception):
    """Refusal of a request as a whole. Each API generation words it in its own error format.

    Args:
        status: HTTP status.
        message: Reason in words.
        headers: Extra headers of the response.
        code: Error code of v3; chosen by the status where it is empty.
        pointer: Place in the body that v3 names.
        parameter: Query parameter that v3 names.
        errors: Complete error objects of v3, where there are several; they replace the message.
    """

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        code: str = "",
        title: str = "",
        pointer: str | None = None,
        parameter: str | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}
        self.code = code
        self.title = title
        self.pointer = pointer
        self.parameter = parameter
        self.errors = errors


@dataclass(slots=True)
class Request:
    """A request of an authenticated caller.

    Attributes:
        logged: Its entry in the request log.
        parameters: Parameters of the path.
        query: Query parameters, each with all its values.
        caller: Integration whose keys were used.
    """

    logged: LoggedRequest
    parameters: Mapping[str, str]
    query: Mapping[str, list[str]]
    caller: SandboxIntegration
    body: bytes
    content_type: str

    def json(self) -> Any:
        """Return the body, parsed. An empty body is an empty object, because the contracts require no body.

        Raises:
            Refused: The body is not JSON.
        """
        if not self.body:
            return {}
        kind = self.content_type.partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, f'Unsupported media type "{kind}" in request.')
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Refused(400, f"JSON parse error - {error}") from None

    def one(self, name: str) -> str | None:
        """Return a value of the query, the last one if the query repeats it."""
        return self.query[name][-1] if name in self.query else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"Out of range float values are not JSON compliant: {name}")
