"""Writing down what became of what was claimed: in one short transaction, and only where the claim still stands."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import itertools
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from django.db import connections, transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Greatest
from django.dispatch import Signal

from ..clock import clock
from ..conf import conf
from ..models import Attempt, AttemptOutcome, EntryState, OutboxEntry, Shipment, ShipmentStatus
from ..patience import patiently
from ..signals import shipment_deleted, shipment_rejected, shipment_synced
from . import bulk
from .build import Plan, Problem
from .claim import Claim
from .fold import put_in

logger = logging.getLogger("django_sendcloud.sync")

BACKOFF_BASE_SECONDS = 2.0
# How often an entry that somebody holds is tried again.
LOCKED_TRIES = 6

# What an answer changes of a shipment.
_TOLD = ["status", "errors", "digest", "stamp", "uuid", "order_number", "told_at", "deleted_at"]


@dataclasses.dataclass(slots=True)
class Verdict:
    """What became of one order."""

    plan: Plan
    # done: Sendcloud knows all. rejected: a person or a change has to help. retry: tried, and to be tried
    # again. release: not tried after all.
    state: Literal["done", "rejected", "retry", "release"]
    problem: Problem | None = None
    # Something may have been sent and may still arrive late.
    unknown: bool = False
    # Seconds to wait at least; ``None``: the backoff decides, or for what is released, nothing does.
    wait: float | None = None
    # Whether it counts as a failed attempt.
    burns: bool = True


@dataclasses.dataclass(slots=True)
class Settled:
    """What to settle at once: verdicts, and the shipments whose state changed."""

    verdicts: list[Verdict] = dataclasses.field(default_factory=list)
    shipments: dict[int, Shipment] = dataclasses.field(default_factory=dict)
    created: set[int] = dataclasses.field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.verdicts or self.shipments)


def backoff(failures: int) -> float:
    """Seconds to wait after so many failed attempts: full jitter, doubling, bounded."""
    return clock.jitter(min(conf().BACKOFF_MAX_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(failures, 20)))


def settle(claim: Claim, settled: Settled) -> None:
    """Store verdicts and shipments, each order only if nobody else has taken it over meanwhile.

    An entry is deleted only if it still has the version that was pushed; otherwise it stays due. An order
    whose lease was lost is recorded again: what we sent may have arrived after what its new owner sent.
    """
    if not settled:
        return
    lost, locked = patiently(lambda: _write(claim, settled.verdicts, settled.shipments))
    for patience in range(LOCKED_TRIES):
        if not locked:
            break
        # Somebody has folded a change into them just now, and is about to be through.
        clock.sleep(clock.jitter(0.02 * 2**patience))
        more, locked = patiently(functools.partial(_write, claim, locked, {}))
        lost += more
    if lost:
        logger.warning("The lease of %d orders was lost while they were pushed; they are pushed again.", len(lost))
        patiently(lambda: _push_again(lost))
    _tell_the_shop(settled)


def _write(
    claim: Claim, verdicts: Sequence[Verdict], told: Mapping[int, Shipment]
) -> tuple[list[Verdict], list[Verdict]]:
    """Returns the verdicts on entries that are somebody else's by now, and on those that somebody holds for the moment.

    (If they are held for longer, their lease ends, and they are told again.)
    """
    database = conf().DATABASE
    now = clock.now()
    entries = OutboxEntry.objects.using(database)
    with transaction.atomic(using=database):
        pks = [verdict.plan.entry.pk for verdict in verdicts]
        rows = entries.filter(bulk.among("pk", pks, database), lease=claim.lease)
        if connections[database].features.has_select_for_update_skip_locked:
            # One that is held must not keep the others waiting.
            rows = rows.select_for_update(skip_locked=True)
        there = {pk: _Now(version, in_doubt) for pk, version, in_doubt in rows.values_list("pk", "version", "in_doubt")}
        ours = [verdict for verdict in verdicts if verdict.plan.entry.pk in there]
        missing = [verdict for verdict in verdicts if verdict.plan.entry.pk not in there]
        lost, locked = _apart(claim, missing) if missing else ([], [])

        lost_orders = {(v.plan.entry.order_type, v.plan.entry.order_pk) for v in lost}
        shipments = [s for s in told.values() if (s.order_type, s.order_pk) not in lost_orders]
        bulk.update(shipments, _TOLD, database)
        as_claimed = [v for v in ours if there[v.plan.entry.pk].version == v.plan.entry.version]
        done = [v.plan.entry.pk for v in as_claimed if v.state == "done" and not _overtaken(v, there)]
        if done:
            entries.filter(bulk.among("pk", done, database)).delete()
        rejected = [v for v in as_claimed if v.state == "rejected" and not _overtaken(v, there)]
        _write_rejected(rejected, there, now)
        finished = {*done, *(verdict.plan.entry.pk for verdict in rejected)}
        left = [verdict for verdict in ours if verdict.plan.entry.pk not in finished]
        for values, verdicts in _grouped(left, there, now):
            entries.filter(pk__in=[verdict.plan.entry.pk for verdict in verdicts]).update(**values)
        _write_numbers(left)
        if attempts := list(_attempts(ours, now)):
            Attempt.objects.using(database).bulk_create(attempts)
    return lost, locked


def _attempts(verdicts: Sequence[Verdict], now: dt.datetime) -> Iterator[Attempt]:
    """What a person will ask about: what did not work, and what did at last."""
    outcomes = {
        "rejected": AttemptOutcome.REFUSED,
        "retry": AttemptOutcome.FAILED,
        "done": AttemptOutcome.ACCEPTED,
    }
    for verdict in verdicts:
        entry, problem = verdict.plan.entry, verdict.problem
        struggled = entry.error_code or entry.attempts > 1 or entry.in_doubt
        slow = verdict.plan.slow and verdict.state in outcomes
        tried = problem is not None and verdict.burns and verdict.state in outcomes
        if tried or slow or (verdict.state == "done" and struggled):
            yield Attempt(
                integration=verdict.plan.integration,
                order_type=entry.order_type,
                order_pk=entry.order_pk,
                at=now,
                outcome=outcomes[verdict.state],
                code=problem.code if problem else "adapter_slow" if slow else "",
            )


def _write_numbers(verdicts: Sequence[Verdict]) -> None:
    """What stays is to be found by the number people know."""
    fresh = []
    for verdict in verdicts:
        entry, number = verdict.plan.entry, verdict.plan.order_number
        if number and entry.order_number != number:
            fresh.append(OutboxEntry(pk=entry.pk, order_number=number))
    if fresh:
        OutboxEntry.objects.using(conf().DATABASE).bulk_update(fresh, ["order_number"])


def _write_rejected(verdicts: Sequence[Verdict], there: Mapping[int, _Now], now: dt.datetime) -> None:
    """Each has errors of its own; they are written together all the same."""
    names: set[str] = set()
    rows = []
    for verdict in verdicts:
        values = _values(verdict, there, now, 0.0)
        values["order_number"] = verdict.plan.order_number or verdict.plan.entry.order_number
        names |= values.keys()
        rows.append(OutboxEntry(pk=verdict.plan.entry.pk, **values))
    if rows:
        OutboxEntry.objects.using(conf().DATABASE).bulk_update(rows, sorted(names))


def _apart(claim: Claim, missing: Sequence[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Those whose entry is somebody else's by now, and those whose entry is only locked for the moment."""
    pks = [verdict.plan.entry.pk for verdict in missing]
    still_ours = set(
        OutboxEntry.objects.using(conf().DATABASE).filter(pk__in=pks, lease=claim.lease).values_list("pk", flat=True)
    )
    lost = [verdict for verdict in missing if verdict.plan.entry.pk not in still_ours and verdict.state != "release"]
    return lost, [verdict for verdict in missing if verdict.plan.entry.pk in still_ours]


