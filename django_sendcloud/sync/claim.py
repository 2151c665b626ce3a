"""Taking due entries under a lease.

Attempts are counted here, not at the end, so that an order that kills its worker is counted as well: it
is taken in ever smaller company, then alone, then not at all.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection

from django.db import connections, transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest

from ..clock import clock
from ..conf import conf
from ..models import EntryState, OutboxEntry
from .bulk import among

# After so many claims without an answer an order goes alone, and after so many it is given up.
ALONE_AFTER = 3
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
    gone: bool
    attempts: int
    failures: int
    failing_since: dt.datetime | None
    in_doubt: bool
    error_code: str


_COLUMNS = tuple(field.name for field in dataclasses.fields(Claimed))


@dataclasses.dataclass(slots=True)
class Claim:
    """Entries that are ours until ``deadline`` (of the steady clock)."""

    lease: str
    deadline: float
    entries: list[Claimed]
    # It is to find out whether Sendcloud is back (``breaker``).
    trial: bool = False

    def time_left(self) -> float:
        """Seconds until the lease ends."""
        return self.deadline - clock.monotonic()


def company(attempts: int) -> int:
    """How many orders may be claimed together with one that had ``attempts`` claims without an answer."""
    return [conf().CLAIM_SIZE, conf().BATCH_SIZE, 10][attempts] if attempts < ALONE_AFTER else 1


def claim(limit: int, *, gone: bool | None = None, waiting_for: Collection[int] | None = None) -> Claim:
    """Take up to ``limit`` due entries, oldest first.

    Args:
        limit: At most so many.
        gone: Only deletions, only others, or (``None``) both.
        waiting_for: Of what waits for these integrations, due or not. (A lease or a quarantine is respected.)
    """
    now = clock.now()
    lease = uuid.uuid4().hex
    settings = conf()
    # Measured from before the claim is written, so that the lease never ends later here than there.
    deadline = clock.monotonic() + settings.LEASE_SECONDS
    database = settings.DATABASE
    entries_there = OutboxEntry.objects.using(database)
    if waiting_for is None:
        due = entries_there.due(now)
    else:
        due = entries_there.pending().filter(integration__in=waiting_for, not_before__lte=now)
    due = due.filter(attempts__lt=DEAD_AFTER)
    if gone is not None:
        due = due.filter(gone=gone)
    candidates = due.order_by("due_at", "pk").values_list(*_COLUMNS)
    # Whoever takes over from a worker that is heard of no more may do so when the lease is over and nothing that this
    # worker has sent at its very end can land any more.
    rest = now + dt.timedelta(seconds=settings.LEASE_SECONDS + settings.QUARANTINE_SECONDS)
    values = {
        "lease": lease,
        "not_before": rest,
        "due_at": rest,
        "claimed_version": F("version"),
        "attempts": F("attempts") + 1,
        "stamp": Greatest(F("stamp") + 1, Value(int(now.timestamp()))),
    }

    if connections[database].features.has_select_for_update_skip_locked:
        with transaction.atomic(using=database):
            entries = _of_one_kind([Claimed(*row) for row in candidates.select_for_update(skip_locked=True)[:limit]])
            if entries:
                pks = [entry.pk for entry in entries]
                entries_there.filter(among("pk", pks, database)).update(**values)
    else:
        # The condition is part of the UPDATE: of two workers that saw the same rows, one gets each.
        entries = _of_one_kind([Claimed(*row) for row in candidates[:limit]])
        pks = [entry.pk for entry in entries]
        taken = due.filter(pk__in=pks).update(**values) if entries else 0
        if taken < len(entries):
            mine = set(entries_there.filter(lease=lease).values_list("pk", flat=True))
            entries = [entry for entry in entries if entry.pk in mine]
    least = int(now.timestamp())
    for entry in entries:
        entry.attempts += 1
        entry.stamp = max(entry.stamp + 1, least)
    return Claim(lease, deadline, entries)


def _of_one_kind(entries: list[Claimed]) -> list[Claimed]:
    """Only those as suspect as the first, and not more of them than may go together."""
    if not entries:
        return entries
    size = company(entries[0].attempts)
    return [entry for entry in entries if company(entry.attempts) == size][:size]


def bury_the_dead() -> int:
    """Park what killed its worker time and again. Returns how many."""
    now = clock.now()
    return (
        OutboxEntry.objects.using(conf().DATABASE)
        .pending()
        .filter(attempts__gte=DEAD_AFTER, not_before__lte=now)
        .update(state=EntryState.DEAD, error_code="worker_died", error_detail="", lease="", in_doubt=True)
    )
