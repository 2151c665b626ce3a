"""Finding orders that changed without a signal: bulk writes, raw SQL, other programs."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from typing import Any

from django.db import DatabaseError, router
from django.db.models import QuerySet

from ..adapters import OrderAdapter, registry
from ..clock import clock
from ..conf import conf
from ..models import EntryState, OutboxEntry, Position, Shipment
from .bulk import among
from .fold import fold_all
from .record import CHUNK, record

logger = logging.getLogger("django_sendcloud.sync")

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

    Raises:
        DatabaseError: of the first kind of order that could not be read; the others have been looked at all the same.
    """
    clock.synchronize()
    fold_all()
    found = 0
    failures = []
    for adapter in registry:
        if adapter.changed_at:
            try:
                found += _scan(adapter, since) if since is not None else _go_on(adapter)
            except DatabaseError as error:
                logger.error("%s could not be looked through: %s.", adapter.model._meta.label, type(error).__name__)
                failures.append(error)
    if failures:
        raise failures[0]
    return found


def _go_on(adapter: OrderAdapter[Any]) -> int:
    """From where the last scan began."""
    positions = Position.objects.using(conf().DATABASE)
    name = f"drift {adapter.model._meta.label_lower}"
    started = clock.now()
    until = positions.filter(name=name).values_list("until", flat=True).first()
    found = _scan(adapter, (until or started - HORIZON) - OVERLAP)
    positions.update_or_create(name=name, defaults={"until": started})
    return found


def _scan(adapter: OrderAdapter[Any], since: dt.datetime) -> int:
    model, field = adapter.model, adapter.changed_at
    alias = router.db_for_write(model)
    recent: QuerySet[Any] = model._base_manager.using(alias).filter(**{f"{field}__gt": since}).order_by()
    for other in registry.nearer(adapter):
        # Their own adapter looks at them.
        recent = recent.exclude(pk__in=other.model._base_manager.using(alias).values("pk"))
    rows = recent.values_list("pk", field).iterator(chunk_size=CHUNK)
    found = 0
    while chunk := {str(pk): modified for pk, modified in itertools.islice(rows, CHUNK)}:
        looked_at = _looked_at(model._meta.label_lower, list(chunk))
        found += record(
            model._meta.label_lower,
            [pk for pk, modified in chunk.items() if pk not in looked_at or _before(looked_at[pk], modified)],
        )
    return found


def _before(looked_at: dt.datetime | None, modified: dt.datetime) -> bool:
    return looked_at is not None and looked_at <= modified


def _looked_at(order_type: str, pks: list[str]) -> dict[str, dt.datetime | None]:
    """When each of these orders was last looked at; ``None`` where it waits to be. Those never looked at are absent."""
    database = conf().DATABASE
    mine = {"order_type": order_type}
    found: dict[str, dt.datetime | None] = {}
    shipments = Shipment.objects.using(database).filter(among("order_pk", pks, database), **mine)
    for pk, told_at in shipments.filter(told_at__isnull=False).values_list("order_pk", "told_at"):
        before = found.get(pk)
        found[pk] = told_at if before is None or (told_at and told_at < before) else before
    entries = OutboxEntry.objects.using(database).filter(among("order_pk", pks, database), **mine)
    for pk, state, changed_at in entries.values_list("order_pk", "state", "changed_at"):
        # What was refused or given up waits for a change; it may have had one that nobody heard of.
        found[pk] = None if state == EntryState.PENDING else changed_at
    return found
