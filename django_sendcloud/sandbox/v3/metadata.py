"""The v3 operation that identifies the keys of a request."""

from __future__ import annotations

from ..http import Response, json_response
from ..request import Request
from ..services import Services

__all__ = ["get_metadata"]


def get_metadata(services: Services, request: Request) -> Response:
    """Answer ``GET /user/auth/metadata``."""
    return json_response({"data": {"user_id": 1, "integration_id": request.caller.id}})
