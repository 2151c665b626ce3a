"""How an integration is doing: one word, why, since when, and what to do.

Read from the integrations and one grouped count of the outbox, however many orders wait.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from django.db.models import Count, Min, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import EntryState, Integration, OutboxEntry
from .explain import Explanation, explain, explain_pause

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Backlog", "Finding", "Health", "overview"]

WORKING, WAITING, ATTENTION, PAUSED, OFF = "working", "waiting", "attention", "paused", "off"
CONNECTING = "connecting"

LABELS: dict[str, StrOrPromise] = {
    WORKING: _("working"),
    WAITING: _("waiting"),
    ATTENTION: _("needs attention"),
    PAUSED: _("paused"),
    OFF: _("not in use"),
    CONNECTING: _("being connected"),
}
TONES = {WORKING: "good", WAITING: "warn", ATTENTION: "bad", PAUSED: "bad", OFF: "off", CONNECTING: "busy"}
_GRAVITY = [OFF, PAUSED, ATTENTION, WAITING, CONNECTING, WORKING]

# Seconds after which due work that nobody took means that nobody works.
LATE_AFTER_SECONDS = 300.0

NO_KEYS = Explanation(
    _("It has no API keys"),
    _("Without a public key and a secret key Sendcloud cannot be asked or told anything."),
    _("Copy both keys from Sendcloud's panel (Settings > Integrations > Configure) into the fields below."),
)
NOBODY_WORKS = Explanation(
    _("Orders wait, and nobody pushes them"),
    _("Orders have been due for several minutes and nothing reached Sendcloud meanwhile: no Celery worker runs."),
    _("Let whoever runs the server start the Celery worker and beat. Nothing is lost; it all goes out then."),
)
REJECTED = Explanation(
    _("Some orders need a correction"),
    _("They break a rule of Sendcloud's, or were refused by it. All others go out."),
    _("Open them in the outbox: each says what is wrong and what to do."),
)
DEAD = Explanation(
    _("Some orders were given up"),
    _("They failed again and again and are not tried any more."),
    _("Open them in the outbox, mend the cause, and push them again."),
)
FAILING_THERE = Explanation(
    _("Sendcloud reports that the integration fails"),
    _("Sendcloud itself has trouble with this integration, for instance when it calls the webhook address."),
    _("Look at the failed requests of the integration in Sendcloud's panel, and check the webhook address below."),
)
BREAKER_OPEN = Explanation(
    _("Sendcloud is having trouble"),
    _("Several requests failed in a row, so nothing is sent for a little while to let it recover."),
    _("Nothing: one order is tried from time to time, and all others follow once it gets through."),
    heals=True,
)
ALL_WELL = Explanation(_("Everything goes out"), _("Nothing waits longer than it should."), "")
NOT_IN_USE = Explanation(
    _("It is not in use"),
    _("New orders do not go to it, and nothing is sent for it."),
    _("Mark it as “in use” below to ship through it."),
)
DISCONNECTED = Explanation(
    _("It is disconnected"),
    _("Its keys are forgotten here, and nothing is sent for it."),
    _("Enter both keys below to connect it again. If that is not wanted, nothing has to be done."),
)
NOTHING_SENT_YET = Explanation(
    _("No order has been sent yet"),
    _("It is new, or not everything that it takes is done."),
    _("Its page shows step by step what is done and what comes next."),
)


@dataclasses.dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one integration."""

    waiting: int = 0
    rejected: int = 0
    dead: int = 0
    oldest_due: dt.datetime | None = None
    # The commonest problem of what waits, and since when it fails.
    problem: str = ""
    failing_since: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    state: str
    explanation: Explanation
    since: dt.datetime | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """The gravest finding gives the word; the others are listed after it."""

    findings: list[Finding]
    backlog: Backlog

    @property
    def state(self) -> str:
        return self.findings[0].state

    @property
    def label(self) -> StrOrPromise:
        return LABELS[self.state]

    @property
    def tone(self) -> str:
        return TONES[self.state]

    @property
    def explanation(self) -> Explanation:
        return self.findings[0].explanation

    @property
    def since(self) -> dt.datetime | None:
        return self.findings[0].since


