"""Health of all integrations: one set of findings, as codes, for the admin, ``sendcloud_status`` and monitors.

A finding has no words: the admin explains it in the operator's language, the command in English. Everything is read
from the integrations and one grouped count of the outbox, however many orders wait.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from django.db.models import Count, Max, Min, Q
from django.db.models.functions import Greatest
from django.utils import timezone

from ..conf import conf
from ..core.clock import clock
from ..models import (
    Account,
    ClosedReason,
    EntryState,
    EventState,
    Integration,
    OutboxEntry,
    PauseReason,
    Shipment,
    ShipmentStatus,
    WebhookEvent,
)
from ..models.outbox import claimed, due, later
from . import breaker, limiter
from .fold import fold_for_reading
from .outcomes import ON_HOLD
from .problems import UNASSIGNED

__all__ = [
    "Backlog",
    "Code",
    "Finding",
    "Health",
    "Inbox",
    "IntegrationHealth",
    "Level",
    "ProblemCount",
    "health",
    "inbox",
    "is_alarming",
    "is_pushed_again",
    "late_after",
    "mark_sweep",
    "pushed_again",
    "pushed_since",
    "rates",
    "shipments_alive",
    "start_of_day",
    "sweep_age",
    "sweep_late_after",
]

# Seconds after which due orders that no worker took mean that no worker runs.
LATE_AFTER_SECONDS = 120.0
# Seconds without a sweep after which beat cannot be running.
SWEEP_LATE_SECONDS = 300.0
# Seconds of failures to reach Sendcloud that make an incident, also while the breaker is closed.
UNREACHABLE_AFTER_SECONDS = 30.0
# Trouble that passes without an operator is none of theirs before this.
_PASSES_WITHIN = {"unreachable": dt.timedelta(minutes=10), "orders_failing": dt.timedelta(hours=1)}

#: Problems of the connection to Sendcloud, or of Sendcloud itself.
UNREACHABLE = frozenset({"not_sent", "no_answer", "server_error", "unreadable_answer"})
#: Problems of waiting orders that pass without the shop's developer or an operator.
TRANSIENT = UNREACHABLE | {"adapter_slow", "answer_incomplete", "not_confirmed", "paused", "processing", "rate_limited"}


class Level(StrEnum):
    """Health of an integration in one word, the gravest first."""

    OFF = "off"
    PAUSED = "paused"
    ATTENTION = "attention"
    WAITING = "waiting"
    CONNECTING = "connecting"
    WORKING = "working"


class Code(StrEnum):
    """Findings about an integration."""

    NOT_IN_USE = "not_in_use"
    DISCONNECTED = "disconnected"
    PAUSED = "paused"
    """``detail`` is the reason of the pause."""
    KEYS_MISSING = "keys_missing"
    KEYS_NEEDED = "keys_needed"
    """It is new and has no keys yet."""
    NO_WORKER = "no_worker"
    REJECTED = "rejected"
    DEAD = "dead"
    FAILING_THERE = "failing_there"
    """Sendcloud reports that the integration fails."""
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    ORDERS_FAILING = "orders_failing"
    """``detail`` is the most common problem of orders that are retried."""
    NOTHING_SENT = "nothing_sent"
    WEBHOOK_NEEDED = "webhook_needed"
    """It has never reported parcels."""
    WEBHOOK_OFF = "webhook_off"
    WORKING = "working"


_LEVELS = list(Level)


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One fact about an integration.

    Args:
        code: Kind of the finding.
        level: Its gravity.
        since: Start, UTC.
        until: Next attempt, UTC.
        number: Number of orders it concerns.
        detail: Code of a problem or a pause.
    """

    code: Code
    level: Level
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    number: int = 0
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Backlog:
    """Orders in the outbox of one integration. Times are UTC.

    Args:
        due: To be sent now: only a free worker is missing.
        claimed: Claimed by a worker.
        later: Not due yet: backing off, debounced, or in quarantine.
        rejected: Need a fix.
        dead: Dead-lettered.
        failing: Waiting orders whose last attempt failed.
        unreachable: Failing orders that could not reach Sendcloud.
        oldest_due: Due time of the oldest due order.
        waiting_since: Time at which the oldest waiting order was recorded.
        next_at: Due time of the first order that is not due yet.
        problem: Most common problem of waiting orders.
        failing_since: First failure of the oldest failing order.
        unreachable_since: First failure of the oldest order that could not reach Sendcloud.
        rejected_since: Time at which the oldest rejected order was recorded.
        dead_since: Time at which the oldest dead order was recorded.
    """

    due: int = 0
    claimed: int = 0
    later: int = 0
    rejected: int = 0
    dead: int = 0
    failing: int = 0
    unreachable: int = 0
    oldest_due: dt.datetime | None = None
    waiting_since: dt.datetime | None = None
    next_at: dt.datetime | None = None
    problem: str = ""
    failing_since: dt.datetime | None = None
    unreachable_since: dt.datetime | None = None
    rejected_since: dt.datetime | None = None
    dead_since: dt.datetime | None = None

    @property
    def waiting(self) -> int:
        """Return the number of orders that go out without an operator, now or later."""
        return self.due + self.claimed + self.later


