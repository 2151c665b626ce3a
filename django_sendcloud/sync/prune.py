"""Forgetting what need not be remembered any more."""

from __future__ import annotations

import datetime as dt

from ..clock import clock
from ..conf import conf
from ..models import Attempt, ExceptionReport, OutboxEntry, Shipment, ShipmentStatus, Tally
from .bulk import among
from .fold import fold_all

CHUNK = 1000
# How long it is remembered what was told in each hour.
TALLY_DAYS = 90


def prune() -> int:
    """Delete tombstones and attempts past their time, in small portions. Returns how many tombstones.

    A shipment deleted at Sendcloud is kept for ``TOMBSTONE_DAYS``, so that nothing that comes late brings it
    back; longer where its order waits in the outbox.
    """
    fold_all()
    database = conf().DATABASE
    before = clock.now() - dt.timedelta(days=conf().TOMBSTONE_DAYS)
    old = Shipment.objects.using(database).filter(status=ShipmentStatus.DELETED, deleted_at__lt=before)
    total = 0
    last = 0
    while rows := list(old.filter(pk__gt=last).order_by("pk").values_list("pk", "order_type", "order_pk")[:CHUNK]):
        last = rows[-1][0]
        waiting = set(
            OutboxEntry.objects.using(database)
            .filter(among("order_pk", [row[2] for row in rows], database))
            .values_list("order_type", "order_pk")
        )
        pks = [pk for pk, *order in rows if tuple(order) not in waiting]
        old.filter(pk__in=pks).delete()
        total += len(pks)
    attempts = Attempt.objects.using(database).filter(at__lt=clock.now() - dt.timedelta(days=conf().ATTEMPT_DAYS))
    # In portions as well: after an outage there are many.
    while pks := list(attempts.order_by("at").values_list("pk", flat=True)[:CHUNK]):
        attempts.filter(pk__in=pks).delete()
    ExceptionReport.objects.using(database).filter(reported_at__lt=before).delete()
    Tally.objects.using(database).filter(hour__lt=clock.now() - dt.timedelta(days=TALLY_DAYS)).delete()
    return total
