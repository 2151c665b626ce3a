"""Deletion of rows past their time."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging

from django.db import models, transaction
from django.db.models import Exists, OuterRef, Q

from ..conf import conf
from ..core.clock import clock
from ..enums import ParcelPhase
from ..models import (
    Attempt,
    ErasedKey,
    EventState,
    ExceptionReport,
    OutboxEntry,
    Parcel,
    ParcelStatus,
    PrunedOrder,
    ReconciliationRun,
    Shipment,
    ShipmentStatus,
    WebhookEvent,
)
from ..models.shipment import ShipmentQuerySet
from ..models.webhook_event import AWAITING_FOLLOW_UPS
from ..sync.fold import fold_all
from ..sync.push.frozen import has_label

__all__ = ["Pruned", "prune", "prune_inbox"]

logger = logging.getLogger("django_sendcloud.maintenance")

CHUNK = 1000
# Days for which finished comparisons are kept.
RUN_DAYS = 90
# Sendcloud watches a parcel for six weeks, and a return may follow months later.
ERASED_DAYS = 365
# Days without an update after which a parcel gets no further one, wherever it is.
SILENT_DAYS = 60
# The phases at the end of a parcel's way.
ENDS = (ParcelPhase.DELIVERED.value, ParcelPhase.RETURNED.value, ParcelPhase.CANCELLED.value)


@dataclasses.dataclass(slots=True)
class Pruned:
    """The number of rows of each kind that were deleted."""

    tombstones: int = 0
    shipments: int = 0
    parcels: int = 0
    steps: int = 0
    attempts: int = 0

    def __bool__(self) -> bool:
        return any(dataclasses.astuple(self))


def prune() -> Pruned:
    """Delete what is past its time, in small portions.

    A shipment deleted at Sendcloud is kept for ``TOMBSTONE_DAYS``, so that nothing that comes late brings it back;
    longer where its order waits in the outbox. Shipments whose parcels have arrived go after ``SHIPMENT_DAYS``, with
    their parcels.
    """
    fold_all()
    now, settings, pruned = clock.now(), conf(), Pruned()
    before = now - dt.timedelta(days=settings.TOMBSTONE_DAYS)
    pruned.tombstones = _prune_tombstones(before)
    if settings.SHIPMENT_DAYS:
        _prune_shipments(now, now - dt.timedelta(days=settings.SHIPMENT_DAYS), pruned)
        _prune_unmatched(now - dt.timedelta(days=settings.SHIPMENT_DAYS), pruned)
    # In portions as well: after an outage there are many.
    attempts = Attempt.objects.filter(at__lt=now - dt.timedelta(days=settings.ATTEMPT_DAYS)).order_by("at")
    while pks := list(attempts.values_list("pk", flat=True)[:CHUNK]):
        pruned.attempts += Attempt.objects.filter(pk__in=pks).delete()[0]
    ExceptionReport.objects.filter(reported_at__lt=before).delete()
    ErasedKey.objects.filter(erased_at__lt=now - dt.timedelta(days=ERASED_DAYS)).delete()
    ReconciliationRun.objects.filter(finished_at__lt=now - dt.timedelta(days=RUN_DAYS)).delete()
    if pruned:
        logger.info("Pruned: %s.", ", ".join(f"{n} {name}" for name, n in dataclasses.asdict(pruned).items() if n))
    return pruned


def prune_inbox(now: dt.datetime | None = None) -> int:
    """Empty bodies and delete events past their time. Return how many rows that concerned.

    An event whose follow-ups are still due is kept; only its body goes.
    """
    now = now or clock.now()
    events = WebhookEvent.objects.exclude(state=EventState.RECEIVED)
    old = events.filter(received_at__lt=now - dt.timedelta(days=conf().INBOX_BODY_DAYS)).exclude(body="")
    emptied = old.update(body="")
    done = events.exclude(state__in=AWAITING_FOLLOW_UPS, due_at__isnull=False)
    deleted, _ = done.filter(received_at__lt=now - dt.timedelta(days=conf().INBOX_DAYS)).delete()
    return emptied + deleted


def _prune_tombstones(before: dt.datetime) -> int:
    old = Shipment.objects.filter(status=ShipmentStatus.DELETED, deleted_at__lt=before)
    total = last = 0
    while rows := list(old.filter(pk__gt=last).order_by("pk").values_list("pk", "order_type", "order_pk")[:CHUNK]):
        last = rows[-1][0]
        waiting = set(
            OutboxEntry.objects.filter(order_pk__in=[row[2] for row in rows]).values_list("order_type", "order_pk")
        )
        pks = [pk for pk, *order in rows if tuple(order) not in waiting]
        old.filter(pk__in=pks).delete()
        total += len(pks)
    return total


def _arrived(now: dt.datetime, before: dt.datetime) -> ShipmentQuerySet:
    """Return the shipments with a label of which nothing more is to be expected, and that nothing waits for.

    One without a label is not among them: Sendcloud still offers it, so that it has to be deleted there if its order
    is cancelled.
    """
    parcels = Parcel.objects.filter(shipment=OuterRef("pk"))
    silent = now - dt.timedelta(days=SILENT_DAYS)
    active = parcels.filter(Q(updated_at__gte=before) | (~Q(phase__in=ENDS) & Q(updated_at__gte=silent)))
    unfinished = WebhookEvent.objects.filter(
        parcel__shipment=OuterRef("pk"), state__in=AWAITING_FOLLOW_UPS, due_at__isnull=False
    )
    waiting = OutboxEntry.objects.filter(order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk"))
    synced = Shipment.objects.filter(status=ShipmentStatus.SYNCED, last_pushed_at__lt=before, label_conflict="")
    return synced.filter(has_label(), ~Exists(active), ~Exists(unfinished), ~Exists(waiting))


def _prune_shipments(now: dt.datetime, before: dt.datetime, pruned: Pruned) -> None:
    """Delete whole orders' shipments, with their parcels. What is left is that such an order is not new."""
    arrived, last = _arrived(now, before), 0
    while rows := list(arrived.filter(pk__gt=last).order_by("pk").values_list("pk", "order_pk")[:CHUNK]):
        last = rows[-1][0]
        order_pks = {order_pk for _, order_pk in rows}
        gone = set(arrived.filter(order_pk__in=order_pks).values_list("pk", flat=True))
        orders: dict[tuple[str, str], list[int]] = {}
        alive = Shipment.objects.alive().filter(order_pk__in=order_pks)
        for pk, *order in alive.values_list("pk", "order_type", "order_pk"):
            orders.setdefault((order[0], order[1]), []).append(pk)
        whole = {order: pks for order, pks in orders.items() if gone.issuperset(pks)}
        with transaction.atomic(using=conf().DATABASE):
            PrunedOrder.objects.bulk_create(
                [PrunedOrder(order_type=kind, order_pk=pk, pruned_at=now) for kind, pk in sorted(whole)],
                ignore_conflicts=True,
            )
            pks = [pk for group in whole.values() for pk in group]
            _delete_parcels(Parcel.objects.filter(shipment__in=pks), pruned)
            Shipment.objects.filter(pk__in=pks).delete()
        pruned.shipments += len(pks)


def _prune_unmatched(before: dt.datetime, pruned: Pruned) -> None:
    """Delete parcels of no known shipment, and those of shipments that were pruned."""
    old = Parcel.objects.unmatched().filter(updated_at__lt=before).order_by("pk")
    while pks := list(old.values_list("pk", flat=True)[:CHUNK]):
        with transaction.atomic(using=conf().DATABASE):
            _delete_parcels(Parcel.objects.filter(pk__in=pks), pruned)


def _delete_parcels(parcels: models.QuerySet[Parcel], pruned: Pruned) -> None:
    pks = list(parcels.values_list("pk", flat=True))
    pruned.steps += ParcelStatus.objects.filter(parcel__in=pks).delete()[0]
    WebhookEvent.objects.filter(parcel__in=pks).update(parcel=None)
    Parcel.objects.filter(pk__in=pks).delete()
    pruned.parcels += len(pks)
