"""Orders: upserted in batches, listed, read, changed and deleted."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ...exceptions import InvalidResponse, NotFound, PayloadError
from ...hidden import HiddenList, hide
from ...violations import Errors, Param, Violation
from ..pages import Page, linked_pages
from ..queries import dates, ids, only_matching, page_sizes, same_text, texts
from ..requestor import NO_BODY, Request, Requestor
from ..results import DeleteResult, read_number
from . import paths
from .results import AcceptedOrder, Order

__all__ = ["MAX_BATCH", "MAX_PAGE", "SORT_FIELDS", "OrderJSON", "Orders"]

#: Orders one upsert takes (documentation: POST /orders).
MAX_BATCH: Final = 100

#: Orders on one page (contract: parameter ``page_size``).
MAX_PAGE: Final = 200

#: Fields a list can be sorted by (documentation: GET /orders). Sendcloud ignores any other.
SORT_FIELDS: Final = ("integration", "order_number", "order_created_at", "order_updated_at", "pk")

#: An order as the contract's JSON (``order``), numbers as ``Decimal`` or ``int``.
OrderJSON = Mapping[str, Any]


class Orders:
    """The operations below ``/orders``. Reached as ``client.v3.orders``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def upsert(self, orders: Iterable[OrderJSON]) -> builtins.list[AcceptedOrder | None]:
        """Create or update up to 100 orders of one integration (operation: POST /orders).

        An order is known by ``order_id`` and its integration. All orders are accepted or none. Saving is
        asynchronous: an accepted order can be read a little later. The contract promises 201, the guide says 200.

        Args:
            orders: The contract's JSON of each, as :mod:`django_sendcloud.payloads` writes it.

        Returns:
            Each order's id in the orders' order, whatever the order of the answer. ``None`` if the answer does not
            name the order exactly once: treat it as if no answer had come.

        Raises:
            PayloadError: the batch is empty, too large, names an order twice, or several integrations. Nothing was
                sent.
            RequestRejected: Sendcloud rejects the batch as a whole; ``items`` names the orders and their fields.
            StillProcessing: an earlier request for one of the orders is not done; send the same batch again.
            NotFound: there is no such integration (``resource`` is ``integration``).
            UnknownOutcome: it may have been applied; repeating it is safe.
            APIError: it did not end well.
        """
        batch = HiddenList(hide(_with_text_id(order), texts=False) for order in orders)
        request = Request(
            operation="upsert orders",
            method="POST",
            path=paths.ORDERS,
            success=[201, 200],
            integration_id=_check_batch(batch),
            body=batch,
        )
        answers = self._requestor.read(request, _answers)
        return [_result(answers.get(order["order_id"], [])) for order in batch]

    def list(
        self,
        *,
        integration_id: int | Sequence[int] | None = None,
        order_id: str | None = None,
        order_number: str | None = None,
        status: str | None = None,
        order_created_at: dt.date | None = None,
        order_created_at_min: dt.date | None = None,
        order_created_at_max: dt.date | None = None,
        order_updated_at: dt.date | None = None,
        order_updated_at_min: dt.date | None = None,
        order_updated_at_max: dt.date | None = None,
        sort: str | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
    ) -> Iterator[Order]:
        """Iterate over orders, page by page as they are needed (operation: GET /orders).

        Args:
            integration_id: Only orders of this integration, or of these. Sendcloud's default is all of the account.
            order_id: Only the order with this id of the shop's. Letter case is ignored; several orders may have it,
                since an order split in the panel becomes several.
            order_number: Only orders with this number, letter case ignored.
            status: Only orders with this status of the shop's, letter case ignored.
            order_created_at: Only orders placed on this day.
            order_created_at_min: Only orders placed on this day or later.
            order_created_at_max: Only orders placed on this day or earlier.
            order_updated_at: Only orders the shop changed on this day.
            order_updated_at_min: Only orders the shop changed on this day or later.
            order_updated_at_max: Only orders the shop changed on this day or earlier.
            sort: One of :data:`SORT_FIELDS`, with ``-`` in front for descending. Newest first by default.
            page_size: Orders per request, 1 to 200; 100 by default.
            cursor: The place to go on, from :attr:`Page.next_cursor`.

        Raises:
            ValueError: a filter has the wrong type. Raised immediately, before anything is sent.
            NotFound: there is no such integration (``integration``), or no such cursor (``page``).
            InvalidResponse: the answer cannot be read, or holds nothing that was asked for.
            APIError: it did not end well.
        """
        pages = self.pages(
            integration_id=integration_id,
            order_id=order_id,
            order_number=order_number,
            status=status,
            order_created_at=order_created_at,
            order_created_at_min=order_created_at_min,
            order_created_at_max=order_created_at_max,
            order_updated_at=order_updated_at,
            order_updated_at_min=order_updated_at_min,
            order_updated_at_max=order_updated_at_max,
            sort=sort,
            page_size=page_size,
            cursor=cursor,
        )
        return (order for page in pages for order in page.results)

    def pages(
        self,
        *,
        integration_id: int | Sequence[int] | None = None,
        order_id: str | None = None,
        order_number: str | None = None,
        status: str | None = None,
        order_created_at: dt.date | None = None,
        order_created_at_min: dt.date | None = None,
        order_created_at_max: dt.date | None = None,
        order_updated_at: dt.date | None = None,
        order_updated_at_min: dt.date | None = None,
        order_updated_at_max: dt.date | None = None,
        sort: str | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
    ) -> Iterator[Page[Order]]:
        """Iterate as :meth:`list` does, but over pages, whose ``next_cursor`` lets a scan go on later."""
        integrations = [integration_id] if isinstance(integration_id, int) else [*(integration_id or ())]
        named = {"order_number": order_number, "order_id": order_id, "status": status}
        query = [
            *ids("integration", integrations),
            *(pair for name, value in named.items() if value is not None for pair in texts(name, [value])),
            *dates("order_created_at", order_created_at),
            *dates("order_created_at_min", order_created_at_min),
            *dates("order_created_at_max", order_created_at_max),
            *dates("order_updated_at", order_updated_at),
            *dates("order_updated_at_min", order_updated_at_min),
            *dates("order_updated_at_max", order_updated_at_max),
            *_sort(sort),
            *page_sizes(page_size, MAX_PAGE),
            *(texts("cursor", [cursor]) if cursor is not None else []),
        ]
        request = Request(
            operation="list orders",
            method="GET",
            path=paths.ORDERS,
            success=[200],
            integration_id=integrations[0] if len(integrations) == 1 else None,
            query=query,
        )
        pages = linked_pages(self._requestor, request, Order.from_api)
        if not integrations and not any(named.values()):
            return pages
        matches = _matches(frozenset(integrations), order_id, order_number, status)
        return only_matching(pages, matches, lambda message: self._requestor.unreadable(request, message))

    def get(self, id: int) -> Order:
        """Read one order (operation: GET /orders/{id}).

        Args:
            id: Sendcloud's id of the order.

        Raises:
            NotFound: there is none with this id (``resource`` is ``order``); or not yet, right after an upsert.
            APIError: it did not end well.
        """
        request = self._request("get order", "GET", id, 200)
        order = self._requestor.read(request, lambda content: Order.from_api(data_of(content)))
        if order.id != id:
            raise self._requestor.unreadable(request, "another order than the one that was asked for")
        return order

    def patch(self, id: int, changes: OrderJSON) -> AcceptedOrder:
        """Change some fields of an order (operation: PATCH /orders/{id}).

        Lines are found by their ``name``; none is added or removed. The answer proves nothing but that the change was
        accepted: read the order again.

        Args:
            id: Sendcloud's id of the order.
            changes: The contract's JSON (``order-partial-update``) of the fields to change.

        Raises:
            PayloadError: there is nothing to change. Nothing was sent.
            NotFound: there is none with this id (``resource`` is ``order``).
            RequestRejected: Sendcloud rejects a field; ``errors`` names it.
            APIError: it did not end well.
        """
        if not changes:
            raise PayloadError({"": [Violation("nothing_to_change")]}, "order")
        request = self._request("patch order", "PATCH", id, 200, changes)
        return self._requestor.read(request, lambda content: AcceptedOrder.from_api(data_of(content)))

    def delete(self, id: int) -> DeleteResult:
        """Delete an order (operation: DELETE /orders/{id}).

        Args:
            id: Sendcloud's id of the order.

        Returns:
            The outcome. ``found`` is ``False`` as well for an order that was accepted and is not saved yet: it appears
            afterwards. Look again.

        Raises:
            APIError: it did not end well.
        """
        try:
            self._requestor.send(self._request("delete order", "DELETE", id, 204))
        except NotFound as error:
            if error.resource != "order":
                raise
            return DeleteResult(found=False)
        return DeleteResult(found=True)

    def _request(self, operation: str, method: str, id: int, success: int, body: object = NO_BODY) -> Request:
        return Request(
            operation=operation,
            method=method,
            path=paths.order(id),
            success=[success],
            body=body,
            resource="order",
        )


