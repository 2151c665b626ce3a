"""Statuses of a parcel, and the journeys through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["ACROSS_A_BORDER", "ANNOUNCED", "ANNOUNCEMENT_FAILED", "CANCELLATION_REQUESTED", "CANCELLED", "COLLECTED"]
__all__ += ["DELIVERED", "DETOURS", "READY_TO_SEND", "STATUSES", "TO_A_SERVICE_POINT", "TO_THE_DOOR"]

#: Known statuses by id.
STATUSES: Final[Mapping[int, str]] = {
    1: "Announced",
    3: "En route to sorting center",
    4: "Delivery delayed",
    5: "Sorted",
    6: "Not sorted",
    7: "Being sorted",
    8: "Delivery attempt failed",
    11: "Delivered",
    12: "Awaiting customer pickup",
    13: "Announced: not collected",
    15: "Error collecting",
    22: "Shipment picked up by driver",
    80: "Unable to deliver",
    91: "Parcel en route",
    92: "Driver en route",
    93: "Shipment collected by customer",
    94: "Parcel cancellation failed",
    999: "No label",
    1000: "Ready to send",
    1001: "Being announced",
    1002: "Announcement failed",
    1337: "Unknown status - check carrier track & trace page for more insights",
    1998: "Cancelled upstream",
    1999: "Cancellation requested",
    2000: "Cancelled",
    2001: "Submitting cancellation request",
    62989: "At Customs",
    62990: "At sorting centre",
    62991: "Refused by recipient",
    62992: "Returned to sender",
    62993: "Delivery method changed",
    62994: "Delivery date changed",
    62995: "Delivery address changed",
    62996: "Exception",
    62997: "Address invalid",
}

READY_TO_SEND: Final = 1000
ANNOUNCED: Final = 1
DELIVERED: Final = 11
COLLECTED: Final = 93
CANCELLED: Final = 2000
CANCELLATION_REQUESTED: Final = 1999
ANNOUNCEMENT_FAILED: Final = 1002
RETURNED_TO_SENDER: Final = 62992

TO_THE_DOOR: Final = (READY_TO_SEND, ANNOUNCED, 22, 3, 7, 5, 91, 92, DELIVERED)
TO_A_SERVICE_POINT: Final = (READY_TO_SEND, ANNOUNCED, 22, 3, 7, 5, 91, 12, COLLECTED)
ACROSS_A_BORDER: Final = (READY_TO_SEND, ANNOUNCED, 22, 3, 62990, 62989, 91, 92, DELIVERED)
#: Next status of a parcel that has left its journey.
DETOURS: Final[Mapping[int, int]] = {
    1001: READY_TO_SEND,
    999: READY_TO_SEND,
    2001: CANCELLATION_REQUESTED,
    CANCELLATION_REQUESTED: CANCELLED,
    1998: CANCELLED,
    4: 91,
    6: 7,
    8: 92,
    12: COLLECTED,
    13: 22,
    15: 22,
    80: RETURNED_TO_SENDER,
    1337: 91,
    62989: 91,
    62990: 91,
    62991: RETURNED_TO_SENDER,
    62993: 91,
    62994: 91,
    62995: 91,
    62996: 91,
    62997: RETURNED_TO_SENDER,
}