@dataclasses.dataclass(frozen=True, slots=True)
class IntegrationHealth:
    """Health of one integration: its findings, the gravest first, and its backlog."""

    integration: Integration
    findings: list[Finding]
    backlog: Backlog

    @property
    def level(self) -> Level:
        return self.findings[0].level

    @property
    def code(self) -> Code:
        return self.findings[0].code

    @property
    def since(self) -> dt.datetime | None:
        return self.findings[0].since

    def find(self, *codes: Code) -> Finding | None:
        """Return the first finding with one of these codes."""
        return next((finding for finding in self.findings if finding.code in codes), None)


@dataclasses.dataclass(frozen=True, slots=True)
class ProblemCount:
    """Number of orders with the same problem, over all integrations.

    Args:
        state: State of their entries.
        code: Code of the problem; ``""`` if none.
        number: Number of orders.
    """

    state: str
    code: str
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """Health of the whole shop at one moment.

    Args:
        now: That moment, UTC.
        integrations: Each integration's health.
        unassigned: Orders without an integration, unless exactly one is in use: it takes them.
        problems: Problems of orders, the most common first.
        sweep_age: Seconds since the last periodic sweep; ``None`` if it never ran.
    """

    now: dt.datetime
    integrations: list[IntegrationHealth]
    unassigned: Backlog
    problems: list[ProblemCount]
    sweep_age: float | None

    @property
    def in_use(self) -> list[IntegrationHealth]:
        return [each for each in self.integrations if each.integration.is_active]

    @property
    def is_sweep_late(self) -> bool:
        """Return whether periodic work does not run, although an integration is in use."""
        return bool(self.in_use) and (self.sweep_age is None or self.sweep_age > sweep_late_after())

    def age(self, moment: dt.datetime | None) -> float:
        """Return the seconds since a moment; 0 for none."""
        return 0.0 if moment is None else max(0.0, (self.now - moment).total_seconds())

    def of(self, integration: Integration) -> IntegrationHealth:
        """Return the health of one integration."""
        return next(each for each in self.integrations if each.integration.pk == integration.pk)


def late_after() -> dt.timedelta:
    """Return the time after which due orders that no worker took mean that no worker runs."""
    return dt.timedelta(seconds=max(LATE_AFTER_SECONDS, 3 * conf().SWEEP_SECONDS))


def sweep_late_after() -> float:
    """Return the seconds without a sweep after which periodic work does not run."""
    return max(SWEEP_LATE_SECONDS, 10 * conf().SWEEP_SECONDS)


def is_alarming(finding: Finding, now: dt.datetime) -> bool:
    """Return whether an operator has to know of a finding: one to act on, or one that should have passed by now."""
    passes = _PASSES_WITHIN.get(finding.code)
    lasts = passes is not None and finding.since is not None and now - finding.since > passes
    return finding.level in (Level.PAUSED, Level.ATTENTION) or lasts


def mark_sweep() -> None:
    """Record that the periodic sweep runs."""
    clock.synchronize()
    Account.objects.update(swept_at=clock.now())


