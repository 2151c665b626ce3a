"""The order's own status, derived from the state of all its parcels."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from django.db import models

from ..adapters import AdapterMistake, OrderAdapter
from ..enums import ParcelPhase
from ..models import Parcel, Shipment, ShipmentStatus
from .delivery import phases_of

__all__ = ["phase_of_order", "update_status"]

PHASES_ON_THE_WAY = [ParcelPhase.ANNOUNCED, ParcelPhase.IN_TRANSIT, ParcelPhase.AWAITING_PICKUP, ParcelPhase.DELIVERED]
# Of a shop's own pipeline, walked in one go.
MAX_STEPS = 50
# Characters of a status that are stored.
STATUS_LENGTH = 255


def update_status(adapter: OrderAdapter[Any], order: models.Model, shipments: Sequence[Shipment]) -> None:
    """Move the order to the status of the phase it has reached, within the transaction that has locked it.

    Args:
        adapter: The adapter of its model.
        order: The order, read after it was locked.
        shipments: All its shipments.

    Raises:
        Exception: Whatever the shop's own ``next_status()`` and ``set_order_status()`` raise.
    """
    if not adapter.phase_statuses:
        return
    phase = phase_of_order(shipments)
    if phase is None:
        return
    # A parcel may arrive before its departure is reported.
    passed = PHASES_ON_THE_WAY[PHASES_ON_THE_WAY.index(phase) :: -1] if phase in PHASES_ON_THE_WAY else [phase]
    wanted = next((adapter.phase_statuses[each.value] for each in passed if each.value in adapter.phase_statuses), None)
    if wanted is None or not _may_move(adapter, order, wanted, shipments):
        return
    for _ in range(MAX_STEPS):
        status = adapter.next_status(order, wanted)
        if status is None or status == getattr(order, adapter.status_field):
            break
        adapter.set_order_status(order, status)
        _remember(getattr(order, adapter.status_field), shipments)
        if status == wanted:
            break
    else:
        raise AdapterMistake(f"{type(adapter).__qualname__}.next_status() leads to no end.")


def _remember(status: Any, shipments: Sequence[Shipment]) -> None:
    """Note with all shipments of the order which status parcels have given it."""
    for shipment in shipments:
        shipment.order_status = str(status)[:STATUS_LENGTH]
    Shipment.objects.filter(pk__in=[shipment.pk for shipment in shipments]).update(order_status=shipment.order_status)


def _may_move(adapter: OrderAdapter[Any], order: models.Model, wanted: Any, shipments: Sequence[Shipment]) -> bool:
    """Return whether parcels may move the order: not over a person's decision, and not back along the way."""
    present = getattr(order, adapter.status_field)
    if present == wanted:
        return False
    given = next((shipment.order_status for shipment in shipments if shipment.order_status), "")
    is_given = str(present)[:STATUS_LENGTH] == given
    if present in list(adapter.phase_statuses.values()):
        # A person has taken back the status that parcels gave.
        is_taken_back = str(wanted)[:STATUS_LENGTH] == given and not is_given
        return not is_taken_back and not _is_backward(adapter, present, wanted)
    if adapter.status_beginnings is not None:
        return is_given or present in adapter.status_beginnings
    return (is_given or not given) and bool(adapter.shippable(order))


def _is_backward(adapter: OrderAdapter[Any], present: Any, wanted: Any) -> bool:
    """Return whether a status is the same as the other, or before it, on the way of a parcel."""
    on_the_way = [adapter.phase_statuses.get(phase.value) for phase in PHASES_ON_THE_WAY]
    reached = max((rank for rank, status in enumerate(on_the_way) if status == present), default=None)
    aimed = max((rank for rank, status in enumerate(on_the_way) if status == wanted), default=None)
    return reached is not None and aimed is not None and aimed <= reached


def phase_of_order(shipments: Sequence[Shipment]) -> ParcelPhase | None:
    """Return the phase an order has reached, ``None`` while some of it has not even a label.

    A problem of one parcel comes first, then the parcel that is least far, then a return to the sender. A cancelled
    parcel, and one that could not be announced and was replaced, do not count.

    Args:
        shipments: All shipments of the order.
    """
    rows = Parcel.objects.outgoing().filter(shipment__in=shipments)
    parcels = {
        pk: list(group) for pk, group in itertools.groupby(rows.order_by("shipment", "pk"), lambda row: row.shipment_id)
    }
    phases: list[ParcelPhase] = []
    for shipment in shipments:
        reached = phases_of(parcels.get(shipment.pk, []))
        if not reached and shipment.status != ShipmentStatus.DELETED:
            return None
        phases += reached
    if not phases:
        return None
    if ParcelPhase.PROBLEM in phases:
        return ParcelPhase.PROBLEM
    underway = [phase for phase in phases if phase in PHASES_ON_THE_WAY[:-1]]
    if underway:
        return min(underway, key=PHASES_ON_THE_WAY.index)
    if ParcelPhase.UNKNOWN in phases:
        # Such a parcel may be delivered or not.
        return None
    return ParcelPhase.RETURNED if ParcelPhase.RETURNED in phases else ParcelPhase.DELIVERED
