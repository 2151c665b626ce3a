"""Advice for each status of a parcel: what an operator can do, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ...enums import ParcelPhase
from ...models import Parcel

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["BY_PHASE", "BY_STATUS", "RETURNS", "advice_for"]

_HAND_OVER = _("Hand the parcel to the carrier, or have it collected. The label is billed already.")
_DO_NOT_HAND_OVER = _(
    "Do not hand it over yet: the label does not fit the order any more. Cancel the label, or keep it."
)
_CHECK_ADDRESS = _("Check the address with the buyer, then give it to the carrier, or send a new parcel.")
_CALL_CARRIER = _("Ask the carrier what happened, with the tracking number.")
_COMES_BACK = _("Expect the parcel back. Ask the buyer whether to send it again or to refund it.")
_NOTHING = _("Nothing to do.")
_IT_GOES_ON = _("Nothing to do: the parcel is on its way.")

#: Advice by Sendcloud's status id, where it is more exact than the phase's.
BY_STATUS: Mapping[int, StrOrPromise] = {
    4: _("If the buyer asks, say that the parcel is late. Ask the carrier if nothing moves for three days."),
    6: _("Wait a day: the carrier sorts it by hand. Ask the carrier if nothing moves for three days."),
    8: _("The carrier usually tries again or brings it to a service point. Refer the buyer to the tracking page."),
    13: _("The carrier did not get the parcel. Check that it was handed over, and have it collected again."),
    15: _("The carrier could not collect the parcel. Arrange another collection, or bring it to a drop-off point."),
    80: _CHECK_ADDRESS,
    94: _("The label could not be cancelled. Try again in Sendcloud's panel, or ask its support for a refund."),
    999: _("It has no label yet. Make it in Sendcloud."),
    1000: _HAND_OVER,
    1001: _("Nothing to do: the label is ready in a moment."),
    1002: _("The carrier rejected the data. Fix it in Sendcloud's panel, and make the label again."),
    1337: _("Look at the carrier's tracking page."),
    62989: _("Customs check it. Answer their questions if they ask; it may take days."),
    62991: _("The buyer refused the parcel. It comes back: ask them why, then refund it or send it again."),
    62992: _COMES_BACK,
    62996: _CALL_CARRIER,
    62997: _CHECK_ADDRESS,
}
#: Advice by phase.
BY_PHASE: Mapping[str, StrOrPromise] = {
    ParcelPhase.ANNOUNCED.value: _HAND_OVER,
    ParcelPhase.IN_TRANSIT.value: _IT_GOES_ON,
    ParcelPhase.AWAITING_PICKUP.value: _("Remind the buyer: it goes back if it is not picked up in time."),
    ParcelPhase.DELIVERED.value: _NOTHING,
    ParcelPhase.PROBLEM.value: _CALL_CARRIER,
    ParcelPhase.RETURNED.value: _COMES_BACK,
    ParcelPhase.CANCELLED.value: _("Nothing to do. Do not use its label any more."),
    ParcelPhase.UNKNOWN.value: _("Look at the carrier's tracking page."),
}
#: Advice for returns, which the buyer sends.
RETURNS: Mapping[str, StrOrPromise] = {
    ParcelPhase.ANNOUNCED.value: _("Nothing to do: the buyer has the label and will send the parcel."),
    ParcelPhase.IN_TRANSIT.value: _("Nothing to do: the return is on its way to you."),
    ParcelPhase.AWAITING_PICKUP.value: _("Pick up the return."),
    ParcelPhase.DELIVERED.value: _("The return has arrived: check it, and refund or replace it."),
}


def advice_for(parcel: Parcel) -> StrOrPromise:
    """Return what an operator can do about a parcel in its present status. Its shipment is loaded."""
    is_waiting = parcel.phase == ParcelPhase.ANNOUNCED.value and not parcel.is_return
    if is_waiting and parcel.shipment is not None and parcel.shipment.label_conflict:
        return _DO_NOT_HAND_OVER
    if parcel.is_return and parcel.phase in RETURNS:
        return RETURNS[parcel.phase]
    if parcel.status_id is not None and parcel.status_id in BY_STATUS:
        return BY_STATUS[parcel.status_id]
    return BY_PHASE.get(parcel.phase, BY_PHASE[ParcelPhase.UNKNOWN.value])