def _push_again(lost: Sequence[Verdict]) -> None:
    """Have the orders told again once nothing late can land any more, and remember why."""
    database = conf().DATABASE
    rest_until = clock.now() + dt.timedelta(seconds=conf().QUARANTINE_SECONDS)
    with transaction.atomic(using=database):
        for order_type, group in itertools.groupby(
            sorted((v.plan.entry.order_type, v.plan.entry.order_pk) for v in lost), lambda key: key[0]
        ):
            pks = [pk for _, pk in group]
            put_in(order_type, pks)
            OutboxEntry.objects.using(database).filter(order_type=order_type, order_pk__in=pks).update(
                in_doubt=True,
                not_before=Greatest(F("not_before"), Value(rest_until)),
                due_at=Greatest(F("due_at"), Value(rest_until)),
            )


@dataclasses.dataclass(frozen=True, slots=True)
class _Now:
    """An entry as it stands when it is settled."""

    version: int
    in_doubt: bool


def _overtaken(verdict: Verdict, there: Mapping[int, _Now]) -> bool:
    """Who had lost it before has been at Sendcloud meanwhile, and what he sent may have come after what we sent."""
    entry = verdict.plan.entry
    return there[entry.pk].in_doubt and not entry.in_doubt


def _grouped(
    verdicts: Sequence[Verdict], there: Mapping[int, _Now], now: dt.datetime
) -> list[tuple[dict[str, Any], list[Verdict]]]:
    """What to write into entries that stay, one UPDATE for all that get the same."""
    groups: list[tuple[dict[str, Any], list[Verdict]]] = []
    # What failed together waits equally long: it makes one batch again.
    waits: dict[int, float] = {}
    for verdict in verdicts:
        entry = verdict.plan.entry
        wait = verdict.wait
        if wait is None and verdict.state == "retry":
            wait = waits.setdefault(entry.failures, backoff(entry.failures))
        values = _values(verdict, there, now, wait or 0.0)
        for other, members in groups:
            if other == values:
                members.append(verdict)
                break
        else:
            groups.append((values, [verdict]))
    return groups


