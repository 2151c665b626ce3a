"""The last stage: store the result of each order in one short transaction, if the claim is still valid."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import itertools
import logging
import operator
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

from django.db import connections, transaction
from django.db.models import Case, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Coalesce, Greatest
from django.dispatch import Signal

from ...conf import conf
from ...core.clock import clock
from ...core.dispatch import ReceiverFailed, dispatch
from ...core.retry import retry_transient
from ...enums import WebhookAction
from ...models import EntryState, OutboxEntry, Parcel, Recheck, Shipment, ShipmentStatus, WebhookEvent
from ...registry import registry
from ...signals import shipment_deleted, shipment_rejected, shipment_synced
from ..claim import Claim
from ..fold import add_entries
from ..isolation import ALONE
from ..outcomes import NEEDS_ISOLATION
from ..problems import Problem, columns_of
from . import attempts
from .plan import Plan

__all__ = ["Settled", "Verdict", "settle"]

logger = logging.getLogger("django_sendcloud.sync")

BACKOFF_BASE_SECONDS = 2.0
# Tries to settle an entry that another transaction has locked.
LOCKED_TRIES = 6
# Failed attempts from which on each one quarters the batch of an order that may be their cause.
ISOLATE_AFTER = 3
# The same for orders whose batch Sendcloud is still processing after so long.
PROCESSING_ISOLATION_SECONDS = 15.0

# The fields of a shipment that a push may change.
_PUSHED = [
    "status",
    "errors",
    "digest",
    "label_fields",
    "parts",
    "label_kept",
    "contents",
    "stamp",
    "uuid",
    "remote_id",
    "order_number",
    "last_pushed_at",
    "deleted_at",
]


@dataclasses.dataclass(slots=True)
class Verdict:
    """The result of pushing one order.

    Args:
        plan: The order.
        state: ``done``: Sendcloud has everything. ``accepted``: Sendcloud took it and is asked later whether it has
            saved it. ``rejected``: a person or a change has to help. ``retry``: it was tried and is tried again.
            ``release``: it was not tried.
        problem: The reason.
        unknown: Whether something may have been sent that may still arrive late.
        wait: Seconds to wait at least; ``None``: the backoff decides.
        is_failure: Whether it counts as a failed attempt.
    """

    plan: Plan
    state: Literal["done", "accepted", "rejected", "retry", "release"]
    problem: Problem | None = None
    unknown: bool = False
    wait: float | None = None
    is_failure: bool = True


@dataclasses.dataclass(slots=True)
class Settled:
    """Verdicts to settle together, and the shipments whose state changed."""

    verdicts: list[Verdict] = dataclasses.field(default_factory=list)
    shipments: dict[int, Shipment] = dataclasses.field(default_factory=dict)
    created: set[int] = dataclasses.field(default_factory=set)
    # Accepted shipments that Sendcloud has saved: nothing else of them has changed.
    saved: set[int] = dataclasses.field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.verdicts or self.shipments)


@dataclasses.dataclass(frozen=True, slots=True)
class _Stored:
    """An entry as it is stored when it is settled."""

    version: int
    in_doubt: bool


def backoff(failures: int) -> float:
    """Return the seconds to wait after a number of failed attempts: full jitter, doubling, bounded."""
    return clock.jitter(min(conf().BACKOFF_MAX_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(failures, 20)))


def settle(claim: Claim, settled: Settled) -> None:
    """Store verdicts and shipments, each order only if no other worker has taken it over meanwhile.

    An entry is deleted only if it still has the version that was pushed; otherwise it stays due. An order whose lease
    was lost is recorded again: what this worker sent may have arrived after what the next one sent. The shop's
    receivers are called after the transaction.
    """
    if not settled:
        return
    lost, locked = retry_transient(lambda: _write(claim, settled.verdicts, settled.shipments, settled.saved))
    for attempt in range(LOCKED_TRIES):
        if not locked:
            break
        # Another worker folds a change into them, and is about to be through.
        clock.sleep(clock.jitter(0.02 * 2**attempt))
        more, locked = retry_transient(functools.partial(_write, claim, locked, {}))
        lost += more
    if lost:
        logger.warning("The lease of %d orders was lost while they were pushed; they are pushed again.", len(lost))
        retry_transient(lambda: _push_again(lost))
    _send_signals(settled)


def _write(
    claim: Claim, verdicts: Sequence[Verdict], pushed: Mapping[int, Shipment], saved: Collection[int] = ()
) -> tuple[list[Verdict], list[Verdict]]:
    """Write everything. Return the verdicts on entries that were lost, and on those that another transaction holds.

    An entry that is held for longer loses its lease, and is pushed again.
    """
    now = clock.now()
    with transaction.atomic(using=conf().DATABASE):
        stored = _lock(claim, verdicts)
        ours = [verdict for verdict in verdicts if verdict.plan.entry.pk in stored]
        missing = [verdict for verdict in verdicts if verdict.plan.entry.pk not in stored]
        lost, locked = _lost_or_locked(claim, missing) if missing else ([], [])
        lost_orders = {(v.plan.entry.order_type, v.plan.entry.order_pk) for v in lost}
        _write_shipments([s for s in pushed.values() if (s.order_type, s.order_pk) not in lost_orders], saved)
        _write_entries(ours, stored, now)
        _write_history(ours, now)
    return lost, locked


def _lock(claim: Claim, verdicts: Sequence[Verdict]) -> dict[int, _Stored]:
    """Lock the entries that are still leased to this claim, and return them as they are stored."""
    database = conf().DATABASE
    rows = OutboxEntry.objects.filter(pk__in=[verdict.plan.entry.pk for verdict in verdicts], lease=claim.lease)
    if connections[database].features.has_select_for_update_skip_locked:
        # One entry that is held must not delay the others.
        rows = rows.select_for_update(skip_locked=True)
    return {pk: _Stored(version, in_doubt) for pk, version, in_doubt in rows.values_list("pk", "version", "in_doubt")}


def _lost_or_locked(claim: Claim, missing: Sequence[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Divide verdicts into those whose entry belongs to another claim, and those whose entry is only locked."""
    pks = [verdict.plan.entry.pk for verdict in missing]
    mine = OutboxEntry.objects.filter(pk__in=pks, lease=claim.lease)
    still_ours = set(mine.values_list("pk", flat=True))
    lost = [verdict for verdict in missing if verdict.plan.entry.pk not in still_ours and verdict.state != "release"]
    return lost, [verdict for verdict in missing if verdict.plan.entry.pk in still_ours]


