"""Service points, as far as a shop needs them: the check that a chosen one is still there."""

from __future__ import annotations

from typing import Any

from ...exceptions import InvalidResponse
from ..requestor import Request, Requestor
from . import paths

__all__ = ["ServicePoints"]


class ServicePoints:
    """The operations below ``/service-points`` that a shop needs. Reached as ``client.v2.service_points``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def is_available(self, service_point_id: int) -> bool:
        """Return whether parcels can go to a service point now.

        Operation: GET /service-points/{id}/check-availability.

        Args:
            service_point_id: Sendcloud's id.

        Raises:
            ValueError: it is no positive whole number.
            APIError: it did not end well. Sendcloud does not say whether an id it has forgotten is answered
                ``false`` or 404, so a :class:`~django_sendcloud.exceptions.NotFound` proves nothing.
        """
        path = paths.service_point_availability(service_point_id)
        request = Request(operation="check service point", method="GET", path=path, success=[200])
        return self._requestor.read(request, _flag)


def _flag(content: Any) -> bool:
    if not isinstance(content, bool):
        raise InvalidResponse("an answer other than true or false")
    return content
