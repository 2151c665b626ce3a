"""Claims: due entries, taken under a lease.

Attempts are counted here, not at the end, so that an order that kills its worker is counted as well: it is claimed in
ever smaller batches, then alone, then not at all.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection

from django.db import connections, transaction
from django.db.models import Exists, F, OuterRef, Q, Value
from django.db.models.functions import Greatest

from ..conf import conf
from ..core.clock import clock
from ..models import EntryState, OutboxEntry, Shipment
from ..models.outbox import OutboxQuerySet
from .isolation import after_lost_claims, batch_limit
from .problems import Problem, columns_of

# Claims without a result after which an order is dead-lettered.
DEAD_AFTER = 8


@dataclasses.dataclass(slots=True)
class Claimed:
    """An outbox entry as it stands with its claim. (No model: there are hundreds of them, and each cost counts.)"""

    pk: int
    order_type: str
    order_pk: str
    order_number: str
    version: int
    stamp: int
    is_deletion: bool
    only_related: bool
    attempts: int
    failures: int
    failing_since: dt.datetime | None
    in_doubt: bool
    is_accepted: bool
    isolation: int
    error_code: str


_COLUMNS = tuple(field.name for field in dataclasses.fields(Claimed))


def claimable(now: dt.datetime) -> OutboxQuerySet:
    """Return the entries that may be claimed now: the due ones, and changes that need not wait for others.

    A change is due after the debounce. It is pushed immediately, however, unless its order was pushed within the
    debounce: so a single change does not wait, and a burst of changes is pushed once per debounce.
    """
    debounce = dt.timedelta(seconds=conf().DEBOUNCE_SECONDS)
    pushed = Shipment.objects.filter(
        order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk"), last_pushed_at__gt=now - debounce
    )
    fresh = Q(due_at__lte=now + debounce, changed_at__gte=now - debounce, attempts=0, failures=0, error_code="")
    return OutboxEntry.objects.free(now).filter(Q(due_at__lte=now) | (fresh & ~Q(Exists(pushed))))


def in_lanes(lanes: Collection[int | None]) -> Q:
    """Return the condition that an entry waits for one of these integrations, or (``None``) for any."""
    if len(lanes) == 1:
        # Plain equality lets every database read the index in order.
        return Q(integration=next(iter(lanes)))
    known = Q(integration__in=[lane for lane in lanes if lane is not None])
    return known | Q(integration=None) if None in lanes else known


@dataclasses.dataclass(slots=True)
class Claim:
    """Entries that are ours until ``deadline`` (of the steady clock)."""

    lease: str
    deadline: float
    entries: list[Claimed]
    # It is the breaker's trial: it finds out whether Sendcloud is back.
    trial: bool = False

    def time_left(self) -> float:
        """Return the seconds until the lease ends."""
        return self.deadline - clock.monotonic()


def claim(
    limit: int,
    *,
    is_deletion: bool | None = None,
    is_accepted: bool | None = None,
    lanes: Collection[int | None] | None = None,
    due_or_not: bool = False,
) -> Claim:
    """Take up to ``limit`` due entries: changes that a signal reported before bulk work, then the oldest first.

    Args:
        limit: Maximum number of entries.
        is_deletion: Only deletions, only others, or (``None``) both.
        is_accepted: Only orders that Sendcloud has accepted and may not have saved, only others, or (``None``) both.
        lanes: Only entries that wait for these integrations; ``None`` among them stands for unassigned ones. All by
            default.
        due_or_not: Also what is not due yet. A lease or a quarantine is respected.
    """
    now = clock.now()
    lease = uuid.uuid4().hex
    settings = conf()
    # Measured from before the claim is written, so that the lease never ends later here than there.
    deadline = clock.monotonic() + settings.LEASE_SECONDS
    database = settings.DATABASE
    due = OutboxEntry.objects.free(now) if due_or_not else claimable(now)
    if lanes is not None:
        due = due.filter(in_lanes(lanes))
    due = due.filter(attempts__lt=DEAD_AFTER)
    if is_deletion is not None:
        due = due.filter(is_deletion=is_deletion)
    if is_accepted is not None:
        due = due.filter(is_accepted=is_accepted)
    candidates = due.order_by("is_bulk", "due_at", "pk").values_list(*_COLUMNS)
    # If this worker dies, another one may take over after the lease has ended and a request that this worker sent at
    # its very end can no longer land.
    rest = now + dt.timedelta(seconds=settings.LEASE_SECONDS + settings.QUARANTINE_SECONDS)
    values = {
        "lease": lease,
        "not_before": rest,
        "due_at": rest,
        "attempts": F("attempts") + 1,
        "stamp": Greatest(F("stamp") + 1, Value(int(now.timestamp()))),
    }

    if connections[database].features.has_select_for_update_skip_locked:
        with transaction.atomic(using=database):
            entries = _of_one_kind([Claimed(*row) for row in candidates.select_for_update(skip_locked=True)[:limit]])
            if entries:
                values["isolation"] = entries[0].isolation
                OutboxEntry.objects.filter(pk__in=[entry.pk for entry in entries]).update(**values)
    else:
        # The condition is part of the UPDATE: of two workers that saw the same rows, one gets each.
        entries = _of_one_kind([Claimed(*row) for row in candidates[:limit]])
        pks = [entry.pk for entry in entries]
        taken = due.filter(pk__in=pks).update(**values, isolation=entries[0].isolation) if entries else 0
        if taken < len(entries):
            mine = set(OutboxEntry.objects.filter(lease=lease).values_list("pk", flat=True))
            entries = [entry for entry in entries if entry.pk in mine]
    least = int(now.timestamp())
    for entry in entries:
        entry.attempts += 1
        entry.stamp = max(entry.stamp + 1, least)
    return Claim(lease, deadline, entries)


def _of_one_kind(entries: list[Claimed]) -> list[Claimed]:
    """Return only those as isolated as the first, and no more of them than may be claimed together.

    An order with lost claims is isolated further. One worker that dies keeps no more orders waiting than these.
    """
    for entry in entries:
        entry.isolation = max(entry.isolation, after_lost_claims(entry.attempts))
    alike = [entry for entry in entries if entry.isolation == entries[0].isolation]
    return alike[: batch_limit(alike[0].isolation)] if alike and alike[0].isolation else alike


def dead_letter_exhausted() -> int:
    """Dead-letter entries that have killed their worker time and again. Return how many."""
    now = clock.now()
    return (
        OutboxEntry.objects.free(now)
        .filter(attempts__gte=DEAD_AFTER)
        .update(state=EntryState.DEAD, lease="", in_doubt=True, **columns_of(Problem("worker_died")))
    )
