"""Operations on shipments in v3: orders with labels."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from ..http import Response, json_response
from ..moments import parse_moment
from ..parcels import STATUSES, Parcel
from ..parcels.views import tracking_url
from ..request import Refused, Request
from ..services import Services
from .pages import page_size, slice_page
from .views import moment_json

__all__ = ["cancel_shipment", "get_shipment", "list_shipments"]

#: Fixed sender, because the sandbox has no sender addresses.
_SENDER: Final = {
    "name": "Sandbox",
    "company_name": "Webshop",
    "address_line_1": "Stadhuisplein",
    "house_number": "10",
    "postal_code": "5611 EM",
    "city": "Eindhoven",
    "country_code": "NL",
}


def list_shipments(services: Services, request: Request) -> Response:
    """Answer ``GET /shipments``, newest first."""
    wanted = _filter(request)
    with services.store.lock:
        found = [parcels for parcels in reversed(_shipments(services, request)) if wanted(parcels)]
        page, headers = slice_page(
            services, request, found, lambda parcels: [parcels[0].id], page_size(request, 40, 100), falling=True
        )
        return json_response({"data": [_shipment_json(services, parcels) for parcels in page]}, headers=headers)


def get_shipment(services: Services, request: Request) -> Response:
    """Answer ``GET /shipments/{id}``."""
    with services.store.lock:
        return json_response({"data": _shipment_json(services, _find(services, request))})


def cancel_shipment(services: Services, request: Request) -> Response:
    """Answer ``POST /shipments/{id}/cancel``."""
    with services.store.lock:
        shipment = _find(services, request)
        services.log.apply(request.logged)
        status, state, message = services.merchant.cancel_shipment(shipment)
    if status == 409:
        raise Refused(409, message)
    return json_response({"data": {"status": state, "message": message}}, status)


def _find(services: Services, request: Request) -> list[Parcel]:
    """Return the parcels of the path's shipment.

    Raises:
        Refused: It does not exist, or another account owns it.
    """
    uuid = request.parameters["id"].lower()
    for parcels in _shipments(services, request):
        if parcels[0].colli_uuid == uuid:
            return parcels
    raise Refused(404, "Not found")


def _shipments(services: Services, request: Request) -> list[list[Parcel]]:
    """Return the outgoing parcels of the caller's account by label request, oldest first."""
    own = {integration.id for integration in services.store.of_account(request.caller.account)}
    found: dict[str, list[Parcel]] = {}
    for parcel in services.parcels.all():
        if not parcel.is_return and parcel.integration_id in own:
            found.setdefault(parcel.colli_uuid, []).append(parcel)
    return list(found.values())


def _filter(request: Request) -> Callable[[Sequence[Parcel]], bool]:
    """Return the filter of the query. There is none for the shop's id of the order."""
    order_number, tracking_number = request.one("order_number"), request.one("tracking_number")
    integration_id, status = request.one("integration_id"), request.one("parcel_status")
    reference = request.one("external_reference_id")
    ids, uuids = _list(request, "ids"), _list(request, "shipment_uuids")
    moments = {
        name: _moment(request, name)
        for name in ("updated_after", "updated_before", "announced_after", "announced_before")
    }

    def wanted(parcels: Sequence[Parcel]) -> bool:
        first, updated = parcels[0], max(parcel.updated_at for parcel in parcels)
        return (
            reference is None  # No shipment of the sandbox has one.
            and (order_number is None or first.shipment["order_number"] == order_number)
            and (tracking_number is None or any(parcel.tracking_number == tracking_number for parcel in parcels))
            and (integration_id is None or str(first.integration_id) == integration_id)
            and (status is None or any(status in (str(p.status_id), _code(p.status_id)) for p in parcels))
            and (ids is None or any(str(parcel.id) in ids for parcel in parcels))
            and (uuids is None or first.colli_uuid in uuids)
            and _between(updated, moments["updated_after"], moments["updated_before"])
            and _between(first.created_at, moments["announced_after"], moments["announced_before"])
        )

    return wanted


def _between(moment: dt.datetime, after: dt.datetime | None, before: dt.datetime | None) -> bool:
    return (after is None or moment > after) and (before is None or moment < before)


def _list(request: Request, name: str) -> set[str] | None:
    text = request.one(name)
    if text is None:
        return None
    parts = {part.strip().lower() for part in text.split(",") if part.strip()}
    if len(parts) > 100:
        raise Refused(400, f"Validation failed, {name} has more than 100 elements", code="validation_error")
    return parts


def _moment(request: Request, name: str) -> dt.datetime | None:
    text = request.one(name)
    if text is None:
        return None
    # A plus sign that was not encoded arrives as a space.
    if (moment := parse_moment(re.sub(r" (?=\d\d:\d\d$)", "+", text))) is None:
        message = f"Validation failed, {name} is not a datetime"
        raise Refused(400, message, code="validation_error", pointer="/list_shipments/filters")
    return moment


def _code(status_id: int) -> str:
    """Return the code of a status. v3 has words for the numbers of v2."""
    return re.sub(r"\W+", "_", STATUSES.get(status_id, "Unknown").partition(" - ")[0]).strip("_").upper()


def _shipment_json(services: Services, parcels: Sequence[Parcel]) -> dict[str, Any]:
    """Return a shipment (contract: ``shipment-response``)."""
    shipment = parcels[0].shipment
    address = {
        "name": shipment["name"],
        "company_name": shipment["company_name"],
        "address_line_1": shipment["address"],
        "house_number": shipment["house_number"],
        "address_line_2": shipment["address_2"],
        "postal_code": shipment["postal_code"],
        "city": shipment["city"],
        "country_code": shipment["country"],
        "phone_number": shipment["telephone"],
    }
    if shipment["email"]:
        address["email"] = shipment["email"]
    return {
        "id": parcels[0].colli_uuid,
        "order_number": shipment["order_number"],
        "from_address": _SENDER,
        "to_address": address,
        "ship_with": {
            "type": "shipping_option_code",
            "properties": {"shipping_option_code": f"{parcels[0].carrier}:standard", "contract_id": None},
        },
        "carrier": {"code": parcels[0].carrier},
        "total_order_price": {
            "value": shipment.get("total_order_value") or "0.00",
            "currency": shipment["currency"] or "EUR",
        },
        "parcels": [_parcel_json(services, parcel) for parcel in parcels],
    }


def _parcel_json(services: Services, parcel: Parcel) -> dict[str, Any]:
    return {
        "id": parcel.id,
        "status": {"code": _code(parcel.status_id), "message": parcel.status_message},
        "documents": [
            {
                "type": "label",
                "size": "a6",
                "link": f"{services.merchant.feedback.base_url}/labels/label_printer/{parcel.id}",
            }
        ],
        "weight": {"value": parcel.weight, "unit": "kg"},
        "tracking_number": parcel.tracking_number,
        "tracking_url": tracking_url(parcel),
        "created_at": moment_json(parcel.created_at),
        "updated_at": moment_json(parcel.updated_at),
        "announced_at": moment_json(parcel.created_at),
        "parcel_items": [
            {
                "description": item["description"][:255],
                "quantity": item["quantity"],
                "weight": {"value": max(float(item.get("weight") or 0), 0.001), "unit": "kg"},
                "price": {"value": item["value"], "currency": parcel.shipment["currency"] or "EUR"},
                "hs_code": (item.get("hs_code") or "")[:12],
                "sku": item.get("sku") or "",
            }
            for item in parcel.shipment["parcel_items"] or ()
        ],
    }