def _write_shipments(shipments: Sequence[Shipment], saved: Collection[int]) -> None:
    """Write what became of shipments, and what follows for their orders from a deletion."""
    _write_pushed([shipment for shipment in shipments if shipment.pk not in saved])
    _follow_parcels_left([shipment for shipment in shipments if shipment.status == ShipmentStatus.DELETED])
    if now_synced := [shipment.pk for shipment in shipments if shipment.pk in saved]:
        accepted = Shipment.objects.filter(pk__in=now_synced, status=ShipmentStatus.ACCEPTED)
        accepted.update(status=ShipmentStatus.SYNCED)


def _write_pushed(shipments: Sequence[Shipment]) -> None:
    """Write what was pushed into the shipments that still exist, in one statement whatever each one gets."""
    if not shipments:
        return
    rows = Shipment.objects
    # Without it, the INSERT would bring back a shipment that has been erased meanwhile.
    exist = set(rows.select_for_update().filter(pk__in=[s.pk for s in shipments]).values_list("pk", flat=True))
    rows.insert_or_update([shipment for shipment in shipments if shipment.pk in exist], update_fields=_PUSHED)


def _follow_parcels_left(deleted: Sequence[Shipment]) -> None:
    """Let orders follow the parcels that they have left: their status no longer waits for what was deleted."""
    orders = {
        (each.order_type, each.order_pk)
        for each in deleted
        if (adapter := registry.for_order_type(each.order_type)) is not None and adapter.phase_statuses
    }
    if not orders:
        return
    left = Parcel.objects.outgoing().filter(shipment__order_pk__in={order_pk for _, order_pk in orders})
    for parcel in left.select_related("shipment"):
        shipment = parcel.shipment
        if shipment is not None and (order := (shipment.order_type, shipment.order_pk)) in orders:
            orders.remove(order)
            WebhookEvent.objects.follow(parcel, WebhookAction.SHIPMENT_DELETED)


def _write_entries(verdicts: Sequence[Verdict], stored: Mapping[int, _Stored], now: dt.datetime) -> None:
    """Delete the entries of orders that Sendcloud has as they are now, and write the others as they go on."""
    entries = OutboxEntry.objects
    settled = [
        v for v in verdicts if stored[v.plan.entry.pk].version == v.plan.entry.version and not _overtaken(v, stored)
    ]
    done = [v.plan.entry.pk for v in settled if v.state == "done"]
    if done:
        entries.filter(pk__in=done).delete()
    rejected = [v for v in settled if v.state == "rejected"]
    _write_rejected(rejected, stored, now)
    finished = {*done, *(verdict.plan.entry.pk for verdict in rejected)}
    left = [verdict for verdict in verdicts if verdict.plan.entry.pk not in finished]
    for values, group in _grouped(left, stored, now):
        entries.filter(pk__in=[verdict.plan.entry.pk for verdict in group]).update(**values)
    _write_numbers(left)


