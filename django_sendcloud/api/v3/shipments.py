"""Shipments with their parcels: read to find updates whose webhooks never came, and cancelled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ...exceptions import InvalidResponse, RequestRejected, StillProcessing
from ..pages import Page, linked_pages
from ..queries import ids, moments, only_matching, page_sizes, same_text, texts
from ..requestor import Request, Requestor
from ..results import Cancellation
from ..urls import check_id
from . import paths
from .orders import data_of
from .results import Shipment

__all__ = ["MAX_SHIPMENT_PAGE", "Shipments"]

#: Shipments on one page (contract: parameter ``page_size``).
MAX_SHIPMENT_PAGE: Final = 100


class Shipments:
    """The operations below ``/shipments`` that a shop needs. Reached as ``client.v3.shipments``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(
        self,
        *,
        integration_id: int | None = None,
        updated_after: dt.datetime | None = None,
        updated_before: dt.datetime | None = None,
        announced_after: dt.datetime | None = None,
        announced_before: dt.datetime | None = None,
        order_number: str | None = None,
        tracking_number: str | None = None,
        external_reference_id: str | None = None,
        parcel_status: str | None = None,
        parcel_ids: Sequence[int] = (),
        shipment_ids: Sequence[str] = (),
        page_size: int | None = None,
        cursor: str | None = None,
    ) -> Iterator[Shipment]:
        """Iterate over shipments, page by page as they are needed (operation: GET /shipments).

        There is no filter by the shop's id of the order.

        Args:
            integration_id: Only shipments of this integration. The answer does not repeat it, so this one filter
                cannot be checked.
            updated_after: Only shipments that changed later. Knows its time zone, sent in UTC.
            updated_before: Only shipments that changed earlier.
            announced_after: Only shipments whose labels were made later.
            announced_before: Only shipments whose labels were made earlier.
            order_number: Only shipments of this order.
            tracking_number: Only the shipment with this number of the carrier's.
            external_reference_id: Only the shipment with this reference of the shop's.
            parcel_status: Only shipments with this status.
            parcel_ids: Only shipments with these parcels, 100 at most.
            shipment_ids: Only these shipments, 100 at most.
            page_size: Shipments per request, 1 to 100; 40 by default.
            cursor: The place to go on, from :attr:`Page.next_cursor`.

        Raises:
            ValueError: a filter makes no sense. Raised immediately, before anything is sent.
            InvalidResponse: the answer cannot be read, or holds nothing that was asked for.
            APIError: it did not end well.
        """
        pages = self.pages(
            integration_id=integration_id,
            updated_after=updated_after,
            updated_before=updated_before,
            announced_after=announced_after,
            announced_before=announced_before,
            order_number=order_number,
            tracking_number=tracking_number,
            external_reference_id=external_reference_id,
            parcel_status=parcel_status,
            parcel_ids=parcel_ids,
            shipment_ids=shipment_ids,
            page_size=page_size,
            cursor=cursor,
        )
        return (shipment for page in pages for shipment in page.results)

    def pages(
        self,
        *,
        integration_id: int | None = None,
        updated_after: dt.datetime | None = None,
        updated_before: dt.datetime | None = None,
        announced_after: dt.datetime | None = None,
        announced_before: dt.datetime | None = None,
        order_number: str | None = None,
        tracking_number: str | None = None,
        external_reference_id: str | None = None,
        parcel_status: str | None = None,
        parcel_ids: Sequence[int] = (),
        shipment_ids: Sequence[str] = (),
        page_size: int | None = None,
        cursor: str | None = None,
    ) -> Iterator[Page[Shipment]]:
        """Iterate as :meth:`list` does, but over pages."""
        if len(shipment_ids) > MAX_SHIPMENT_PAGE:
            raise ValueError(f"shipment_ids takes up to {MAX_SHIPMENT_PAGE} ids, got {len(shipment_ids)}.")
        named = {
            "parcel_status": parcel_status,
            "tracking_number": tracking_number,
            "external_reference_id": external_reference_id,
            "order_number": order_number,
            "shipment_uuids": ",".join(value for _, value in texts("shipment_ids", shipment_ids)) or None,
            "cursor": cursor,
        }
        if integration_id is not None:
            check_id("integration_id", integration_id)
        query = [
            *ids("integration_id", [] if integration_id is None else [integration_id]),
            *moments("updated_after", updated_after),
            *moments("updated_before", updated_before),
            *moments("announced_after", announced_after),
            *moments("announced_before", announced_before),
            *ids("ids", parcel_ids),
            *(pair for name, value in named.items() if value is not None for pair in texts(name, [value])),
            *page_sizes(page_size, MAX_SHIPMENT_PAGE),
        ]
        request = Request(
            operation="list shipments",
            method="GET",
            path=paths.SHIPMENTS,
            success=[200],
            integration_id=integration_id,
            query=query,
        )
        pages = linked_pages(self._requestor, request, Shipment.from_api)
        asked_parcels, asked_shipments = frozenset(parcel_ids), frozenset(shipment_ids)

        def matches(shipment: Shipment) -> bool:
            parcels = shipment.parcels
            return (
                (order_number is None or same_text(shipment.order_number, order_number))
                and (tracking_number is None or any(same_text(p.tracking_number, tracking_number) for p in parcels))
                and (external_reference_id is None or same_text(shipment.external_reference_id, external_reference_id))
                and (not asked_parcels or any(parcel.id in asked_parcels for parcel in parcels))
                and (not asked_shipments or shipment.id in asked_shipments)
            )

        return only_matching(pages, matches, lambda message: self._requestor.unreadable(request, message))

    def get(self, id: str) -> Shipment:
        """Read one shipment (operation: GET /shipments/{id}).

        Args:
            id: Sendcloud's id of the shipment.

        Raises:
            NotFound: there is none with this id (``resource`` is ``shipment``).
            APIError: it did not end well.
        """
        request = Request(
            operation="get shipment", method="GET", path=paths.shipment(id), success=[200], resource="shipment"
        )
        shipment = self._requestor.read(request, lambda content: Shipment.from_api(data_of(content)))
        if shipment.id != id:
            raise self._requestor.unreadable(request, "another shipment than the one that was asked for")
        return shipment

    def cancel(self, id: str) -> Cancellation:
        """Cancel a shipment and its labels, as far as the carrier allows (operation: POST /shipments/{id}/cancel).

        Args:
            id: Sendcloud's id of the shipment.

        Raises:
            NotFound: there is none with this id (``resource`` is ``shipment``).
            RequestRejected: it is cancelled already, delivered, or older than 42 days.
            APIError: it did not end well.
        """
        request = Request(
            operation="cancel shipment",
            method="POST",
            path=paths.shipment_cancel(id),
            success=[200, 202],
            resource="shipment",
        )
        try:
            response = self._requestor.send(request)
        except StillProcessing as error:
            # The contract's 409 of this one operation is a rejection for good.
            rejection = RequestRejected(
                "the shipment can not be cancelled (any more)", operation=error.operation, status=error.status
            )
        else:
            content = self._requestor.decode(request, response)
            message = self._requestor.parse(request, _message, content)
            return Cancellation(queued=response.status == 202, message=message)
        raise rejection


def _message(content: Any) -> str:
    data = data_of(content)
    if not isinstance(data, dict) or not isinstance(data.get("status"), str):
        raise InvalidResponse("an answer without the status of the cancellation")
    message = data.get("message")
    return message if isinstance(message, str) else data["status"]