def sweep_age() -> float | None:
    """Return the seconds since the periodic sweep last ran; ``None`` if it never did."""
    swept = Account.objects.aggregate(swept=Max("swept_at"))["swept"]
    return None if swept is None else max(0.0, (clock.now() - swept).total_seconds())


def health(*, fold: bool = False) -> Health:
    """Return the health of the shop. Two queries.

    Args:
        fold: Whether to fold recorded changes first, so that they are counted.
    """
    if fold:
        fold_for_reading()
    now = clock.now()
    integrations = list(Integration.objects.select_related("account").order_by("pk"))
    groups = _groups(now)
    active = [integration.pk for integration in integrations if integration.is_active]
    found = []
    for integration in integrations:
        # An order without an integration can only go to the one in use.
        keys = {integration.pk, None} if active == [integration.pk] else {integration.pk}
        backlog = _sum_up([group for group in groups if group.integration in keys])
        findings = sorted(_findings(integration, backlog, now), key=lambda finding: _LEVELS.index(finding.level))
        found.append(IntegrationHealth(integration, findings, backlog))
    unassigned = [] if len(active) == 1 else [group for group in groups if group.integration is None]
    swept = [each.account.swept_at for each in integrations if each.account.swept_at is not None]
    age = max(0.0, (now - max(swept)).total_seconds()) if swept else None
    return Health(now, found, _sum_up(unassigned), _problems(groups), age)


# -- the outbox ----------------------------------------------------------------------------------------


# Problems that count no failure, so that the time since which an order fails says nothing of them.
_UNCOUNTED = (
    *sorted(ON_HOLD),
    "rate_limited",
    *UNASSIGNED,
    "same_ids",
)


def pushed_again(prefix: str = "") -> Q:
    """Return the condition for entries whose order changed, or was pushed again, after their last problem.

    Args:
        prefix: Path to the entry, for a filter on another model.
    """
    values = {f"{prefix}state": EntryState.PENDING, f"{prefix}failing_since": None}
    return Q(**values) & ~Q(**{f"{prefix}error_code__in": ["", *_UNCOUNTED]})


def is_pushed_again(entry: OutboxEntry) -> bool:
    """Return the same of one entry."""
    if entry.state != EntryState.PENDING or entry.failing_since is not None or not entry.error_code:
        return False
    return entry.error_code not in _UNCOUNTED


@dataclasses.dataclass(frozen=True, slots=True)
class _Group:
    integration: int | None
    state: str
    code: str
    number: int
    failing: int
    due: int
    claimed: int
    oldest_due: dt.datetime | None
    next_at: dt.datetime | None
    failing_since: dt.datetime | None
    recorded_at: dt.datetime

    @property
    def later(self) -> int:
        return self.number - self.due - self.claimed


def _groups(now: dt.datetime) -> list[_Group]:
    rows = (
        OutboxEntry.objects.order_by()
        .values_list("integration", "state", "error_code")
        .annotate(
            number=Count("pk"),
            failing=Count("pk", filter=~Q(error_code="") & ~pushed_again()),
            due=Count("pk", filter=due(now)),
            claimed=Count("pk", filter=claimed(now)),
            oldest_due=Min("due_at", filter=due(now)),
            next_at=Min(Greatest("due_at", "not_before"), filter=later(now)),
            oldest_failure=Min("failing_since"),
            oldest=Min("recorded_at"),
        )
    )
    return [_Group(*row) for row in rows]


