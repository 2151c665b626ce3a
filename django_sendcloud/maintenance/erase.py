"""Erasure of one order: at Sendcloud, and then here."""

from __future__ import annotations

import dataclasses

from django.db import models, transaction

from ..conf import SendcloudConfigurationError, conf
from ..exceptions import APIError
from ..models import (
    Attempt,
    ErasedKey,
    OutboxEntry,
    Parcel,
    ParcelStatus,
    PrunedOrder,
    Recheck,
    Shipment,
    WebhookEvent,
)
from ..models.shipment import ShipmentQuerySet
from ..orders import OrderRef
from ..payloads.v3 import order_id_of
from ..registry import registry
from ..routers import primary_reads
from ..sync.fold import fold_all
from ..sync.on_demand import Busy, withdraw
from ..sync.record import record
from ..sync.worker import push_due

__all__ = ["Erased", "NotErasable", "erase"]


class NotErasable(Exception):
    """The order cannot be erased now; the text says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Erased:
    """The number of rows that were erased here."""

    shipments: int
    parcels: int
    webhooks: int


def erase(ref: OrderRef) -> Erased:
    """Delete an order's shipments at Sendcloud, then everything about it here.

    Safe to repeat: nothing is erased here before Sendcloud has confirmed its deletion.

    Args:
        ref: The order, also one that is gone.

    Raises:
        NotErasable: the order is still to be shipped, or Sendcloud has not confirmed the deletion yet.
    """
    database = conf().DATABASE
    ref = ref.resolve()
    order, adapter = ref.load(), registry.for_order_type(ref.order_type)
    with primary_reads():
        shippable = adapter.shippable(order) if adapter is not None and order is not None else False
    if shippable:
        raise NotErasable(f"{ref} is still to be shipped, so it would be sent again. Cancel it or delete it first.")
    shipments, entries = Shipment.objects.of(ref), OutboxEntry.objects.of(ref)
    if shippable is None or shipments.alive().filter(parcels__isnull=False).exists():
        # Workers leave the order alone, or its labels, so nothing else would delete its shipments.
        _withdraw(ref, shipments)
    fold_all()
    if shipments.alive().exists() or entries.exists():
        record(ref.order_type, [ref.order_pk], is_deletion=True, notify=False)
        # Without the debounce.
        fold_all()
        entries.requeue()
        push_due()
        if entry := entries.first():
            why = f" ({entry.error_code}: {entry.error_detail})" if entry.error_code else ""
            raise NotErasable(
                f"Sendcloud has not confirmed the deletion of {ref} yet{why}. It goes on automatically; run it again "
                f"after {entry.not_before:%Y-%m-%d %H:%M:%S} UTC."
            )
    return _forget(ref, shipments, database)


def _withdraw(ref: OrderRef, shipments: ShipmentQuerySet) -> None:
    for shipment in shipments.alive().select_related("integration__account"):
        try:
            withdraw(shipment)
        except (Busy, APIError, SendcloudConfigurationError) as error:
            raise NotErasable(
                f"Sendcloud has not confirmed the deletion of {ref} ({type(error).__name__}). Run it again later."
            ) from None


def _remember(shipments: models.QuerySet[Shipment], parcels: models.QuerySet[Parcel]) -> None:
    """Remember the keys of what is erased, as digests: its next webhook is dropped."""
    for shipment in shipments:
        ErasedKey.objects.remember(
            shipment.integration_id,
            [
                ("shipment_uuid", shipment.uuid),
                ("external_order_id", shipment.external_order_id),
                ("external_order_id", order_id_of(shipment.external_order_id, shipment.external_shipment_id)),
                ("order_number", shipment.order_number),
            ],
        )
    for parcel in parcels:
        ErasedKey.objects.remember(
            parcel.integration_id, [("remote_id", parcel.remote_id), ("shipment_uuid", parcel.shipment_uuid)]
        )


def _forget(ref: OrderRef, shipments: models.QuerySet[Shipment], database: str) -> Erased:
    with transaction.atomic(using=database):
        parcels = Parcel.objects.filter(shipment__in=shipments)
        pks = list(parcels.values_list("pk", flat=True))
        _remember(shipments, parcels)
        events, _ = WebhookEvent.objects.filter(parcel__in=pks).delete()
        ParcelStatus.objects.filter(parcel__in=pks).delete()
        Parcel.objects.filter(pk__in=pks).delete()
        Attempt.objects.of(ref).delete()
        PrunedOrder.objects.of(ref).delete()
        Recheck.objects.of(ref).delete()
        _, deleted = shipments.delete()
    return Erased(deleted.get("django_sendcloud.Shipment", 0), len(pks), events)
