"""Moving the shop's own order status along with its parcels, where the adapter says how."""

from __future__ import annotations

from typing import Any

from django.db import models, router, transaction

from .adapters import OrderAdapter, registry
from .conf import conf
from .enums import ParcelPhase
from .models import Parcel, Shipment

__all__ = ["follow_parcels"]

# How far along a parcel is. What is off the way (a problem, a return) has a say only where nothing else is open.
_WAY = [ParcelPhase.ANNOUNCED, ParcelPhase.IN_TRANSIT, ParcelPhase.AWAITING_PICKUP, ParcelPhase.DELIVERED]


def follow_parcels(*, shipment: Shipment | None, **kwargs: Any) -> None:
    """Receiver of ``parcel_status_changed``: give the order the status its adapter maps its parcels' phase to."""
    adapter = registry.for_order_type(shipment.order_type) if shipment else None
    if shipment is None or adapter is None or not adapter.phase_statuses:
        return
    phase = _phase_of_order(shipment)
    if phase is None:
        return
    # On the way, what is not mapped counts as what was passed last: a parcel may arrive before we hear that it left.
    passed = _WAY[_WAY.index(phase) :: -1] if phase in _WAY else [phase]
    for each in passed:
        if each.value in adapter.phase_statuses:
            _move(adapter, shipment.order_pk, adapter.phase_statuses[each.value])
            return


def _phase_of_order(shipment: Shipment) -> ParcelPhase | None:
    """That of the parcel that is least far: an order has arrived when all of it has."""
    phases = [
        ParcelPhase(phase)
        for phase in Parcel.objects.using(conf().DATABASE)
        .outgoing()
        .filter(shipment__order_type=shipment.order_type, shipment__order_pk=shipment.order_pk)
        .exclude(phase__in=[ParcelPhase.CANCELLED.value, ParcelPhase.UNKNOWN.value])
        .values_list("phase", flat=True)
    ]
    if not phases:
        return None
    off = [phase for phase in phases if phase not in _WAY]
    return off[0] if off else min(phases, key=_WAY.index)


def _move(adapter: OrderAdapter[Any], order_pk: str, status: Any) -> None:
    model = adapter.model
    with transaction.atomic(using=router.db_for_write(model)):
        orders: models.QuerySet[Any] = model._base_manager.using(router.db_for_write(model))
        order = orders.select_for_update().filter(pk=order_pk).first()
        # An order that is not shipped (cancelled, say) is none of a parcel's business.
        if order is not None and adapter.is_shippable(order):
            adapter.set_order_status(order, status)