def data_of(content: Any) -> Any:
    """Return what an answer holds under ``data``.

    Raises:
        InvalidResponse: there is no such member.
    """
    if not isinstance(content, dict) or "data" not in content:
        raise InvalidResponse("an answer without its data")
    return content["data"]


def _with_text_id(order: OrderJSON) -> OrderJSON:
    """Return the order with Sendcloud's id as text: its answers have a number, its requests must not."""
    if isinstance(order, Mapping) and isinstance(order.get("id"), int):
        return {**order, "id": str(order["id"])}
    return order


def _check_batch(batch: Sequence[OrderJSON]) -> int:
    """Return the batch's integration.

    Raises:
        PayloadError: the batch is empty or too large, names an order twice, or several integrations: the answer
            names neither, so that its items would be ambiguous.
    """
    subject = "batch of orders"
    if not batch:
        raise PayloadError({"": [Violation("batch_empty", {"noun": "order"})]}, subject)
    if len(batch) > MAX_BATCH:
        params: dict[str, Param] = {"noun": "order", "limit": MAX_BATCH, "length": len(batch)}
        raise PayloadError({"": [Violation("batch_too_large", params)]}, subject)
    errors: Errors = {}
    first: dict[str, int] = {}
    integration_id: int | None = None
    for index, order in enumerate(batch):
        if not isinstance(order, Mapping):
            errors[f"[{index}]"] = [Violation("not_a_mapping", {"type": type(order).__name__})]
            continue
        order_id, integration = order.get("order_id"), _integration_of(order)
        if not isinstance(order_id, str) or not order_id:
            errors[f"[{index}].order_id"] = [Violation("required")]
        elif (other := first.setdefault(order_id, index)) != index:
            errors[f"[{index}].order_id"] = [Violation("duplicate_order_id", {"other": other})]
        if integration is None:
            errors[f"[{index}].order_details.integration.id"] = [Violation("not_an_id")]
        elif (integration_id := integration_id or integration) != integration:
            errors[f"[{index}].order_details.integration.id"] = [Violation("integrations_mixed")]
    if errors or integration_id is None:
        raise PayloadError(errors, subject)
    return integration_id


