"""Alerts: problems that stop orders, each reported once until it is solved.

A job compares the health of the shop with the stored alerts every minute. It sends signals for chats, and the admin
mails what is new, and a digest each morning.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
from collections.abc import Iterator

from django.db.models import Count, Min
from django.dispatch import Signal
from django.utils import timezone

from ..conf import AlertSettings, conf
from ..core.clock import clock
from ..core.dispatch import ReceiverFailed, dispatch
from ..models import Alert, Checkpoint, EntryState, EventState, Integration, OutboxEntry, PauseReason
from ..signals import alert_raised, alert_solved, alerts_due
from . import problems
from .health import Code, Health, health, inbox, is_alarming

__all__ = [
    "NO_PERIODIC_WORK",
    "ORDERS_WAIT",
    "STUCK",
    "WEBHOOKS_FAILED",
    "Cause",
    "alert_settings",
    "causes",
    "is_quiet",
    "postpone_digest",
    "take_digest",
    "update_alerts",
]

#: Codes of causes beside those of findings.
WEBHOOKS_FAILED = "webhooks_failed"
ORDERS_WAIT = "orders_wait"
NO_PERIODIC_WORK = "no_periodic_work"

#: Findings of orders that stay until an operator acts, by the state of their outbox entries: a cause for each fix.
STUCK = {EntryState.REJECTED.value: Code.REJECTED, EntryState.DEAD.value: Code.DEAD}

# A problem that vanishes for less than this, as one between two attempts does, is still the same.
SOLVED_AFTER = dt.timedelta(minutes=10)
_DIGEST = "alerts digest"


@dataclasses.dataclass(frozen=True, slots=True)
class Cause:
    """One problem, without words.

    Args:
        code: ``sync.health.Code``, ``WEBHOOKS_FAILED``, ``ORDERS_WAIT`` or ``NO_PERIODIC_WORK``.
        integration: The integration it concerns, if it is one.
        detail: Code of a pause or of a problem.
        field: Contract path of the wrong field, without positions; ``""`` if no field is to blame.
        rule: Code of the rule that it violates.
        since: Start, UTC.
        number: Number of orders or webhooks.
    """

    code: str
    integration: Integration | None = None
    detail: str = ""
    field: str = ""
    rule: str = ""
    since: dt.datetime | None = None
    number: int = 0

    @property
    def key(self) -> str:
        """Return the identity of the problem, which neither its number nor its time is part of."""
        integration = self.integration.pk if self.integration else ""
        parts = (self.code, str(integration), self.detail, self.field, self.rule)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def causes(found: Health) -> Iterator[Cause]:
    """Yield the problems an operator has to know of. Two queries."""
    if any(each.find(*STUCK.values()) for each in found.in_use):
        yield from _of_orders([each.integration for each in found.in_use])
    for each in found.in_use:
        for finding in each.findings:
            if finding.code in STUCK.values():
                continue
            if is_alarming(finding, found.now):
                yield Cause(finding.code, each.integration, finding.detail, since=finding.since, number=finding.number)
    for each in found.integrations:
        # At a copy of the shop, nothing is meant to be sent.
        unused = not each.integration.is_active and each.integration.paused_reason != PauseReason.COPY
        if unused and each.backlog.waiting:
            yield Cause(ORDERS_WAIT, each.integration, since=each.backlog.waiting_since, number=each.backlog.waiting)
    if found.unassigned.waiting:
        yield Cause(ORDERS_WAIT, since=found.unassigned.waiting_since, number=found.unassigned.waiting)
    if found.sweep_age is not None and found.is_sweep_late:
        # Seen by a run that needs no worker.
        yield Cause(NO_PERIODIC_WORK, since=found.now - dt.timedelta(seconds=found.sweep_age))
    failed = [each for (_, state), each in inbox().items() if state in (EventState.FAILED, EventState.RECEIVER_FAILED)]
    if failed:
        yield Cause(WEBHOOKS_FAILED, since=min(each.oldest for each in failed), number=sum(e.number for e in failed))


def _of_orders(integrations: list[Integration]) -> Iterator[Cause]:
    """Yield the causes of rejected and dead orders, the most common first. One query."""
    in_use = {integration.pk: integration for integration in integrations}
    # An order without an integration can only go to the one in use.
    only = integrations[0] if len(integrations) == 1 else None
    groups = OutboxEntry.objects.filter(state__in=STUCK).values_list("state", "integration", *problems.CAUSE)
    rows = groups.annotate(since=Min("recorded_at"), number=Count("pk")).order_by("-number", *problems.CAUSE)
    found: dict[str, Cause] = {}
    for state, pk, code, field, rule, since, number in rows:
        integration = in_use.get(pk, only if pk is None else None)
        if integration is None:
            continue
        cause = Cause(STUCK[state], integration, code, field, rule, since)
        known = found.get(cause.key, cause)
        since = min(known.since or since, since)
        found[cause.key] = dataclasses.replace(cause, since=since, number=known.number + number)
    yield from found.values()


def update_alerts() -> None:
    """Compare the problems of now with the stored ones, and report the difference."""
    found = health(fold=True)
    now, present = found.now, {cause.key: cause for cause in causes(found)}
    stored = {alert.cause: alert for alert in Alert.objects.select_related("integration")}
    for key, cause in present.items():
        if key in stored:
            Alert.objects.filter(pk=stored[key].pk).update(seen_at=now)
            continue
        values = {name: getattr(cause, name) for name in ("code", "integration", "detail", "field", "rule")}
        values |= {"began_at": cause.since or now, "seen_at": now}
        if Alert.objects.get_or_create(cause=key, defaults=values)[1]:
            _send(alert_raised, cause)
    for key, alert in stored.items():
        if key not in present and alert.seen_at < now - SOLVED_AFTER and Alert.objects.filter(pk=alert.pk).delete()[0]:
            solved = Cause(alert.code, alert.integration, alert.detail, alert.field, alert.rule, alert.began_at)
            _send(alert_solved, solved)
    with contextlib.suppress(ReceiverFailed):
        dispatch(alerts_due, Alert, health=found, causes=list(present.values()))


def _send(signal: Signal, cause: Cause) -> None:
    # Its failure is logged, and stops no other alert.
    with contextlib.suppress(ReceiverFailed):
        dispatch(signal, Alert, **{each.name: getattr(cause, each.name) for each in dataclasses.fields(cause)})


def is_quiet(settings: AlertSettings, now: dt.datetime) -> bool:
    """Return whether no mail is sent at this moment, by the clock of the site."""
    return _is_quiet_hour(settings, timezone.localtime(now, timezone.get_default_timezone()).hour)


def _is_quiet_hour(settings: AlertSettings, hour: int) -> bool:
    if settings.quiet is None:
        return False
    begin, end = settings.quiet
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def take_digest(settings: AlertSettings, now: dt.datetime) -> bool:
    """Take the right to send the digest of today now: of several processes, one gets it. Return whether it is this one.

    A digest that falls into the quiet hours is due at their end.
    """
    hour = settings.morning
    if hour is None:
        return False
    if settings.quiet and _is_quiet_hour(settings, hour):
        hour = settings.quiet[1]
    local = timezone.localtime(now, timezone.get_default_timezone())
    begin = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if not begin <= local < begin + dt.timedelta(hours=6):
        return False
    rows = Checkpoint.objects.filter(name=_DIGEST)
    if rows.filter(until__lt=begin).update(until=now):
        return True
    return not rows.exists() and Checkpoint.objects.get_or_create(name=_DIGEST, defaults={"until": now})[1]


def postpone_digest() -> None:
    """Let the digest of today be due again, because it could not be sent."""
    Checkpoint.objects.filter(name=_DIGEST).update(until=clock.now() - dt.timedelta(days=1))


def alert_settings() -> AlertSettings:
    """Return ``SENDCLOUD["ALERTS"]`` with its defaults."""
    return AlertSettings.of(conf().ALERTS)