def _values(verdict: Verdict, there: Mapping[int, _Now], now: dt.datetime, wait: float) -> dict[str, Any]:
    """What an entry that stays is given.

    Args:
        verdict: What became of it.
        there: How all of them stand now.
        now: The time.
        wait: Seconds to wait at least, unless it has changed.
    """
    entry, problem = verdict.plan.entry, verdict.problem
    integration = verdict.plan.integration
    changed = there[entry.pk].version != entry.version
    overtaken = _overtaken(verdict, there)
    rest = conf().QUARANTINE_SECONDS if verdict.unknown or overtaken else 0.0
    not_before = now + dt.timedelta(seconds=rest)
    due_at = not_before if changed else now + dt.timedelta(seconds=max(wait, rest))
    values: dict[str, Any] = {"lease": "", "not_before": not_before, "due_at": due_at}
    if verdict.state == "release":
        # As if it had not been claimed. (A person's "push now" may have set the attempts to zero meanwhile.)
        values["attempts"] = Case(When(attempts__gt=0, then=F("attempts") - 1), default=Value(0))
        if not changed:
            values["integration_id"] = integration.pk if integration else None
            if verdict.plan.deletes and not verdict.plan.upserts:
                values["gone"] = True
            if problem:
                values |= _error_values(problem)
        return values

    values["attempts"] = 0
    values["in_doubt"] = (
        verdict.unknown or overtaken or (verdict.state != "done" and (entry.in_doubt or entry.attempts > 1))
    )
    if changed:
        # What was pushed is old news; what is new starts afresh, after the quarantine if there is one.
        return values | {"failures": 0, "failing_since": None, **_error_values(None)}
    values["integration_id"] = integration.pk if integration else None
    values |= _error_values(problem)
    if verdict.state == "rejected":
        return values | {"state": EntryState.REJECTED, "failures": 0, "failing_since": None}
    if verdict.burns:
        failing_since = entry.failing_since or now
        values |= {"failures": entry.failures + 1, "failing_since": failing_since}
        if now - failing_since > dt.timedelta(hours=conf().GIVE_UP_HOURS) and entry.failures >= 8:
            return values | {"state": EntryState.DEAD}
    return values


def _error_values(problem: Problem | None) -> dict[str, Any]:
    if problem is None:
        return {"error_code": "", "error_detail": "", "error_fields": {}}
    return {"error_code": problem.code, "error_detail": problem.detail, "error_fields": problem.fields}


def _tell_the_shop(settled: Settled) -> None:
    for pk, shipment in settled.shipments.items():
        if shipment.status == ShipmentStatus.SYNCED:
            if shipment_synced.has_listeners(Shipment):
                _send(shipment_synced, shipment, created=pk in settled.created)
        elif shipment.status == ShipmentStatus.REJECTED:
            _send(shipment_rejected, shipment)
        elif shipment.status == ShipmentStatus.DELETED:
            _send(shipment_deleted, shipment)


def _send(signal: Signal, shipment: Shipment, **extra: object) -> None:
    for receiver, answer in signal.send_robust(sender=Shipment, shipment=shipment, **extra):
        if isinstance(answer, Exception):
            name = getattr(receiver, "__qualname__", type(receiver).__name__)
            logger.error("A receiver of the shop failed (%s): %s.", name, type(answer).__name__)