def _integration_of(order: OrderJSON) -> int | None:
    details = order.get("order_details")
    integration = details.get("integration") if isinstance(details, Mapping) else None
    number = integration.get("id") if isinstance(integration, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None


def _answers(content: Any) -> dict[str, builtins.list[dict[str, Any]]]:
    """Sort the answer's items by the order they are about."""
    data = data_of(content)
    if not isinstance(data, list):
        raise InvalidResponse("an answer that is not a list of orders")
    answers: dict[str, list[dict[str, Any]]] = {}
    for item in data:
        if isinstance(item, dict) and isinstance(item.get("order_id"), str | int):
            answers.setdefault(str(item["order_id"]), []).append(item)
    return answers


def _result(answers: Sequence[dict[str, Any]]) -> AcceptedOrder | None:
    if len(answers) != 1 or read_number(answers[0].get("id")) is None:
        return None
    return AcceptedOrder.from_api(answers[0])


def _sort(value: str | None) -> builtins.list[tuple[str, str]]:
    if value is None:
        return []
    if value.removeprefix("-") not in SORT_FIELDS:
        raise ValueError(f"sort must be one of {', '.join(SORT_FIELDS)}, with or without '-', got {value!r}.")
    return [("sort", value)]


def _matches(
    integrations: frozenset[int], order_id: str | None, order_number: str | None, status: str | None
) -> Callable[[Order], bool]:
    def matches(order: Order) -> bool:
        there = order.order_details.status.code if order.order_details and order.order_details.status else None
        return (
            (not integrations or order.integration_id in integrations)
            and (order_id is None or same_text(order.order_id, order_id))
            and (order_number is None or same_text(order.order_number, order_number))
            and (status is None or same_text(there, status))
        )

    return matches
