"""Sendcloud's parcel statuses, and the phase of the journey each belongs to.

Ids and texts: https://sendcloud.dev/docs/tracking/tracking-statuses/. A shop that sees it differently (is a parcel that
is ready to send on its way?) overrides phases in ``SENDCLOUD["PARCEL_PHASES"]``.
"""

from __future__ import annotations

from ..conf import conf
from ..enums import ParcelPhase

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
    1: ("Announced", ANNOUNCED),
    3: ("En route to sorting center", IN_TRANSIT),
    4: ("Delivery delayed", IN_TRANSIT),
    5: ("Sorted", IN_TRANSIT),
    6: ("Not sorted", IN_TRANSIT),
    7: ("Being sorted", IN_TRANSIT),
    8: ("Delivery attempt failed", PROBLEM),
    11: ("Delivered", DELIVERED),
    12: ("Awaiting customer pickup", PICKUP),
    13: ("Announced: not collected", ANNOUNCED),
    15: ("Error collecting", PROBLEM),
    22: ("Shipment picked up by driver", IN_TRANSIT),
    80: ("Unable to deliver", PROBLEM),
    91: ("Parcel en route", IN_TRANSIT),
    92: ("Driver en route", IN_TRANSIT),
    93: ("Shipment collected by customer", DELIVERED),
    94: ("Parcel cancellation failed", PROBLEM),
    999: ("No label", ANNOUNCED),
    1000: ("Ready to send", ANNOUNCED),
    1001: ("Being announced", ANNOUNCED),
    1002: ("Announcement failed", PROBLEM),
    1337: ("Unknown status - check carrier track & trace page for more insights", ParcelPhase.UNKNOWN),
    1998: ("Cancelled upstream", CANCELLED),
    1999: ("Cancellation requested", CANCELLED),
    2000: ("Cancelled", CANCELLED),
    2001: ("Submitting cancellation request", CANCELLED),
    62989: ("At Customs", IN_TRANSIT),
    62990: ("At sorting centre", IN_TRANSIT),
    62991: ("Refused by recipient", PROBLEM),
    62992: ("Returned to sender", RETURNED),
    62993: ("Delivery method changed", IN_TRANSIT),
    62994: ("Delivery date changed", IN_TRANSIT),
    62995: ("Delivery address changed", IN_TRANSIT),
    62996: ("Exception", PROBLEM),
    62997: ("Address invalid", PROBLEM),
}


def phase_of(status_id: int | None) -> ParcelPhase:
    """The phase of a status; ``UNKNOWN`` for one nobody has heard of."""
    if status_id is None:
        return ParcelPhase.UNKNOWN
    if override := conf().PARCEL_PHASES.get(status_id):
        return ParcelPhase(override)
    return STATUSES.get(status_id, ("", ParcelPhase.UNKNOWN))[1]
