"""Service points, as far as a shop needs them: the check that a chosen one is still there."""

from __future__ import annotations

from typing import Any

from ...exceptions import InvalidResponse, NotFound
from ..requestor import Request, Requestor
from . import paths
from .orders import data_of

__all__ = ["ServicePoints"]


class ServicePoints:
    """The operations below ``/service-points`` that a shop needs. Reached as ``client.v3.service_points``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def is_available(self, service_point_id: int) -> bool:
        """Return whether parcels can go to a service point now; ``False`` for one that Sendcloud does not know.

        Operation: POST /service-points/{id}/check-availability. It counts as an unsafe request.

        Args:
            service_point_id: Sendcloud's id.

        Raises:
            ValueError: it is no positive whole number.
            NotFound: there is no such operation at this address.
            APIError: it did not end well.
        """
        request = Request(
            operation="check service point",
            method="POST",
            path=paths.service_point_availability(service_point_id),
            success=[200],
            resource="service point",
        )
        try:
            return self._requestor.read(request, _flag)
        except NotFound as error:
            # Only Sendcloud's own answer names the resource, not a proxy's.
            if error.resource != "service point":
                raise
            return False


def _flag(content: Any) -> bool:
    data = data_of(content)
    if not isinstance(data, dict) or not isinstance(data.get("is_available"), bool):
        raise InvalidResponse("an answer without is_available")
    available: bool = data["is_available"]
    return available
