"""The search for orders that changed without a signal: bulk writes, raw SQL, other programs."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from typing import Any

from django.db import DatabaseError, router, transaction
from django.db.models import QuerySet

from ..adapters import OrderAdapter
from ..conf import conf
from ..core.clock import clock
from ..models import Checkpoint, DriftMark, EntryState, OutboxEntry, Shipment
from ..orders import stored_key
from ..registry import registry
from .fold import fold_all
from .record import CHUNK, record

logger = logging.getLogger("django_sendcloud.sync")

# Each scan overlaps the last one, because a transaction may commit long after the time it wrote into the order.
OVERLAP = dt.timedelta(hours=1)
# The first scan looks back so far.
HORIZON = dt.timedelta(days=1)


def scan(since: dt.datetime | None = None) -> int:
    """Record orders whose modification field is newer than their last push.

    Only adapters that name ``changed_at_field`` take part.

    Args:
        since: Look at orders modified after this; by default since the last scan, with an overlap.

    Returns:
        How many orders were recorded.

    Raises:
        DatabaseError: of the first kind of order that could not be read, after the others have been scanned.
    """
    clock.synchronize()
    fold_all()
    found = 0
    failures = []
    for adapter in registry:
        if adapter.changed_at_field:
            try:
                found += _scan(adapter, since) if since is not None else _go_on(adapter)
            except DatabaseError as error:
                logger.error("%s could not be looked through: %s.", adapter.model._meta.label, type(error).__name__)
                failures.append(error)
    if failures:
        raise failures[0]
    return found


def _go_on(adapter: OrderAdapter[Any]) -> int:
    """Scan from the time at which the last scan began."""
    positions = Checkpoint.objects
    label = adapter.model._meta.label_lower
    name = f"drift {label}"
    started = clock.now()
    until = positions.filter(name=name).values_list("until", flat=True).first()
    found = _scan(adapter, (until or started - HORIZON) - OVERLAP)
    positions.update_or_create(name=name, defaults={"until": started})
    # The next scan does not look back so far.
    DriftMark.objects.filter(order_type=label, modified_at__lte=started - OVERLAP).delete()
    return found


def _scan(adapter: OrderAdapter[Any], since: dt.datetime) -> int:
    model, field = adapter.model, adapter.changed_at_field
    alias = router.db_for_write(model)
    recent: QuerySet[Any] = model._base_manager.using(alias).filter(**{f"{field}__gt": since}).order_by()
    for other in registry.children(adapter):
        # Their own adapter looks at them.
        recent = recent.exclude(pk__in=other.model._base_manager.using(alias).values(model._meta.pk.attname))
    rows = recent.values_list("pk", field).iterator(chunk_size=CHUNK)
    found = 0
    while chunk := {stored_key(model, pk): modified for pk, modified in itertools.islice(rows, CHUNK)}:
        looked_at = _looked_at(model._meta.label_lower, list(chunk))
        found += _record(
            model._meta.label_lower,
            {pk: modified for pk, modified in chunk.items() if pk not in looked_at or _before(looked_at[pk], modified)},
        )
    return found


def _record(order_type: str, modified: dict[str, dt.datetime]) -> int:
    """Record these orders, except those that a scan has recorded as they are.

    An order that leads to no push leaves no other trace: the next scan, which overlaps this one, would find it again.
    """
    marks = DriftMark.objects.filter(order_type=order_type, order_pk__in=list(modified))
    known = set(marks.values_list("order_pk", "modified_at"))
    fresh = {pk: at for pk, at in modified.items() if (pk, at) not in known}
    with transaction.atomic(using=conf().DATABASE):
        written = record(order_type, fresh, is_bulk=True)
        if written:
            DriftMark.objects.insert_or_update(
                [DriftMark(order_type=order_type, order_pk=pk, modified_at=at) for pk, at in fresh.items()],
                unique_fields=["order_type", "order_pk"],
                update_fields=["modified_at"],
            )
    return written


def _before(looked_at: dt.datetime | None, modified: dt.datetime) -> bool:
    return looked_at is not None and looked_at <= modified


def _looked_at(order_type: str, pks: list[str]) -> dict[str, dt.datetime | None]:
    """Return when each of these orders was last planned: ``None`` if it is pending, no key if it never was."""
    mine = {"order_type": order_type}
    found: dict[str, dt.datetime | None] = {}
    shipments = Shipment.objects.filter(order_pk__in=pks, **mine)
    for pk, last_pushed_at in shipments.filter(last_pushed_at__isnull=False).values_list("order_pk", "last_pushed_at"):
        before = found.get(pk)
        found[pk] = last_pushed_at if before is None or (last_pushed_at and last_pushed_at < before) else before
    entries = OutboxEntry.objects.filter(order_pk__in=pks, **mine)
    for pk, state, changed_at in entries.values_list("order_pk", "state", "changed_at"):
        # A rejected or dead-lettered order waits for a change, and it may have changed without a signal.
        found[pk] = None if state == EntryState.PENDING else changed_at
    return found
