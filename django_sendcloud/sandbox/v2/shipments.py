"""Operations on the shipments of an integration in v2."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from ..http import Response, json_response
from ..request import Refused, Request
from ..requestlog import LoggedItem, LoggedRequest
from ..services import Services
from ..store import StoredOrder
from .pages import page, read_cursor
from .parameters import day, find_integration, parse_uuid, whole_number
from .shipment_checks import SHIPMENT_FIELDS, shipment_errors
from .views import shipment_json

__all__ = ["MAX_SHIPMENTS", "delete_shipment", "list_shipments", "upsert_shipments"]

MAX_SHIPMENTS: Final = 100


def list_shipments(services: Services, request: Request) -> Response:
    """Answer ``GET /integrations/{id}/shipments``."""
    integration = find_integration(services, request)
    today = services.store.clock().date()
    first = day(request, "start_date") or _a_year_before(today)
    last = day(request, "end_date") or dt.date.max
    order_ids, shipment_ids = (
        set(request.query[name]) if name in request.query else None
        for name in ("external_order_ids", "external_shipment_ids")
    )
    order_number = request.one("order_number")
    sender_address = whole_number(request, "sender_address")
    if request.one("shipping_rules") not in (None, "true", "false", "True", "False", "1", "0"):
        raise Refused(400, repr({"shipping_rules": ["Must be a valid boolean."]}))

    def wanted(order: StoredOrder) -> bool:
        return (
            first <= order.created_at.date() <= last
            and (order_ids is None or order.order_id in order_ids)
            and (shipment_ids is None or order.shipment_id in shipment_ids)
            and (order_number is None or order.order_number == order_number)
            and (sender_address is None or order.sender_address == sender_address)
        )

    cursor = read_cursor(request)
    position, back = (cursor.position, cursor.back) if cursor else (None, False)
    size = services.behaviour.page_size
    with services.store.lock:
        orders, more = services.store.page(integration.id, wanted, size, position, back=back)
        shown = [shipment_json(order) for order in orders]
    return page(services, request, "results", shown, [order.number for order in orders], more, cursor)


def upsert_shipments(services: Services, request: Request) -> Response:
    """Answer ``POST /integrations/{id}/shipments``. Each shipment is accepted or refused for itself."""
    integration = find_integration(services, request)
    items = request.json()
    if not isinstance(items, list):
        kind = "dict" if isinstance(items, dict) else type(items).__name__
        raise Refused(400, repr({"non_field_errors": [f'Expected a list of items but got type "{kind}".']}))
    if len(items) > MAX_SHIPMENTS:
        raise Refused(400, f"A maximum of {MAX_SHIPMENTS} orders can be sent at once, got {len(items)}.")
    if (status := services.faults.poisoned(_order_ids(items))) is not None:
        if status >= 500:
            return Response(status, b"<html><body><h1>Server Error (500)</h1></body></html>", "text/html")
        raise Refused(status, "The batch could not be processed.")
    checked = [(item, services.faults.rejection(_order_id(item)) or shipment_errors(item)) for item in items]
    with services.store.lock:
        if integration.id not in services.store.integrations:
            raise Refused(404, "No Integration matches the given query.")
        services.log.apply(request.logged)
        integration.last_fetch = services.store.clock()
        results = [
            _refuse(item, errors, request.logged) if errors else _put(services, integration.id, item, request.logged)
            for item, errors in checked
        ]
    if services.behaviour.external_ids_null:
        for result in results:
            result["external_shipment_id"] = result["external_shipment_id"] or None
    return json_response(services.faults.garbled(results, "external_order_id"))


def _order_id(item: Any) -> Any:
    return item.get("external_order_id") if isinstance(item, dict) else None


def _order_ids(items: list[Any]) -> list[Any]:
    return [_order_id(item) for item in items]


def _put(services: Services, integration_id: int, item: dict[str, Any], logged: LoggedRequest) -> dict[str, Any]:
    """Store a shipment and return its result (contract: ``ShipmentCreateUpdateLog``)."""
    fields = {name: item[name] for name in SHIPMENT_FIELDS if name in item}
    outcome, order = services.store.put_shipment(integration_id, fields)
    logged.items.append(LoggedItem(order.order_id, order.shipment_id, item["updated_at"], outcome))
    return {
        "external_order_id": order.order_id,
        "external_shipment_id": order.shipment_id or "",
        "shipment_uuid": order.uuid,
        "status": "created" if outcome == "created" else "updated",
    }


def _refuse(item: Any, errors: dict[str, Any], logged: LoggedRequest) -> dict[str, Any]:
    """Return the result of a shipment with errors (contract: ``ShipmentErrorLog``)."""
    fields = item if isinstance(item, dict) else {}
    keys = [fields.get(name) for name in ("external_order_id", "external_shipment_id", "updated_at")]
    order_id, shipment_id, stamp = (value if isinstance(value, str) else None for value in keys)
    logged.items.append(LoggedItem(order_id or "", shipment_id, stamp, "error"))
    return {
        "error": errors,
        "external_order_id": order_id or "",
        "external_shipment_id": shipment_id or "",
        "status": "error",
    }


def delete_shipment(services: Services, request: Request) -> Response:
    """Answer ``POST /integrations/{id}/shipments/delete``."""
    integration = find_integration(services, request)
    fields = request.json()
    fields = fields if isinstance(fields, dict) else {}
    order_id, shipment_id = fields.get("external_order_id"), fields.get("external_shipment_id")
    pair = isinstance(order_id, str) and isinstance(shipment_id, str)
    uuid = parse_uuid(fields.get("shipment_uuid"))
    # The contract has "oneOf": both are as wrong as neither.
    if pair == (uuid is not None):
        if not pair and "shipment_uuid" in fields:
            raise Refused(400, "Must be a valid UUID.")
        raise Refused(400, "Missing shipment_uuid or the pair external_order_id and external_shipment_id")
    items = request.logged.items
    with services.store.lock:
        services.log.apply(request.logged)
        order = services.store.find(integration.id, uuid=uuid, order_id=order_id, shipment_id=shipment_id)
        if order is None:
            items.append(LoggedItem(order_id or "", shipment_id, None, "not found"))
            raise Refused(404, "No ShipmentBlob matches the given query.")
        items.append(LoggedItem(order.order_id, order.shipment_id, None, "deleted"))
        services.store.delete(order)
    return Response(204)


def _a_year_before(today: dt.date) -> dt.date:
    try:
        return today.replace(year=today.year - 1)
    except ValueError:
        return today.replace(year=today.year - 1, day=28)
