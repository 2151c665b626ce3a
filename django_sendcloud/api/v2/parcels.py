"""Parcels, as far as a shop needs them: read, to catch up with webhooks that never came."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from ..pages import Page, iterate_pages
from ..requestor import Call, Requestor
from ..results import Parcel
from . import paths

__all__ = ["MAX_IDS", "Parcels"]

#: How many ids one request may name (documentation: GET /parcels).
MAX_IDS = 100


class Parcels:
    """The operations below ``/parcels`` that read. Reached as ``client.parcels``.

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
            cursor: Where to go on, from :attr:`Page.next_cursor`.

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
        call = Call(operation="list parcels", method="GET", path=paths.PARCELS, query=query)
        return iterate_pages(self._requestor, call, Parcel.from_api, member="parcels", numbers_are_cursors=True)
