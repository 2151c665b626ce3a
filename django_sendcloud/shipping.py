"""How an order stands, in one call: for the shop's views, e-mails and templates."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.db import models

from .conf import conf
from .enums import ParcelPhase
from .models import Change, EntryState, OutboxEntry, Parcel, Shipment, ShipmentStatus

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["JOURNEY", "OrderShipping", "ParcelTracking", "SyncState", "TrackingStep", "order_shipping", "sync_state"]

#: The stations a parcel passes when all goes well.
JOURNEY = (ParcelPhase.ANNOUNCED, ParcelPhase.IN_TRANSIT, ParcelPhase.DELIVERED)


class SyncState(models.TextChoices):
    """Whether Sendcloud knows the order as it is now."""

    ABSENT = "absent", "not at Sendcloud"
    WAITING = "waiting", "on its way to Sendcloud"
    SYNCED = "synced", "at Sendcloud"
    REJECTED = "rejected", "needs a correction"


@dataclasses.dataclass(frozen=True, slots=True)
class TrackingStep:
    """One step of a parcel's journey."""

    at: dt.datetime
    """When, in UTC: as the carrier says where it does, else as Sendcloud does."""
    phase: ParcelPhase
    phase_label: StrOrPromise
    """The phase in the language in force."""
    message: str
    """The status in Sendcloud's words, in English."""

    @property
    def says_more(self) -> bool:
        """Whether ``message`` tells more than the phase does."""
        return bool(self.message) and self.message.lower() != str(self.phase_label).lower()


@dataclasses.dataclass(frozen=True, slots=True)
class ParcelTracking:
    """What a buyer may know of a parcel: no name, no address, no label, no internal id."""

    carrier: str
    tracking_number: str
    tracking_url: str
    """The carrier's or Sendcloud's tracking page; ``""`` where there is none that is safe to link to."""
    phase: ParcelPhase
    phase_label: StrOrPromise
    is_return: bool
    timeline: list[TrackingStep]
    """Newest first."""


@dataclasses.dataclass(frozen=True, slots=True)
class OrderShipping:
    """How an order stands."""

    state: SyncState
    shipments: list[Shipment]
    """What Sendcloud has of it. For the shop's staff: ``errors`` says what was refused."""
    parcels: list[ParcelTracking]
    """Outgoing parcels, oldest first."""
    returns: list[ParcelTracking]

    @property
    def tracking_urls(self) -> list[str]:
        """Where the buyer can follow what is underway."""
        return [parcel.tracking_url for parcel in self.parcels if parcel.tracking_url]


def order_shipping(order: models.Model) -> OrderShipping:
    """Say how an order stands: five SQL statements at most, however many parcels it has.

    Args:
        order: An instance of a model that has an adapter.

    Raises:
        RegistrationError: its model has no adapter.
    """
    database = conf().DATABASE
    shipments = list(Shipment.objects.using(database).for_order(order).alive().order_by("pk"))
    entry = OutboxEntry.objects.using(database).for_order(order).first()
    # (What was recorded is not folded here: this may be called within any transaction of the shop.)
    changed = Change.objects.using(database).for_order(order).exists()
    parcels = Parcel.objects.using(database).for_order(order).prefetch_related("timeline").order_by("pk")
    outgoing: list[ParcelTracking] = []
    returns: list[ParcelTracking] = []
    for parcel in parcels:
        (returns if parcel.is_return else outgoing).append(_tracking(parcel))
    return OrderShipping(SyncState.WAITING if changed else sync_state(entry, shipments), shipments, outgoing, returns)


def sync_state(entry: OutboxEntry | None, shipments: Iterable[Shipment]) -> SyncState:
    """Say whether Sendcloud knows an order as it is now.

    Args:
        entry: What Sendcloud still has to be told of it.
        shipments: What Sendcloud has been told of it.
    """
    if entry is not None:
        return SyncState.WAITING if entry.state == EntryState.PENDING else SyncState.REJECTED
    alive = {shipment.status for shipment in shipments} - {ShipmentStatus.DELETED.value}
    if ShipmentStatus.REJECTED.value in alive:
        return SyncState.REJECTED
    if ShipmentStatus.PENDING.value in alive:
        return SyncState.WAITING
    return SyncState.SYNCED if alive else SyncState.ABSENT


def _tracking(parcel: Parcel) -> ParcelTracking:
    steps = [
        TrackingStep(step.carrier_at or step.at, ParcelPhase(step.phase), step.get_phase_display(), step.message)
        for step in reversed(parcel.timeline.all())
    ]
    return ParcelTracking(
        carrier=parcel.carrier,
        tracking_number=parcel.tracking_number,
        # It comes from outside: only what a browser may safely follow becomes a link.
        tracking_url=parcel.tracking_url if urlsplit(parcel.tracking_url).scheme in ("http", "https") else "",
        phase=ParcelPhase(parcel.phase),
        phase_label=parcel.get_phase_display(),
        is_return=parcel.is_return,
        timeline=steps,
    )
