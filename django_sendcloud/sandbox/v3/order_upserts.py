"""The upsert of orders in v3: a batch is checked as a whole, accepted as a whole, and saved later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from ..http import Response, json_response
from ..request import Refused, Request
from ..requestlog import LoggedItem
from ..services import Services
from ..store import FIRST_ID, StoredOrder
from .checks import Error
from .errors import error
from .order_checks import check_order, known_fields

__all__ = ["MAX_ORDERS", "upsert"]

MAX_ORDERS: Final = 100
_CONFLICT: Final = "We are still processing a previous request. Please try again in a moment."


def upsert(services: Services, request: Request) -> Response:
    """Accept a batch of orders.

    Raises:
        Refused: An order has errors, or an earlier request with one of them is still being saved.
    """
    items = request.json()
    if not isinstance(items, list):
        message = "Wrong request format, expected list of objects"
        raise Refused(400, message, code="non_field_errors", title="Wrong format")
    if len(items) > MAX_ORDERS:
        message = f"Orders list should have at most {MAX_ORDERS} items, not {len(items)}"
        raise Refused(400, message, pointer="/data/attributes/")
    if (status := services.faults.poisoned([_order_id(item) for item in items])) is not None:
        if status >= 500:
            return Response(status, b"<html><body><h1>Server Error (500)</h1></body></html>", "text/html")
        raise Refused(status, "The batch could not be processed.")
    with services.store.lock:
        services.store.save_due()
        _refuse_errors(services, request, items)
        _refuse_conflicts(services, request, items)
        services.log.apply(request.logged)
        results = [_accept(services, request, item) for item in items]
    return json_response({"data": services.faults.garbled(results, "order_id")}, 201)


def _accept(services: Services, request: Request, item: dict[str, Any]) -> dict[str, Any]:
    behaviour, store = services.behaviour, services.store
    integration_id = int(item["order_details"]["integration"]["id"])
    order = _target(services, item)
    accepted = store.accept(
        integration_id,
        known_fields(item),
        order,
        behaviour.save_delay,
        keep=behaviour.omitted_blocks == "kept",
        recreates=behaviour.delete_before_save == "recreated",
        lost=services.faults.loses_order(),
    )
    store.integrations[integration_id].last_fetch = store.clock()
    outcome = "created" if accepted.is_new else "updated"
    stamp = item["order_details"].get("order_updated_at")
    request.logged.items.append(LoggedItem(item["order_id"], None, stamp, outcome))
    return {"id": FIRST_ID + accepted.number, "order_id": item["order_id"], "order_number": item["order_number"]}


def _target(services: Services, item: dict[str, Any]) -> StoredOrder | None:
    """Return the saved order that the item names by Sendcloud's id."""
    text = item.get("id", "")
    return services.store.by_id(int(text)) if _is_id(text) else None


def _refuse_errors(services: Services, request: Request, items: list[Any]) -> None:
    """Refuse a batch with errors, and name them.

    Raises:
        Refused: At least one order has errors.
    """
    errors: list[dict[str, Any]] = []
    failing: set[int] = set()
    for index, item in enumerate(items):
        for path, message in _errors(services, request, item):
            if services.behaviour.report_first_error_only and failing - {index}:
                continue
            failing.add(index)
            pointer = "/".join(map(str, ("", "data", "attributes", f"[{index}]", *path)))
            errors.append(error(400, message, pointer=pointer))
    if errors:
        for index, item in enumerate(items):
            _note(request, item, "error" if index in failing else "refused")
        raise Refused(400, "", errors=errors)


def _errors(services: Services, request: Request, item: Any) -> Iterator[Error]:
    found = check_order(item, any_currency=services.behaviour.any_currency)
    yield from found
    if found:
        return
    integration_id = item["order_details"]["integration"]["id"]
    integration = services.store.integrations.get(integration_id)
    if integration is None or integration.account != request.caller.account:
        message = f"Integration with id {integration_id} does not exist"
        yield ("order_details", "integration", "id"), message
        return
    if "id" in item:
        order = _target(services, item)
        if order is None or order.integration_id != integration_id:
            yield ("id",), f"Order with id {item['id']} does not exist"
        elif order.order_id != item["order_id"]:
            yield ("order_id",), f"Order id {order.order_id} cannot be changed"
    for name, messages in (services.faults.rejection(item["order_id"]) or {}).items():
        yield tuple(name.split("/")), messages[0] if isinstance(messages, list) else str(messages)


def _refuse_conflicts(services: Services, request: Request, items: list[Any]) -> None:
    """Refuse a batch with an order that is still being saved. The error does not say which.

    Raises:
        Refused: An earlier request with one of the orders is still being saved.
    """
    if not services.behaviour.conflict_while_saving:
        return
    unsaved = services.store.unsaved
    if any(unsaved.find(item["order_details"]["integration"]["id"], item["order_id"]) for item in items):
        for item in items:
            _note(request, item, "conflict")
        raise Refused(400, _CONFLICT, pointer="/data")


def _note(request: Request, item: Any, outcome: str) -> None:
    order_id = _order_id(item)
    details = item.get("order_details") if isinstance(item, dict) else None
    stamp = details.get("order_updated_at") if isinstance(details, dict) else None
    request.logged.items.append(
        LoggedItem(
            order_id if isinstance(order_id, str) else "", None, stamp if isinstance(stamp, str) else None, outcome
        )
    )


def _order_id(item: Any) -> Any:
    return item.get("order_id") if isinstance(item, dict) else None


def _is_id(text: Any) -> bool:
    return isinstance(text, str) and text.isascii() and text.isdecimal() and len(text) < 20
