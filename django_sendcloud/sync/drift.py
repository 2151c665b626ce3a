"""Finding orders that changed without a signal: bulk writes, raw SQL, other programs."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from django.core.cache import cache
from django.db import router

from ..adapters import OrderAdapter, registry
from ..clock import clock
from ..conf import conf
from ..models import OutboxEntry, Shipment
from .record import CHUNK, record

# Looked at once more: transactions may commit long after the time they wrote into the order.
OVERLAP = dt.timedelta(hours=1)
# How far back the first scan looks.
HORIZON = dt.timedelta(days=1)


def scan(since: dt.datetime | None = None) -> int:
    """Record orders whose modification field is younger than what Sendcloud was last told.

    Only adapters that name ``changed_at`` take part.

    Args:
        since: Look at orders modified after this; by default since the last scan, with an overlap.

    Returns:
        How many orders were recorded.
    """
    clock.synchronize()
    found = 0
    for adapter in registry:
        if not adapter.changed_at:
            continue
        key = f"django_sendcloud.drift.{adapter.model._meta.label_lower}"
        started = clock.now()
        begin = since or cache.get(key, started - HORIZON) - OVERLAP
        found += _scan(adapter, begin)
        cache.set(key, started, timeout=None)
    return found


def _scan(adapter: OrderAdapter[Any], since: dt.datetime) -> int:
    model, field = adapter.model, adapter.changed_at
    order_type = model._meta.label_lower
    recent = model._base_manager.using(router.db_for_write(model)).filter(**{f"{field}__gt": since}).order_by()
    rows = recent.values_list("pk", field).iterator(chunk_size=CHUNK)
    found = 0
    while chunk := {str(pk): modified for pk, modified in itertools.islice(rows, CHUNK)}:
        mine = {"order_type": order_type, "order_pk__in": list(chunk)}
        told: dict[str, dt.datetime] = {}
        shipments = Shipment.objects.using(conf().DATABASE).filter(**mine, told_at__isnull=False)
        for pk, told_at in shipments.values_list("order_pk", "told_at"):
            if told_at is not None:
                told[pk] = min(told.get(pk, told_at), told_at)
        waiting = set(OutboxEntry.objects.using(conf().DATABASE).filter(**mine).values_list("order_pk", flat=True))
        found += record(
            order_type,
            [pk for pk, modified in chunk.items() if pk not in waiting and (pk not in told or told[pk] <= modified)],
        )
    return found