def _oldest(moments: Iterable[dt.datetime | None]) -> dt.datetime | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _sum_up(groups: Sequence[_Group]) -> Backlog:
    waiting = [group for group in groups if group.state == EntryState.PENDING]
    failing = [group for group in waiting if group.failing]
    unreachable = [group for group in failing if group.code in UNREACHABLE]
    rejected = [group for group in groups if group.state == EntryState.REJECTED]
    dead = [group for group in groups if group.state == EntryState.DEAD]
    return Backlog(
        due=sum(group.due for group in waiting),
        claimed=sum(group.claimed for group in waiting),
        later=sum(group.later for group in waiting),
        rejected=sum(group.number for group in rejected),
        dead=sum(group.number for group in dead),
        failing=sum(group.failing for group in failing),
        unreachable=sum(group.failing for group in unreachable),
        oldest_due=_oldest(group.oldest_due for group in waiting),
        waiting_since=_oldest(group.recorded_at for group in waiting),
        next_at=_oldest(group.next_at for group in waiting),
        problem=max(failing, key=lambda group: group.failing).code if failing else "",
        failing_since=_oldest(group.failing_since for group in failing),
        unreachable_since=_oldest(group.failing_since for group in unreachable),
        rejected_since=_oldest(group.recorded_at for group in rejected),
        dead_since=_oldest(group.recorded_at for group in dead),
    )


def _problems(groups: Sequence[_Group]) -> list[ProblemCount]:
    numbers: dict[tuple[str, str], int] = {}
    for group in groups:
        fresh = group.number - group.failing if group.state == EntryState.PENDING else 0
        for code, number in ((group.code, group.number - fresh), ("", fresh)):
            if number:
                numbers[group.state, code] = numbers.get((group.state, code), 0) + number
    found = [ProblemCount(state, code, number) for (state, code), number in numbers.items()]
    return sorted(found, key=lambda problem: (-problem.number, problem.code))


# -- findings ------------------------------------------------------------------------------------------


def _findings(integration: Integration, backlog: Backlog, now: dt.datetime) -> list[Finding]:
    found = [
        *_of_use(integration, backlog),
        *_of_orders(integration, backlog, now),
        *_of_connection(integration, backlog, now),
    ]
    return found or [_of_progress(integration)]


def _of_use(integration: Integration, backlog: Backlog) -> list[Finding]:
    has_keys = bool(integration.public_key and integration.secret_key)
    found = []
    if not integration.is_active:
        code = Code.NOT_IN_USE if has_keys else Code.DISCONNECTED
        found.append(Finding(code, Level.OFF, number=backlog.waiting, detail=integration.paused_reason))
    elif integration.is_paused:
        probe_at = None if integration.paused_reason == PauseReason.PERSON else integration.probe_at
        found.append(
            Finding(
                Code.PAUSED,
                Level.PAUSED,
                integration.paused_since,
                probe_at,
                backlog.waiting,
                integration.paused_reason,
            )
        )
    if integration.is_active and not has_keys:
        # An integration that never worked has lost nothing: it is only unfinished.
        if integration.last_success_at is None:
            found.append(Finding(Code.KEYS_NEEDED, Level.CONNECTING, integration.created_at))
        else:
            found.append(Finding(Code.KEYS_MISSING, Level.ATTENTION, number=backlog.waiting))
    return found


def _of_orders(integration: Integration, backlog: Backlog, now: dt.datetime) -> list[Finding]:
    found = []
    if _lacks_worker(integration, backlog, now):
        found.append(Finding(Code.NO_WORKER, Level.ATTENTION, backlog.oldest_due, number=backlog.due))
    if backlog.rejected:
        found.append(Finding(Code.REJECTED, Level.ATTENTION, backlog.rejected_since, number=backlog.rejected))
    if backlog.dead:
        found.append(Finding(Code.DEAD, Level.ATTENTION, backlog.dead_since, number=backlog.dead))
    return found


def _of_connection(integration: Integration, backlog: Backlog, now: dt.datetime) -> list[Finding]:
    account = integration.account
    found = []
    if integration.failing_since:
        found.append(Finding(Code.FAILING_THERE, Level.ATTENTION, integration.failing_since))
    closed = breaker.closed_until(account, now)
    if closed and account.closed_reason == ClosedReason.RATE_LIMITED:
        found.append(Finding(Code.RATE_LIMITED, Level.WAITING, until=closed, number=backlog.waiting))
    unreachable = _is_unreachable(integration, backlog, now)
    if unreachable:
        until = closed or backlog.next_at
        since = backlog.unreachable_since
        found.append(Finding(Code.UNREACHABLE, Level.WAITING, since, until, backlog.waiting))
    explained = integration.is_paused or (unreachable and backlog.problem in UNREACHABLE)
    if backlog.problem and not explained:
        # The shop's own code fails, or an integration is missing: retrying alone does not help.
        level = Level.WAITING if backlog.problem in TRANSIENT else Level.ATTENTION
        found.append(
            Finding(Code.ORDERS_FAILING, level, backlog.failing_since, number=backlog.failing, detail=backlog.problem)
        )
    return found


