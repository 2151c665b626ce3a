"""Parcels, as far as a shop needs them: read to find updates whose webhooks never came, and cancelled."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

from ..pages import Page, nested_pages
from ..requestor import Request, Requestor
from ..results import Cancellation, read_text
from . import paths
from .results import Parcel

__all__ = ["MAX_IDS", "Parcels"]

#: Ids one request may name (documentation: GET /parcels).
MAX_IDS: Final = 100


class Parcels:
    """The operations below ``/parcels`` that a shop needs. Reached as ``client.v2.parcels``.

    They see all parcels of the account, not only those of one integration.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(
        self,
        *,
        updated_after: dt.datetime | None = None,
        ids: Sequence[int] | None = None,
        order_number: str | None = None,
        cursor: str | None = None,
    ) -> Iterator[Parcel]:
        """Iterate over parcels, page by page as they are needed (operation: GET /parcels).

        Args:
            updated_after: Only those that changed since. Knows its time zone, sent in UTC.
            ids: Only these, 100 at most.
            order_number: Only those of this order.
            cursor: The place to go on, from :attr:`Page.next_cursor`.

        Raises:
            ValueError: more than 100 ids, or a time without a zone.
            APIError: it did not end well.
        """
        pages = self.pages(updated_after=updated_after, ids=ids, order_number=order_number, cursor=cursor)
        return (parcel for page in pages for parcel in page.results)

    def pages(
        self,
        *,
        updated_after: dt.datetime | None = None,
        ids: Sequence[int] | None = None,
        order_number: str | None = None,
        cursor: str | None = None,
    ) -> Iterator[Page[Parcel]]:
        """Iterate as :meth:`list` does, but over pages."""
        query: list[tuple[str, str]] = []
        if updated_after is not None:
            if updated_after.tzinfo is None:
                raise ValueError("updated_after must know its time zone.")
            query.append(("updated_after", updated_after.astimezone(dt.UTC).isoformat()))
        if ids is not None:
            if not 0 < len(ids) <= MAX_IDS:
                raise ValueError(f"ids takes 1 to {MAX_IDS} ids, got {len(ids)}.")
            query.append(("ids", ",".join(str(number) for number in ids)))
        if order_number is not None:
            query.append(("order_number", order_number))
        if cursor:
            query.append(("cursor", cursor))
        request = Request(operation="list parcels", method="GET", path=paths.PARCELS, success=[200], query=query)
        return nested_pages(
            self._requestor,
            request,
            Parcel.from_api,
            member="parcels",
            numbers_are_cursors=True,
            # A list of what has changed lately may hold one parcel only.
            required=False,
        )

    def cancel(self, parcel_id: int) -> Cancellation:
        """Cancel a parcel and its label, as far as the carrier allows (operation: POST /parcels/{id}/cancel).

        A parcel whose announcement had failed is deleted instead, which counts as cancelled.

        Args:
            parcel_id: Sendcloud's id of the parcel.

        Raises:
            NotFound: there is none with this id.
            RequestRejected: it is cancelled already, on its way or delivered, or older than 42 days.
            APIError: it did not end well.
        """
        request = Request(
            operation="cancel parcel",
            method="POST",
            path=paths.parcel_cancel(parcel_id),
            success=[200, 202, 410],
            resource="parcel",
        )
        response = self._requestor.send(request)
        # The contract gives only 200 a body, and that one says what was done.
        is_done = response.status == 200
        content = self._requestor.decode(request, response) if is_done or response.body.strip() else {}
        if is_done and not (isinstance(content, dict) and read_text(content.get("status"))):
            raise self._requestor.unreadable(request, "an answer without the status of the parcel", response.status)
        message = read_text(content.get("message")) if isinstance(content, dict) else ""
        return Cancellation(queued=response.status == 202, message=message)
