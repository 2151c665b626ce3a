"""HTTP responses of the sandbox, before a server writes them to a socket."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Response", "json_response"]


@dataclass(slots=True)
class Response:
    """A response to a request.

    Attributes:
        cut: Whether the server closes the connection in the middle of the body.
    """

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a response with a body in JSON."""
    return Response(status, json.dumps(content).encode(), headers=headers or {})