def _of_progress(integration: Integration) -> Finding:
    """Return the only finding about an integration without problems."""
    if integration.last_success_at is None:
        return Finding(Code.NOTHING_SENT, Level.CONNECTING, integration.created_at)
    if not _reports_parcels(integration):
        if integration.last_webhook_at is None:
            return Finding(Code.WEBHOOK_NEEDED, Level.CONNECTING, integration.created_at)
        return Finding(Code.WEBHOOK_OFF, Level.WAITING, integration.last_webhook_at)
    return Finding(Code.WORKING, Level.WORKING)


def _lacks_worker(integration: Integration, backlog: Backlog, now: dt.datetime) -> bool:
    if integration.is_paused or not integration.is_active or backlog.oldest_due is None:
        return False
    if breaker.closed_until(integration.account, now):
        return False
    late = now - late_after()
    return backlog.oldest_due < late and (integration.last_success_at is None or integration.last_success_at < late)


def _is_unreachable(integration: Integration, backlog: Backlog, now: dt.datetime) -> bool:
    account = integration.account
    if not integration.is_active or integration.is_paused:
        return False
    if account.closed_reason == ClosedReason.FAILING and breaker.closed_until(account, now):
        return True
    if account.openings and backlog.waiting:
        return True
    since = backlog.unreachable_since
    if since is None or since > now - dt.timedelta(seconds=UNREACHABLE_AFTER_SECONDS):
        return False
    return integration.last_success_at is None or integration.last_success_at < since


def _reports_parcels(integration: Integration) -> bool:
    """Return whether Sendcloud sends webhooks, or the shop's URLs do not include ours."""
    return bool(integration.webhook_active and integration.webhook_url) or not integration.webhook_path()


# -- further figures -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Inbox:
    """Webhooks of one integration in one state."""

    number: int
    oldest: dt.datetime


def inbox() -> dict[tuple[int, str], Inbox]:
    """Return waiting and failed webhooks by integration and state. One query."""
    states = (EventState.RECEIVED, EventState.APPLIED, EventState.FAILED, EventState.RECEIVER_FAILED)
    rows = (
        WebhookEvent.objects.filter(state__in=states)
        .order_by()
        .values_list("integration", "state")
        .annotate(number=Count("pk"), oldest=Min("received_at"))
    )
    return {(integration, state): Inbox(number, oldest) for integration, state, number, oldest in rows}


def start_of_day(now: dt.datetime) -> dt.datetime:
    """Return the start of the shop's local day, in ``TIME_ZONE``: the same for every reader, page and command."""
    return timezone.localtime(now, timezone.get_default_timezone()).replace(hour=0, minute=0, second=0, microsecond=0)


def pushed_since(moment: dt.datetime) -> dict[int, int]:
    """Return the number of shipments whose last push is not older, by integration. One query."""
    pushed = Shipment.objects.filter(last_pushed_at__gte=moment, status=ShipmentStatus.SYNCED)
    return dict(pushed.order_by().values_list("integration").annotate(number=Count("pk")))


def shipments_alive() -> dict[int, int]:
    """Return the number of shipments at Sendcloud by integration. One query."""
    alive = Shipment.objects.exclude(status=ShipmentStatus.DELETED).order_by()
    return dict(alive.values_list("integration").annotate(number=Count("pk")))


def rates(integrations: Iterable[IntegrationHealth]) -> Mapping[int, dict[limiter.Kind, int]]:
    """Return the requests each account may send immediately. One query for each account."""
    found: dict[int, dict[limiter.Kind, int]] = {}
    for each in integrations:
        account: Any = each.integration.account
        if account.pk not in found:
            found[account.pk] = limiter.left(account.pk)
    return found
