"""State of an order in one call, for the shop's views, e-mails and templates."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.db import models
from django.utils.translation import gettext, gettext_noop

from ..enums import ParcelPhase
from ..models import Change, EntryState, OutboxEntry, Parcel, ParcelStatus, Shipment, ShipmentStatus
from ..models.carriers import carrier_name
from ..models.delivery import PHASES
from ..models.statuses import ANNOUNCEMENT_FAILED, status_text
from ..registry import registry
from .service_points import ServicePoint

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["JOURNEY", "OrderShipping", "ParcelTracking", "SyncState", "TrackingStep", "order_shipping", "sync_state"]

logger = logging.getLogger("django_sendcloud.storefront.tracking")

# Statuses of the shop's and Sendcloud's own work, in words for a buyer.
_BEING_PREPARED = gettext_noop("Being prepared")
_NOT_DELIVERED = gettext_noop("The carrier could not deliver")
_BUYER_TEXTS = {
    1: _BEING_PREPARED,
    12: gettext_noop("Ready for pickup"),
    13: _BEING_PREPARED,
    15: _BEING_PREPARED,
    80: _NOT_DELIVERED,
    94: _BEING_PREPARED,
    999: _BEING_PREPARED,
    1000: _BEING_PREPARED,
    1001: _BEING_PREPARED,
    ANNOUNCEMENT_FAILED: _BEING_PREPARED,
}
_LABELS = dict(PHASES)
# Problems that the shop solves before the carrier has the parcel: no pickup, no cancellation, no announcement.
_SOLVED_BY_SHOP = {15, 94, ANNOUNCEMENT_FAILED}

#: The stations a parcel passes when all goes well.
JOURNEY = (ParcelPhase.ANNOUNCED, ParcelPhase.IN_TRANSIT, ParcelPhase.DELIVERED)


class SyncState(StrEnum):
    """Whether Sendcloud knows the order as it is now."""

    ABSENT = "absent"
    WAITING = "waiting"
    SYNCED = "synced"
    REJECTED = "rejected"


@dataclasses.dataclass(frozen=True, slots=True)
class TrackingStep:
    """One step of a parcel's journey."""

    at: dt.datetime
    """Time in UTC: the carrier's, or Sendcloud's without one."""
    phase: ParcelPhase
    phase_label: StrOrPromise
    """The phase in the language in force."""
    message: str
    """The status in Sendcloud's words, in English."""
    text: str = ""
    """The status in words for a buyer, in the language in force; Sendcloud's if the status is not documented."""

    @property
    def adds_detail(self) -> bool:
        """Whether ``text`` says more than the phase does."""
        return bool(self.text) and self.text.lower() != str(self.phase_label).lower()


@dataclasses.dataclass(frozen=True, slots=True)
class ParcelTracking:
    """A parcel as a buyer may see it: no name, no address, no label, no internal id."""

    carrier: str
    tracking_number: str
    tracking_url: str
    """The carrier's or Sendcloud's tracking page; ``""`` where there is none that is safe to link to."""
    phase: ParcelPhase
    phase_label: StrOrPromise
    is_return: bool
    timeline: list[TrackingStep]
    """Newest first."""

    @property
    def carrier_name(self) -> str:
        """The carrier as people write it: ``PostNL`` for ``postnl``."""
        return carrier_name(self.carrier)

    @property
    def awaits_pickup(self) -> bool:
        """Whether the buyer can fetch it."""
        return self.phase == ParcelPhase.AWAITING_PICKUP and not self.is_return

    @property
    def has_problem(self) -> bool:
        """Whether the carrier could not deliver it, so that the buyer should contact the shop."""
        return self.phase == ParcelPhase.PROBLEM and not self.is_return


@dataclasses.dataclass(frozen=True, slots=True)
class OrderShipping:
    """State of an order."""

    state: SyncState
    shipments: list[Shipment]
    """What Sendcloud has of it. For the shop's staff: ``errors`` says what was rejected."""
    parcels: list[ParcelTracking]
    """Outgoing parcels, oldest first."""
    returns: list[ParcelTracking]
    service_point: ServicePoint | None = None
    """Where the buyer fetches it, as the adapter's ``get_service_point`` names it."""

    @property
    def tracking_urls(self) -> list[str]:
        """Links with which the buyer can follow the parcels."""
        return [parcel.tracking_url for parcel in self.parcels if parcel.tracking_url]


def order_shipping(order: models.Model) -> OrderShipping:
    """Return the state of an order: five SQL statements at most, however many parcels it has.

    Args:
        order: An instance of a model that has an adapter.

    Raises:
        RegistrationError: its model has no adapter.
    """
    shipments = list(Shipment.objects.for_order(order).alive().order_by("pk"))
    entry = OutboxEntry.objects.for_order(order).first()
    # Recorded changes are not folded here, because this may be called within any transaction of the shop.
    changed = Change.objects.for_order(order).exists()
    parcels = Parcel.objects.for_order(order).prefetch_related("timeline").order_by("pk")
    outgoing: list[ParcelTracking] = []
    returns: list[ParcelTracking] = []
    for parcel in parcels:
        (returns if parcel.is_return else outgoing).append(_tracking(parcel))
    state = SyncState.WAITING if changed else sync_state(entry, shipments)
    return OrderShipping(state, shipments, outgoing, returns, _service_point(order))


def sync_state(entry: OutboxEntry | None, shipments: Iterable[Shipment]) -> SyncState:
    """Return whether Sendcloud knows an order as it is now.

    Args:
        entry: Its outbox entry, if it is to be pushed.
        shipments: Its shipments.
    """
    if entry is not None:
        return SyncState.WAITING if entry.state == EntryState.PENDING else SyncState.REJECTED
    alive = {shipment.status for shipment in shipments} - {ShipmentStatus.DELETED.value}
    if ShipmentStatus.REJECTED.value in alive:
        return SyncState.REJECTED
    if ShipmentStatus.PENDING.value in alive:
        return SyncState.WAITING
    return SyncState.SYNCED if alive else SyncState.ABSENT


def _service_point(order: models.Model) -> ServicePoint | None:
    stored = registry.responsible(type(order)).get_service_point(order)
    try:
        return ServicePoint.from_json(stored)
    except ValueError as error:
        # The buyer still sees the parcels. The sentence names the field, and not the value.
        logger.warning("The stored service point of an order cannot be read: %s", error)
        return None


def _text(status_id: int, message: str) -> str:
    words = _BUYER_TEXTS.get(status_id)
    return gettext(words) if words else status_text(status_id, message)


def _phase(row: Parcel | ParcelStatus) -> ParcelPhase:
    return ParcelPhase.ANNOUNCED if row.status_id in _SOLVED_BY_SHOP else ParcelPhase(row.phase)


def _tracking(parcel: Parcel) -> ParcelTracking:
    steps = [
        TrackingStep(
            step.carrier_at or step.at,
            _phase(step),
            _LABELS[_phase(step)],
            step.message,
            _text(step.status_id, step.message),
        )
        for step in reversed(parcel.timeline.all())
    ]
    return ParcelTracking(
        carrier=parcel.carrier,
        tracking_number=parcel.tracking_number,
        # It comes from outside: only what a browser may safely follow becomes a link.
        tracking_url=parcel.tracking_url if urlsplit(parcel.tracking_url).scheme in ("http", "https") else "",
        phase=_phase(parcel),
        phase_label=_LABELS[_phase(parcel)],
        is_return=parcel.is_return,
        timeline=steps,
    )
