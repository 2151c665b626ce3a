"""Operations on parcels and service points in v2."""

from __future__ import annotations

from ..http import Response, json_response
from ..parcels import STATUSES, Parcel
from ..parcels.views import parcel_json
from ..request import Refused, Request
from ..services import Services
from .pages import page, slice_list
from .parameters import find_parcel, ids, moment, owns, whole_number

__all__ = ["cancel_parcel", "check_service_point", "get_parcel", "list_parcels", "list_statuses", "return_portal_url"]


def list_parcels(services: Services, request: Request) -> Response:
    """Answer ``GET /parcels``."""
    chosen = ids(request)
    status = whole_number(request, "parcel_status")
    updated, announced = (moment(request, name) for name in ("updated_after", "announced_after"))
    tracking_number, order_number = request.one("tracking_number"), request.one("order_number")
    if request.one("external_reference") is not None:
        chosen = set()  # No parcel of the sandbox has an external reference.

    def wanted(parcel: Parcel) -> bool:
        return (
            (chosen is None or parcel.id in chosen)
            and (status is None or parcel.status_id == status)
            and (updated is None or parcel.updated_at > updated)
            and (announced is None or parcel.created_at > announced)
            and (tracking_number is None or parcel.tracking_number == tracking_number)
            and (order_number is None or parcel.shipment["order_number"] == order_number)
        )

    found = [parcel for parcel in services.parcels.all() if owns(services, request, parcel) and wanted(parcel)]
    parcels, more, cursor = slice_list(services, request, found, lambda parcel: parcel.id)
    shown = [parcel_json(parcel, services.merchant.feedback.base_url) for parcel in parcels]
    return page(services, request, "parcels", shown, [parcel.id for parcel in parcels], more, cursor)


def get_parcel(services: Services, request: Request) -> Response:
    """Answer ``GET /parcels/{id}``."""
    parcel = find_parcel(services, request, request.parameters["id"])
    return json_response({"parcel": parcel_json(parcel, services.merchant.feedback.base_url)})


def cancel_parcel(services: Services, request: Request) -> Response:
    """Answer ``POST /parcels/{id}/cancel``."""
    with services.store.lock:
        parcel = find_parcel(services, request, request.parameters["id"])
        services.log.apply(request.logged)
        status, state, message = services.merchant.cancel(parcel)
    return json_response({"status": state, "message": message}, status)


def return_portal_url(services: Services, request: Request) -> Response:
    """Answer ``GET /parcels/{id}/return_portal_url``. The address leads to the panel."""
    parcel = find_parcel(services, request, request.parameters["id"])
    return json_response({"url": f"{services.origin}/parcels/{parcel.id}/"})


def list_statuses(services: Services, request: Request) -> Response:
    """Answer ``GET /parcels/statuses``."""
    return json_response([{"id": key, "message": message} for key, message in STATUSES.items()])


def check_service_point(services: Services, request: Request) -> Response:
    """Answer ``GET /service-points/{id}/check-availability``. Sendcloud serves it from another host."""
    number = request.parameters["id"]
    if not number.isdecimal():
        raise Refused(404, "Not found.")
    return json_response(int(number) not in services.behaviour.closed_service_points)