def _write_history(verdicts: Sequence[Verdict], now: dt.datetime) -> None:
    """Write the attempts, and when an order is to be looked at again though nothing changes until then."""
    Recheck.objects.schedule(
        (v.plan.entry.order_type, v.plan.entry.order_pk, v.plan.recheck_at)
        for v in verdicts
        if v.plan.recheck_at is not None
    )
    attempts.write([(v.plan, v.state, v.problem if v.is_failure else None) for v in verdicts], now)


def _write_numbers(verdicts: Sequence[Verdict]) -> None:
    """Give entries that stay the number people know the order by."""
    fresh, accepted = [], []
    for verdict in verdicts:
        entry, number = verdict.plan.entry, verdict.plan.order_number
        if number and entry.order_number != number:
            if verdict.state == "accepted":
                accepted.append(entry.pk)
            else:
                fresh.append(OutboxEntry(pk=entry.pk, order_number=number))
    if accepted:
        # Their shipments bear the number already: one short statement for a whole batch.
        numbers = Shipment.objects.filter(
            order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk"), status=ShipmentStatus.ACCEPTED
        )
        first = Coalesce(Subquery(numbers.order_by("pk").values("order_number")[:1]), Value(""))
        OutboxEntry.objects.filter(pk__in=accepted).update(order_number=first)
    if fresh:
        OutboxEntry.objects.bulk_update(fresh, ["order_number"])


def _write_rejected(verdicts: Sequence[Verdict], stored: Mapping[int, _Stored], now: dt.datetime) -> None:
    """Write rejections together, though each has errors of its own."""
    names: set[str] = set()
    rows = []
    for verdict in verdicts:
        values = _values(verdict, stored, now, 0.0)
        values["order_number"] = verdict.plan.order_number or verdict.plan.entry.order_number
        names |= values.keys()
        rows.append(OutboxEntry(pk=verdict.plan.entry.pk, **values))
    if rows:
        OutboxEntry.objects.bulk_update(rows, sorted(names))


def _push_again(lost: Sequence[Verdict]) -> None:
    """Requeue orders after the quarantine, marked as in doubt."""
    database = conf().DATABASE
    rest_until = clock.now() + dt.timedelta(seconds=conf().QUARANTINE_SECONDS)
    entries = [verdict.plan.entry for verdict in lost]
    orders = sorted((entry.order_type, entry.only_related, entry.order_pk) for entry in entries)
    with transaction.atomic(using=database):
        for (order_type, only_related), group in itertools.groupby(orders, operator.itemgetter(0, 1)):
            pks = [pk for _, _, pk in group]
            add_entries(order_type, pks, only_related=only_related)
            OutboxEntry.objects.filter(order_type=order_type, order_pk__in=pks).update(
                in_doubt=True,
                not_before=Greatest(F("not_before"), Value(rest_until)),
                due_at=Greatest(F("due_at"), Value(rest_until)),
            )


def _overtaken(verdict: Verdict, stored: Mapping[int, _Stored]) -> bool:
    """Return whether a worker that had lost this lease before may have pushed after this one."""
    entry = verdict.plan.entry
    return stored[entry.pk].in_doubt and not entry.in_doubt


def _grouped(
    verdicts: Sequence[Verdict], stored: Mapping[int, _Stored], now: dt.datetime
) -> list[tuple[dict[str, Any], list[Verdict]]]:
    """Return the values for entries that stay, one group for all that get the same."""
    groups: list[tuple[dict[str, Any], list[Verdict]]] = []
    # Orders that failed together wait equally long, so that they make one batch again.
    waits: dict[int, float] = {}
    for verdict in verdicts:
        entry = verdict.plan.entry
        wait = verdict.wait
        if wait is None and verdict.state == "retry":
            wait = waits.setdefault(entry.failures, backoff(entry.failures))
        values = _values(verdict, stored, now, wait or 0.0)
        for other, members in groups:
            if other == values:
                members.append(verdict)
                break
        else:
            groups.append((values, [verdict]))
    return groups


