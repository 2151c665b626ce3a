"""Filters, sorting and pages of the list of orders in v3."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, Final

from ..moments import parse_date, parse_moment
from ..parcels.statuses import CANCELLED
from ..request import Refused, Request
from ..services import Services
from ..store import StoredOrder
from .pages import Place, page_size, slice_page

__all__ = ["find_orders"]

_SORTS: Final = ("integration", "order_number", "order_created_at", "order_updated_at", "pk")


def find_orders(services: Services, request: Request) -> tuple[list[StoredOrder], dict[str, str]]:
    """Return a page of orders and the headers with its links. Unknown parameters are ignored.

    Raises:
        Refused: An integration is not of the caller's account, or a day or the cursor is invalid.
    """
    wanted = _filter(services, request)
    chosen = _integrations(services, request)
    orders = [order for integration_id in chosen for order in services.store.orders(integration_id) if wanted(order)]
    sort = request.one("sort") or ""
    name, falling = sort.removeprefix("-"), sort.startswith("-")
    if name not in _SORTS:
        name, falling = "pk", True

    def place(order: StoredOrder) -> Place:
        return [_sort_key(order, name), order.number]

    orders.sort(key=place, reverse=falling)
    return slice_page(services, request, orders, place, page_size(request, 100, 200), falling=falling)


def _sort_key(order: StoredOrder, name: str) -> Any:
    match name:
        case "pk":
            return order.number
        case "integration":
            return order.integration_id
        case "order_number":
            return order.order_number
    moment = parse_moment(order.document["order_details"].get(name))
    return moment.timestamp() if moment else 0.0


def _integrations(services: Services, request: Request) -> list[int]:
    own = [integration.id for integration in services.store.of_account(request.caller.account)]
    text = request.one("integration")
    if not text:
        return own
    chosen = []
    for part in text.split(","):
        number = int(part) if part.strip().isdecimal() and len(part) < 20 else 0
        if number not in own:
            raise Refused(
                400,
                f"Select a valid choice. {part.strip()} is not one of the available choices.",
                code="invalid_choice",
                title="Invalid Choice",
                parameter="integration",
            )
        chosen.append(number)
    return list(dict.fromkeys(chosen))


def _filter(services: Services, request: Request) -> Callable[[StoredOrder], bool]:
    order_id, order_number, status = (
        text.casefold() if (text := request.one(name)) else None for name in ("order_id", "order_number", "status")
    )
    days = [
        (field, suffix, day)
        for field in ("order_created_at", "order_updated_at")
        for suffix in ("", "_min", "_max")
        if (day := _day(request, f"{field}{suffix}")) is not None
    ]
    labelled = set() if services.behaviour.list_labelled_orders else _labelled(services)

    def wanted(order: StoredOrder) -> bool:
        if order_id is not None and order.order_id.casefold() != order_id:
            return False
        if order_number is not None and order.order_number.casefold() != order_number:
            return False
        if order.uuid in labelled:
            return False
        if status is None and not days:
            return True
        details = order.document["order_details"]
        if status is not None and details["status"]["code"].casefold() != status:
            return False
        return all(_in_days(details.get(field), suffix, day) for field, suffix, day in days)

    return wanted


def _labelled(services: Services) -> set[str]:
    """Return the uuids of orders with a valid label."""
    return {
        parcel.shipment_uuid
        for parcel in services.parcels.all()
        if not parcel.is_return and parcel.status_id != CANCELLED
    }


def _in_days(value: Any, suffix: str, day: dt.date) -> bool:
    moment = parse_moment(value)
    if moment is None:
        return False
    match suffix:
        case "_min":
            return moment.date() >= day
        case "_max":
            return moment.date() <= day
    return moment.date() == day


def _day(request: Request, name: str) -> dt.date | None:
    text = request.one(name)
    if not text:
        return None
    # Only the day counts, also of a moment.
    if (day := parse_date(text[:10])) is None:
        raise Refused(400, "Enter a valid date.", title="Invalid", parameter=name)
    return day