def overview() -> list[tuple[Integration, Health]]:
    """All integrations with their health. Two queries."""
    now = timezone.now()
    integrations = list(Integration.objects.using(conf().DATABASE).select_related("account").order_by("pk"))
    groups = _groups(now)
    # What waits and does not know for whom yet (it could not be built) is the concern of the only one in use.
    active = [integration.pk for integration in integrations if integration.is_active]
    found = []
    for integration in integrations:
        keys = {integration.pk, None} if active == [integration.pk] else {integration.pk}
        backlog = _sum_up([group for group in groups if group.integration in keys])
        found.append((integration, _health(integration, backlog, now)))
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class _Group:
    integration: int | None
    state: str
    code: str
    number: int
    oldest_due: dt.datetime | None
    failing_since: dt.datetime | None


def _groups(now: dt.datetime) -> list[_Group]:
    rows = (
        OutboxEntry.objects.using(conf().DATABASE)
        .order_by()
        .values_list("integration", "state", "error_code")
        .annotate(
            number=Count("pk"),
            oldest_due=Min("due_at", filter=Q(due_at__lte=now, not_before__lte=now)),
            oldest_failure=Min("failing_since"),
        )
    )
    return [_Group(*row) for row in rows]


def _sum_up(groups: list[_Group]) -> Backlog:
    waiting = [group for group in groups if group.state == EntryState.PENDING]
    failing = [group for group in waiting if group.code]
    return Backlog(
        waiting=sum(group.number for group in waiting),
        rejected=sum(group.number for group in groups if group.state == EntryState.REJECTED),
        dead=sum(group.number for group in groups if group.state == EntryState.DEAD),
        oldest_due=min((group.oldest_due for group in waiting if group.oldest_due), default=None),
        problem=max(failing, key=lambda group: group.number).code if failing else "",
        failing_since=min((group.failing_since for group in failing if group.failing_since), default=None),
    )


def _health(integration: Integration, backlog: Backlog, now: dt.datetime) -> Health:
    account = integration.account
    findings: list[Finding] = []
    has_keys = bool(integration.public_key and integration.secret_key)
    if not integration.is_active:
        findings.append(Finding(OFF, NOT_IN_USE if has_keys else DISCONNECTED))
    if integration.is_paused:
        findings.append(
            Finding(
                PAUSED, explain_pause(integration.paused_reason, integration.paused_detail), integration.paused_since
            )
        )
    if integration.is_active and not has_keys:
        findings.append(Finding(ATTENTION, NO_KEYS))
    if _nobody_works(integration, backlog, now):
        findings.append(Finding(ATTENTION, NOBODY_WORKS, backlog.oldest_due))
    if backlog.rejected:
        findings.append(Finding(ATTENTION, REJECTED))
    if backlog.dead:
        findings.append(Finding(ATTENTION, DEAD))
    if integration.failing_since:
        findings.append(Finding(ATTENTION, FAILING_THERE, integration.failing_since))
    if account.blocked_until and account.blocked_until > now:
        findings.append(Finding(WAITING, explain("rate_limited")))
    if account.open_until and account.open_until > now:
        findings.append(Finding(WAITING, BREAKER_OPEN))
    if backlog.problem and not integration.is_paused:
        findings.append(Finding(WAITING, explain(backlog.problem), backlog.failing_since))
    if not findings and integration.last_success_at is None:
        findings.append(Finding(CONNECTING, NOTHING_SENT_YET))
    if not findings:
        findings.append(Finding(WORKING, ALL_WELL))
    return Health(sorted(findings, key=lambda finding: _GRAVITY.index(finding.state)), backlog)


def _nobody_works(integration: Integration, backlog: Backlog, now: dt.datetime) -> bool:
    if integration.is_paused or not integration.is_active or backlog.oldest_due is None:
        return False
    account = integration.account
    if any(until and until > now for until in (account.blocked_until, account.open_until)):
        return False
    late = now - dt.timedelta(seconds=max(LATE_AFTER_SECONDS, 3 * conf().SWEEP_SECONDS))
    return backlog.oldest_due < late and (integration.last_success_at is None or integration.last_success_at < late)
