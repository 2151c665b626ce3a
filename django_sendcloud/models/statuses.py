"""Sendcloud's parcel statuses by their ids, with the phase that each belongs to."""

from __future__ import annotations

from django.utils.translation import gettext, gettext_noop

from ..enums import ParcelPhase

__all__ = ["ANNOUNCEMENT_FAILED", "STATUSES", "status_text"]

#: Status of a parcel that could not be announced: it has no label.
ANNOUNCEMENT_FAILED = 1002

ANNOUNCED, IN_TRANSIT, PICKUP, DELIVERED, PROBLEM, RETURNED, CANCELLED = (
    ParcelPhase.ANNOUNCED,
    ParcelPhase.IN_TRANSIT,
    ParcelPhase.AWAITING_PICKUP,
    ParcelPhase.DELIVERED,
    ParcelPhase.PROBLEM,
    ParcelPhase.RETURNED,
    ParcelPhase.CANCELLED,
)

STATUSES: dict[int, tuple[str, ParcelPhase]] = {
    1: (gettext_noop("Announced"), ANNOUNCED),
    3: (gettext_noop("En route to sorting center"), IN_TRANSIT),
    4: (gettext_noop("Delivery delayed"), IN_TRANSIT),
    5: (gettext_noop("Sorted"), IN_TRANSIT),
    6: (gettext_noop("Not sorted"), IN_TRANSIT),
    7: (gettext_noop("Being sorted"), IN_TRANSIT),
    8: (gettext_noop("Delivery attempt failed"), PROBLEM),
    11: (gettext_noop("Delivered"), DELIVERED),
    12: (gettext_noop("Awaiting customer pickup"), PICKUP),
    13: (gettext_noop("Announced: not collected"), ANNOUNCED),
    15: (gettext_noop("Error collecting"), PROBLEM),
    22: (gettext_noop("Shipment picked up by driver"), IN_TRANSIT),
    80: (gettext_noop("Unable to deliver"), PROBLEM),
    91: (gettext_noop("Parcel en route"), IN_TRANSIT),
    92: (gettext_noop("Driver en route"), IN_TRANSIT),
    93: (gettext_noop("Shipment collected by customer"), DELIVERED),
    94: (gettext_noop("Parcel cancellation failed"), PROBLEM),
    999: (gettext_noop("No label"), ANNOUNCED),
    1000: (gettext_noop("Ready to send"), ANNOUNCED),
    1001: (gettext_noop("Being announced"), ANNOUNCED),
    ANNOUNCEMENT_FAILED: (gettext_noop("Announcement failed"), PROBLEM),
    1337: (gettext_noop("Unknown status - check carrier track & trace page for more insights"), ParcelPhase.UNKNOWN),
    1998: (gettext_noop("Cancelled upstream"), CANCELLED),
    1999: (gettext_noop("Cancellation requested"), CANCELLED),
    2000: (gettext_noop("Cancelled"), CANCELLED),
    2001: (gettext_noop("Submitting cancellation request"), CANCELLED),
    62989: (gettext_noop("At Customs"), IN_TRANSIT),
    62990: (gettext_noop("At sorting centre"), IN_TRANSIT),
    62991: (gettext_noop("Refused by recipient"), PROBLEM),
    62992: (gettext_noop("Returned to sender"), RETURNED),
    62993: (gettext_noop("Delivery method changed"), IN_TRANSIT),
    62994: (gettext_noop("Delivery date changed"), IN_TRANSIT),
    62995: (gettext_noop("Delivery address changed"), IN_TRANSIT),
    62996: (gettext_noop("Exception"), PROBLEM),
    62997: (gettext_noop("Address invalid"), PROBLEM),
}


def status_text(status_id: int | None, message: str) -> str:
    """Return a status in the language in force; Sendcloud's own words if the status is not documented."""
    known = STATUSES.get(status_id) if status_id is not None else None
    return gettext(known[0]) if known else message
