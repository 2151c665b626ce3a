"""Operations on orders in v3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..http import Response, json_response
from ..request import Refused, Request
from ..requestlog import LoggedItem
from ..services import Services
from ..store import FIRST_ID, StoredOrder, merged
from .errors import error
from .order_checks import check_patch, known_fields
from .order_lists import find_orders
from .order_upserts import upsert
from .views import order_json

__all__ = ["delete_order", "get_order", "list_orders", "update_order", "upsert_orders"]

_NOT_FOUND: Final = "The order could not be found with the search criteria given"
#: Fields that may be null in a partial update, and not in an order.
_CLEARED_BY_NULL: Final = {"notes", "tags", "delivery_dates"}
_NO_ITEM: Final = "Could not find specified item."


def list_orders(services: Services, request: Request) -> Response:
    """Answer ``GET /orders``."""
    with services.store.lock:
        orders, headers = find_orders(services, request)
        return json_response({"data": [order_json(order, services.behaviour) for order in orders]}, headers=headers)


def upsert_orders(services: Services, request: Request) -> Response:
    """Answer ``POST /orders``. The whole batch is accepted, or none of it."""
    return upsert(services, request)


def get_order(services: Services, request: Request) -> Response:
    """Answer ``GET /orders/{id}``."""
    with services.store.lock:
        return json_response({"data": order_json(_find(services, request, _NOT_FOUND), services.behaviour)})


def delete_order(services: Services, request: Request) -> Response:
    """Answer ``DELETE /orders/{id}``."""
    items = request.logged.items
    with services.store.lock:
        services.log.apply(request.logged)
        number = _number(request)
        pending = next((found for found in services.store.unsaved.all() if found.number == number), None)
        cancelled = services.behaviour.delete_before_save == "cancelled" and services.store.unsaved.drop(number)
        try:
            order = _find(services, request, _NOT_FOUND)
        except Refused:
            items.append(LoggedItem(pending.order_id if pending else "", None, None, "not found"))
            if cancelled:
                items[-1] = LoggedItem(pending.order_id if pending else "", None, None, "deleted")
                return Response(204)
            raise
        items.append(LoggedItem(order.order_id, None, None, "deleted"))
        services.store.delete(order)
    return Response(204)


def update_order(services: Services, request: Request) -> Response:
    """Answer ``PATCH /orders/{id}``."""
    with services.store.lock:
        order = _find(services, request, _NO_ITEM)
        changes = request.json()
        errors = [
            _patch_error(path, message)
            for path, message in check_patch(changes, any_currency=services.behaviour.any_currency)
        ]
        if not errors:
            errors = list(_forbidden_changes(order, changes))
        if errors:
            raise Refused(400, "", errors=errors)
        services.log.apply(request.logged)
        document = _patched(order, changes)
        services.store.patch(order, document)
        request.logged.items.append(
            LoggedItem(order.order_id, None, document["order_details"].get("order_updated_at"), "updated")
        )
    return json_response({"data": {"id": order.id, "order_id": order.order_id, "order_number": order.order_number}})


def _patched(order: StoredOrder, changes: dict[str, Any]) -> dict[str, Any]:
    """Return an order with changes. Items are found by name; none is added or removed."""
    document = merged(order.document, known_fields(changes))
    by_name = {item["name"]: item for item in (changes.get("order_details") or {}).get("order_items") or ()}
    items = order.document["order_details"]["order_items"]
    document["order_details"] = _without_nulls(
        document["order_details"]
        | {"order_items": [_without_nulls(merged(item, by_name.get(item["name"], {}))) for item in items]}
    )
    # Only a partial update calls it "phone".
    if "phone" in (customer := document.get("customer_details") or {}):
        phone = {"phone_number": customer["phone"]}
        document["customer_details"] = {name: value for name, value in customer.items() if name != "phone"} | phone
    return document


def _without_nulls(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields without those that a null clears."""
    return {name: value for name, value in fields.items() if value is not None or name not in _CLEARED_BY_NULL}


def _forbidden_changes(order: StoredOrder, changes: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if changes.get("order_id", order.order_id) != order.order_id:
        yield _patch_error(("order_id",), f"Order id {order.order_id} cannot be changed")
    details = changes.get("order_details") or {}
    integration_id = (details.get("integration") or {}).get("id", order.integration_id)
    if integration_id != order.integration_id:
        yield _patch_error(("order_details", "integration", "id"), "Integration cannot be changed")
    names = {item["name"] for item in order.document["order_details"]["order_items"]}
    if any(item.get("name") not in names for item in details.get("order_items") or ()):
        yield error(400, _NO_ITEM, title="Invalid", pointer="order/order_details/order_items")
    if changes.get("order_number") == "":
        yield _patch_error(("order_number",), "String should have at least 1 character")


def _patch_error(path: tuple[str | int, ...], message: str) -> dict[str, Any]:
    return error(400, message, title="Invalid", pointer="/".join(map(str, ("order", *path))))


def _number(request: Request) -> int:
    text = request.parameters["id"]
    return int(text) - FIRST_ID if text.isascii() and text.isdecimal() and len(text) < 20 else -1


def _find(services: Services, request: Request, message: str) -> StoredOrder:
    """Return the order of the path.

    Raises:
        Refused: It is not saved, or another account owns it.
    """
    order = services.store.by_id(_number(request) + FIRST_ID)
    integration = services.store.integrations.get(order.integration_id) if order else None
    if order is None or integration is None or integration.account != request.caller.account:
        raise Refused(404, message, title="Not found")
    return order
