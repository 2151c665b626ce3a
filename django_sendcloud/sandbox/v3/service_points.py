"""The v3 operation that checks a service point."""

from __future__ import annotations

from ..http import Response, json_response
from ..request import Refused, Request
from ..services import Services

__all__ = ["check_availability"]


def check_availability(services: Services, request: Request) -> Response:
    """Answer ``POST /service-points/{service_point_id}/check-availability``."""
    number = request.parameters["service_point_id"]
    if not number.isdecimal() or int(number) in services.behaviour.unknown_service_points:
        raise Refused(404, "The service point could not be found", code="not_found")
    available = int(number) not in services.behaviour.closed_service_points
    return json_response({"data": {"is_available": available}})
