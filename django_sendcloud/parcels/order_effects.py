"""The effects of parcels on their order: its status, and the adapter's own ``on_parcel()``.

Both run in a transaction that has locked the order, after the parcel itself was committed. The status is derived from
the state of all parcels; ``on_parcel()`` is called for each phase that is still recorded as pending.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
from collections.abc import Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, transaction

from ..adapters import OrderAdapter, PackedItem, ParcelChange
from ..conf import conf
from ..core.dispatch import innermost_frame
from ..core.interruption import interruptions
from ..core.retry import is_conflict, retry_transient
from ..enums import ParcelPhase
from ..models import Parcel, Shipment, WebhookEvent
from ..orders import database_for
from ..registry import registry
from ..routers import primary_reads
from ..sync.record import record
from .order_status import update_status

__all__ = ["OrderEffectFailed", "run"]

logger = logging.getLogger("django_sendcloud.shop")


class OrderEffectFailed(Exception):
    """The shop's own code failed on a parcel of its order. Nothing of what it did in that call remains.

    Args:
        hook: The method of the adapter: ``set_order_status`` or ``on_parcel``.
        error: The exception's type.
        at: File and line of the shop's innermost frame.
    """

    def __init__(self, hook: str, error: Exception) -> None:
        self.hook, self.error, self.at = hook, type(error).__name__, innermost_frame(error)
        super().__init__(f"{hook}: {self.error} at {self.at}")


def run(event: WebhookEvent) -> None:
    """Let the order of an event's parcel follow it.

    Args:
        event: An applied event. Its pending phases shrink as ``on_parcel()`` succeeds.

    Raises:
        OrderEffectFailed: The shop's code failed. The status and the phases before it stand; run it again later.
    """
    parcel = event.parcel
    if parcel is None or parcel.shipment is None:
        return
    shipment = parcel.shipment
    adapter = registry.for_order_type(shipment.order_type)
    if adapter is None:
        return
    if shipment.label_conflict and parcel.phase == ParcelPhase.CANCELLED.value:
        # Without the label, the order's present state can go to Sendcloud.
        record(shipment.order_type, [shipment.order_pk])
    if adapter.phase_statuses:
        retry_transient(functools.partial(_move, adapter, shipment))
    if type(adapter).on_parcel is OrderAdapter.on_parcel:
        return
    for change in list(event.follow_ups.get("changes", ())):
        event.follow_ups = retry_transient(functools.partial(_call, adapter, event, change, parcel, shipment))


def _move(adapter: OrderAdapter[Any], shipment: Shipment) -> None:
    """Move the order's status, in a transaction of its own."""
    with _locked_order(adapter, shipment) as order:
        if order is not None:
            with _named("set_order_status"):
                update_status(adapter, order, _shipments_of(shipment))


def _call(
    adapter: OrderAdapter[Any], event: WebhookEvent, change: dict[str, Any], parcel: Parcel, shipment: Shipment
) -> dict[str, Any]:
    """Call ``on_parcel()`` in a transaction of its own. Return what is left to do of the event."""
    follow_ups: dict[str, Any] = event.follow_ups
    with _locked_order(adapter, shipment) as order:
        # Another worker may have called it meanwhile, if this one was slower than its lease.
        if order is None or not _is_pending(event, change):
            return follow_ups
        with _named("on_parcel"):
            adapter.on_parcel(order, parcel, _change(change, parcel, shipment))
        left = [each for each in follow_ups["changes"] if each != change]
        follow_ups = {**follow_ups, "changes": left}
        WebhookEvent.objects.filter(pk=event.pk).update(follow_ups=follow_ups)
    return follow_ups


@contextlib.contextmanager
def _named(hook: str) -> Iterator[None]:
    """Let exceptions of the shop's code name the hook."""
    try:
        yield
    except interruptions():
        raise
    except Exception as error:
        if is_conflict(error):
            # Not the shop's fault: the transaction is done again.
            raise
        failed = OrderEffectFailed(hook, error)
        logger.error("The shop's adapter failed on a parcel: %s.", failed)
        raise failed from None


@contextlib.contextmanager
def _locked_order(adapter: OrderAdapter[Any], shipment: Shipment) -> Iterator[models.Model | None]:
    """Open a transaction on the order's database and on the app's own, and read the order after locking it."""
    alias, ours = database_for(shipment.order_type, adapter.model), conf().DATABASE
    orders: models.QuerySet[Any] = adapter.model._base_manager.using(alias)
    with (
        primary_reads(),
        transaction.atomic(using=alias),
        transaction.atomic(using=ours) if ours != alias else contextlib.nullcontext(),
    ):
        try:
            order: models.Model | None = orders.select_for_update().filter(pk=shipment.order_pk).first()
        except (ValidationError, ValueError):
            order = None
        yield order


def _shipments_of(shipment: Shipment) -> list[Shipment]:
    return list(Shipment.objects.of(shipment.ref).order_by("pk"))


def _is_pending(event: WebhookEvent, change: dict[str, Any]) -> bool:
    rows = WebhookEvent.objects.filter(pk=event.pk)
    stored = rows.values_list("follow_ups", flat=True).first()
    return stored is not None and change in stored.get("changes", ())


def _change(change: dict[str, Any], parcel: Parcel, shipment: Shipment) -> ParcelChange:
    carrier_at = change["carrier_at"]
    return ParcelChange(
        phase=ParcelPhase(change["phase"]),
        previous_phase=ParcelPhase(change["previous"]) if change["previous"] else None,
        at=dt.datetime.fromisoformat(change["at"]),
        carrier_at=dt.datetime.fromisoformat(carrier_at) if carrier_at else None,
        shipment=shipment,
        items=tuple(PackedItem(**item) for item in parcel.items),
    )
