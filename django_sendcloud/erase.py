"""Forgetting one order: at Sendcloud, and then here."""

from __future__ import annotations

import dataclasses
from typing import Any

from django.db import transaction

from .adapters import OrderAdapter, registry
from .conf import conf
from .models import Attempt, OutboxEntry, Parcel, ParcelStatus, Shipment, WebhookEvent
from .sync.fold import fold_all
from .sync.pump import pump
from .sync.record import record

__all__ = ["Erased", "NotErasable", "erase"]


class NotErasable(Exception):
    """It cannot be forgotten now; the text says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Erased:
    """How much was forgotten here."""

    shipments: int
    parcels: int
    webhooks: int


def erase(adapter: OrderAdapter[Any], order_pk: str) -> Erased:
    """Delete an order's shipments at Sendcloud, then everything about it here.

    Safe to repeat: what has not been confirmed by Sendcloud is not forgotten here.

    Args:
        adapter: Of the order's model.
        order_pk: The order's primary key, also of one that is gone.

    Raises:
        NotErasable: the order is still to be shipped, or Sendcloud has not confirmed the deletion yet.
    """
    database = conf().DATABASE
    order_type = registry.order_type(adapter.model)
    order = adapter.model._base_manager.filter(pk=order_pk).first()
    if order is not None and adapter.is_shippable(order):
        raise NotErasable(
            f"{adapter.model._meta.label} {order_pk} is still to be shipped, so it would be sent again. Cancel it or "
            "delete it first."
        )
    shipments = Shipment.objects.using(database).filter(order_type=order_type, order_pk=order_pk)
    entries = OutboxEntry.objects.using(database).filter(order_type=order_type, order_pk=order_pk)
    fold_all()
    if shipments.alive().exists() or entries.exists():
        record(order_type, [order_pk], gone=True, ring=False)
        # At once, without waiting for other changes of it to come.
        fold_all()
        entries.wake()
        pump()
        if entry := entries.first():
            why = f" ({entry.error_code}: {entry.error_detail})" if entry.error_code else ""
            raise NotErasable(
                f"Sendcloud has not confirmed the deletion of {order_pk} yet{why}. It goes on by itself; run it again "
                f"after {entry.not_before:%Y-%m-%d %H:%M:%S} UTC."
            )
    return _forget(shipments, database)


def _forget(shipments: Any, database: str) -> Erased:
    with transaction.atomic(using=database):
        parcels = Parcel.objects.using(database).filter(shipment__in=shipments)
        pks = list(parcels.values_list("pk", flat=True))
        events, _ = WebhookEvent.objects.using(database).filter(parcel__in=pks).delete()
        ParcelStatus.objects.using(database).filter(parcel__in=pks).delete()
        Parcel.objects.using(database).filter(pk__in=pks).delete()
        for order_type, order_pk in shipments.values_list("order_type", "order_pk").distinct():
            Attempt.objects.using(database).of_order(order_type, order_pk).delete()
        _, deleted = shipments.delete()
    return Erased(deleted.get("django_sendcloud.Shipment", 0), len(pks), events)
