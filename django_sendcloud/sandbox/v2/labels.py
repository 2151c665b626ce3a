"""Operations on labels in v2."""

from __future__ import annotations

from ..http import Response, json_response
from ..labels import customs_declarations, labels_on_a4, labels_on_a6
from ..parcels import Parcel
from ..parcels.views import parcel_json
from ..request import Refused, Request
from ..services import Services
from .parameters import find_parcel, ids, whole_number

__all__ = ["create_labels", "get_customs_declaration", "get_label", "print_on_a4", "print_on_a6"]


def get_label(services: Services, request: Request) -> Response:
    """Answer ``GET /labels/{parcel_id}``."""
    parcel = find_parcel(services, request, request.parameters["parcel_id"])
    label = parcel_json(parcel, services.merchant.feedback.base_url)["label"]
    return json_response({"label": label, "customs_declaration": {}})


def create_labels(services: Services, request: Request) -> Response:
    """Answer ``POST /labels``."""
    body = request.json()
    label = body.get("label") if isinstance(body, dict) else None
    wanted = label.get("parcels") if isinstance(label, dict) else None
    if not isinstance(wanted, list) or not wanted or not all(type(key) is int for key in wanted):
        raise Refused(400, repr({"label": {"parcels": ["A list of parcel ids is required."]}}))
    for key in wanted:
        find_parcel(services, request, key)
    address = f"{services.merchant.feedback.base_url}/labels"
    chosen = f"ids={','.join(map(str, wanted))}"
    links = [f"{address}/normal_printer?{chosen}&start_from={place}" for place in range(4)]
    return json_response({"label": {"normal_printer": links, "label_printer": f"{address}/label_printer?{chosen}"}})


def print_on_a4(services: Services, request: Request) -> Response:
    """Answer ``GET /labels/normal_printer/{parcel_id}`` and ``GET /labels/normal_printer?ids=``."""
    place = whole_number(request, "start_from") or 0
    if not 0 <= place <= 3:
        raise Refused(400, repr({"start_from": ["Must be 0, 1, 2 or 3."]}))
    return Response(200, labels_on_a4(_chosen(services, request), place), "application/pdf")


def print_on_a6(services: Services, request: Request) -> Response:
    """Answer ``GET /labels/label_printer/{parcel_id}`` and ``GET /labels/label_printer?ids=``."""
    return Response(200, labels_on_a6(_chosen(services, request)), "application/pdf")


def get_customs_declaration(services: Services, request: Request) -> Response:
    """Answer ``GET /customs_declaration/normal_printer/{parcel_id}`` and ``…/normal_printer?ids=``."""
    return Response(200, customs_declarations(_chosen(services, request)), "application/pdf")


def _chosen(services: Services, request: Request) -> list[Parcel]:
    if "parcel_id" in request.parameters:
        return [find_parcel(services, request, request.parameters["parcel_id"])]
    if not (chosen := ids(request)):
        raise Refused(400, repr({"ids": ["This field is required."]}))
    return [find_parcel(services, request, key) for key in sorted(chosen)]
