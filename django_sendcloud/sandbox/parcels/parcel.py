"""A parcel with a label."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .carriers import carrier_of
from .statuses import ACROSS_A_BORDER, DETOURS, STATUSES, TO_A_SERVICE_POINT, TO_THE_DOOR

__all__ = ["UNSTAMPED_LETTER", "Parcel"]

#: Shipping method without a price at Sendcloud, and therefore the one people test with.
UNSTAMPED_LETTER: Final = 8

_CUSTOMS_UNION: Final = "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MC MT NL PL PT RO SE SI SK"
_CUSTOMS_FREE: Final = frozenset(_CUSTOMS_UNION.split())
_HOUSE_NUMBER: Final = re.compile(r"\s*(.*?)[\s,]+(\d+\s?[A-Za-z]?(?:[-/]\s?\w+)?)\s*")


@dataclass(slots=True, eq=False)
class Parcel:
    """A parcel with a label.

    Attributes:
        id: Sendcloud's id.
        integration_id: Integration of its order.
        shipment: Copy of the order in the fields of v2, as it was when the label was made. Later changes of the order
            do not reach it.
        shipment_uuid: Order it was made of, by Sendcloud's id of v2.
        colli_uuid: Id that the parcels of one label request share.
        statuses: Moments and statuses, oldest first.
        outgoing_id: The parcel that a return sends back.
        hidden: Fields referring to the order that API and webhooks do not show.
        hidden_empty: Whether hidden fields are empty, or absent.
    """

    id: int
    integration_id: int
    shipment: Mapping[str, Any] = field(repr=False)
    shipment_uuid: str
    colli_uuid: str
    collo_nr: int
    collo_count: int
    created_at: dt.datetime
    updated_at: dt.datetime
    statuses: list[tuple[dt.datetime, int]] = field(default_factory=list)
    is_return: bool = False
    outgoing_id: int | None = None
    hidden: frozenset[str] = frozenset()
    hidden_empty: bool = True

    @property
    def status_id(self) -> int:
        """Its current status."""
        return self.statuses[-1][1]

    @property
    def status_message(self) -> str:
        """Its current status in Sendcloud's words."""
        return STATUSES.get(self.status_id, "Unknown")

    @property
    def carrier(self) -> str:
        """Code of its carrier."""
        return carrier_of(self.shipment)

    @property
    def tracking_number(self) -> str:
        """The carrier's number."""
        return f"3S{'RET' if self.is_return else 'BOX'}{self.id:010d}"

    @property
    def journey(self) -> tuple[int, ...]:
        """Statuses it passes through without incident."""
        if self.shipment.get("to_service_point") and not self.is_return:
            return TO_A_SERVICE_POINT
        return TO_THE_DOOR if self.shipment["country"] in _CUSTOMS_FREE else ACROSS_A_BORDER

    @property
    def next_status(self) -> int | None:
        """The next status; ``None`` at the end of the journey."""
        journey, now = self.journey, self.status_id
        if now in journey:
            following = journey[journey.index(now) + 1 :]
            return following[0] if following else None
        return DETOURS.get(now)

    @property
    def weight(self) -> str:
        """Its weight in kg with three decimals: its share of the order's weight, or of that of the order's items."""
        return f"{max(sum(_weights(self.shipment)) / self.collo_count, 0.001):.3f}"

    def street_and_number(self) -> tuple[str, str]:
        """Return street and house number, split if the shop sent them as one."""
        address, number = self.shipment["address"], self.shipment["house_number"]
        if not number and (match := _HOUSE_NUMBER.fullmatch(address)):
            return match[1], match[2]
        return address, number


def _weights(shipment: Mapping[str, Any]) -> Iterator[float]:
    if shipment.get("weight"):
        yield float(shipment["weight"])
        return
    for item in shipment["parcel_items"] or ():
        yield float(item.get("weight") or 0) * item["quantity"]