def _values(verdict: Verdict, stored: Mapping[int, _Stored], now: dt.datetime, wait: float) -> dict[str, Any]:
    """Return the new values of an entry that stays.

    Args:
        verdict: What became of the order.
        stored: All entries as they are stored now.
        now: The time.
        wait: Seconds to wait at least, unless the order has changed.
    """
    entry, problem = verdict.plan.entry, verdict.problem
    changed = stored[entry.pk].version != entry.version
    values = _times(verdict, stored, now, wait, changed=changed)
    if verdict.state == "release":
        return values | _released(verdict, changed=changed)
    values["attempts"] = 0
    values["is_accepted"] = verdict.state == "accepted" and not changed and _is_all_accepted(verdict.plan)
    values["in_doubt"] = (
        verdict.unknown
        or _overtaken(verdict, stored)
        or (verdict.state not in ("done", "accepted") and (entry.in_doubt or entry.attempts > 1))
    )
    afresh = {"failures": 0, "failing_since": None, "isolation": 0}
    if changed:
        # The order changed during the push: it is pushed again, with its counters reset.
        return values | afresh | columns_of(None)
    values |= {"integration_id": _integration_pk(verdict), **columns_of(problem)}
    if verdict.state == "rejected":
        return values | afresh | {"state": EntryState.REJECTED}
    if verdict.state == "accepted":
        return values | afresh
    return values | _failure(verdict, now)


def _is_all_accepted(plan: Plan) -> bool:
    """Return whether nothing is left of an accepted order but its confirmation."""
    return not plan.deletes and plan.unassigned is None


def _times(
    verdict: Verdict, stored: Mapping[int, _Stored], now: dt.datetime, wait: float, *, changed: bool
) -> dict[str, Any]:
    """Return the end of the lease: when the order may be sent again, and when it is due."""
    rest = conf().QUARANTINE_SECONDS if verdict.unknown or _overtaken(verdict, stored) else 0.0
    if verdict.state == "accepted":
        # Sendcloud still saves it: a change must wait as well.
        rest = max(rest, wait)
    not_before = now + dt.timedelta(seconds=rest)
    due_at = not_before if changed else now + dt.timedelta(seconds=max(wait, rest))
    return {"lease": "", "not_before": not_before, "due_at": due_at}


def _released(verdict: Verdict, *, changed: bool) -> dict[str, Any]:
    """Return the values of an entry that is given back as if it had not been claimed."""
    values: dict[str, Any] = {
        # A person's "push now" may have set the attempts to zero meanwhile.
        "attempts": Case(When(attempts__gt=0, then=F("attempts") - 1), default=Value(0)),
        "isolation": verdict.plan.entry.isolation,
    }
    if not changed:
        values["integration_id"] = _integration_pk(verdict)
        if verdict.plan.deletes and not verdict.plan.upserts:
            values["is_deletion"] = True
        if verdict.problem:
            values |= columns_of(verdict.problem)
    return values


def _failure(verdict: Verdict, now: dt.datetime) -> dict[str, Any]:
    """Return the counters of an entry that is retried."""
    entry, problem = verdict.plan.entry, verdict.problem
    isolation = entry.isolation
    if not verdict.is_failure:
        if problem is None or problem.code != "processing":
            return {"isolation": isolation}
        # An order that Sendcloud is never done with must not hold up the others of its batch.
        since = entry.failing_since or now
        if now - since > dt.timedelta(seconds=PROCESSING_ISOLATION_SECONDS):
            isolation = min(ALONE, isolation + 2)
        return {"isolation": isolation, "failing_since": since}
    if problem and problem.code in NEEDS_ISOLATION and entry.failures + 1 >= ISOLATE_AFTER:
        isolation = min(ALONE, isolation + 2)
    failing_since = entry.failing_since or now
    values = {"failures": entry.failures + 1, "failing_since": failing_since, "isolation": isolation}
    if now - failing_since > dt.timedelta(hours=conf().GIVE_UP_HOURS) and entry.failures >= 8:
        values["state"] = EntryState.DEAD
    return values


def _integration_pk(verdict: Verdict) -> int | None:
    # A change of one package must not wait for the integration of another.
    integration = None if verdict.plan.is_spread else verdict.plan.integration
    return integration.pk if integration else None


def _send_signals(settled: Settled) -> None:
    """Send the signals of settled shipments."""
    for pk, shipment in settled.shipments.items():
        if shipment.status == ShipmentStatus.SYNCED:
            if shipment_synced.has_listeners(Shipment):
                _send(shipment_synced, shipment, created=pk in settled.created)
        elif shipment.status == ShipmentStatus.REJECTED:
            _send(shipment_rejected, shipment)
        elif shipment.status == ShipmentStatus.DELETED:
            _send(shipment_deleted, shipment)


def _send(signal: Signal, shipment: Shipment, **extra: object) -> None:
    # A failure is logged, and stops neither the others nor the worker.
    with contextlib.suppress(ReceiverFailed):
        dispatch(signal, Shipment, shipment=shipment, **extra)
