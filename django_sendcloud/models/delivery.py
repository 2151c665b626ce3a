"""Phases of a delivery, in an operator's words, and their order from the least far to the end."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from ..enums import ParcelPhase

__all__ = ["DELIVERY_RANK", "NO_PARCEL", "PHASES"]

PHASES = [
    (ParcelPhase.ANNOUNCED.value, _("Label created")),
    (ParcelPhase.IN_TRANSIT.value, _("On its way")),
    (ParcelPhase.AWAITING_PICKUP.value, _("Ready for pickup")),
    (ParcelPhase.DELIVERED.value, _("Delivered")),
    (ParcelPhase.PROBLEM.value, _("Delivery problem")),
    (ParcelPhase.RETURNED.value, _("Returned")),
    (ParcelPhase.CANCELLED.value, _("Cancelled")),
    (ParcelPhase.UNKNOWN.value, _("Unknown")),
]

#: The delivery of a shipment without a parcel.
NO_PARCEL = ""
#: All deliveries of a shipment, the one that speaks for the whole order first.
DELIVERY_RANK = [
    ParcelPhase.PROBLEM.value,
    NO_PARCEL,
    ParcelPhase.ANNOUNCED.value,
    ParcelPhase.IN_TRANSIT.value,
    ParcelPhase.AWAITING_PICKUP.value,
    ParcelPhase.UNKNOWN.value,
    ParcelPhase.RETURNED.value,
    ParcelPhase.DELIVERED.value,
    ParcelPhase.CANCELLED.value,
]
