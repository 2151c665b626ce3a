"""Delivery of a shipment: the phase of its least far parcel, stored with the shipment for lists to filter by."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from ..enums import ParcelPhase
from ..models import Parcel, Shipment, ShipmentStatus
from ..models.delivery import DELIVERY_RANK, NO_PARCEL
from ..models.statuses import ANNOUNCEMENT_FAILED

__all__ = [
    "delivery_inputs",
    "delivery_of_order",
    "phases_of",
    "store_deliveries",
]

_DELIVERY_INPUTS = ("shipment_id", "is_return", "phase", "status_id", "collo_nr", "collo_count", "colli_uuid")


def _counted(parcels: Iterable[Parcel]) -> list[Parcel]:
    """Return the parcels that count: without cancelled ones, and without failed announcements that were replaced."""
    live = [parcel for parcel in parcels if parcel.phase != ParcelPhase.CANCELLED.value]
    announced = [parcel for parcel in live if parcel.status_id != ANNOUNCEMENT_FAILED]
    return announced or live


def phases_of(parcels: Sequence[Parcel]) -> list[ParcelPhase]:
    """Return the phases of a shipment's parcels that count, with those of announced colli without an update."""
    counted = _counted(parcels)
    silent = [ParcelPhase.ANNOUNCED] * _without_update(counted, parcels)
    return [*(ParcelPhase(parcel.phase) for parcel in counted), *silent]


def delivery_inputs(parcel: Parcel) -> tuple[Any, ...]:
    """Return the values of a parcel that its shipment's delivery depends on."""
    return tuple(getattr(parcel, name) for name in _DELIVERY_INPUTS)


def delivery_of_order(shipments: Iterable[Shipment]) -> str:
    """Return the delivery of an order by what is stored of its shipments; ``""`` while some of it has no parcel.

    A delivery problem comes first, then the parcel that is least far. A shipment that was removed before it had a
    parcel does not count.
    """
    found = {each.delivery for each in shipments if each.delivery or each.status != ShipmentStatus.DELETED}
    return min(found, key=DELIVERY_RANK.index, default=NO_PARCEL)


def store_deliveries(shipment_pks: Collection[int | None]) -> None:
    """Store the deliveries of these shipments, within the transaction that has written their parcels.

    The shipments are locked in the order of their keys, because another worker may write another parcel of theirs.
    """
    rows = Shipment.objects.filter(pk__in={pk for pk in shipment_pks if pk is not None}).order_by("pk")
    shipments = list(rows.select_for_update().only("pk", "delivery", "delivery_at", "delivery_handled"))
    if not shipments:
        return
    outgoing = Parcel.objects.outgoing().filter(shipment__in=shipments).order_by("shipment", "pk")
    outgoing = outgoing.only("status_at", *_DELIVERY_INPUTS)
    parcels = {pk: list(group) for pk, group in itertools.groupby(outgoing, lambda parcel: parcel.shipment_id)}
    changed = []
    for shipment in shipments:
        delivery, since = _delivery(parcels.get(shipment.pk, []))
        if delivery != shipment.delivery:
            # Another status of the same phase does not begin the phase again.
            shipment.delivery, shipment.delivery_at = delivery, since or shipment.delivery_at
            shipment.delivery_handled = False
            changed.append(shipment)
    if changed:
        Shipment.objects.bulk_update(changed, ["delivery", "delivery_at", "delivery_handled"])


def _delivery(parcels: Sequence[Parcel]) -> tuple[str, dt.datetime | None]:
    """Return the phase of the least far parcel, and the time it was reached."""
    if not parcels:
        return NO_PARCEL, None
    phases = phases_of(parcels) or [ParcelPhase.CANCELLED]
    delivery = min((phase.value for phase in phases), key=DELIVERY_RANK.index)
    reached = [parcel.status_at for parcel in parcels if parcel.phase == delivery and parcel.status_at]
    # A collo without an update of its own was announced with the others.
    return delivery, max(reached or [parcel.status_at for parcel in parcels if parcel.status_at], default=None)


def _without_update(counted: Sequence[Parcel], parcels: Sequence[Parcel]) -> int:
    """Return how many colli are announced that no update has mentioned yet.

    A collo that was cancelled counts as seen, unless the whole set was announced again.
    """
    missing = 0
    for colli in {parcel.colli_uuid for parcel in counted}:
        mine = [parcel for parcel in counted if parcel.colli_uuid == colli]
        seen = {_number(parcel) for parcel in mine}
        dropped = {_number(each) for each in parcels if each.colli_uuid == colli and each not in mine}
        if not seen & dropped:
            seen |= dropped
        missing += max(0, max(parcel.collo_count or 1 for parcel in mine) - len(seen))
    return missing


def _number(parcel: Parcel) -> int | str:
    return f"#{parcel.pk}" if parcel.collo_nr is None else parcel.collo_nr
