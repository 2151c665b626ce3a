"""How an integration is doing: one word, why, since when, and what to do.

Read from the integrations and one grouped count of the outbox, however many orders wait.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import TYPE_CHECKING

from django.db.models import Count, Min, Q
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import EntryState, Integration, OutboxEntry
from .explain import Explanation, explain, explain_pause

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Backlog", "Finding", "Health", "Problem", "Standing", "due", "in_hand", "later", "overview", "standing"]

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

#: Problems that are tried again by themselves, and yet stay until somebody does something.
NOBODY_TAKES = ("no_integration", "integration_unknown", "adapter_missing")

NO_KEYS = Explanation(
    _("It has no API keys"),
    _("Without a public key and a secret key Sendcloud cannot be asked or told anything."),
    _("Copy both keys from Sendcloud's panel (Settings > Integrations > Configure) into its fields here."),
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
    _("Look at the failed requests of the integration in Sendcloud's panel, and check its webhook address."),
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
NO_KEYS_YET = Explanation(
    _("Its keys are still to be entered"),
    _("It is new, and without a public key and a secret key nothing can be sent."),
    NO_KEYS.cure,
)
NO_WEBHOOK_YET = Explanation(
    _("Orders go out, but news of parcels does not come in yet"),
    _("Its webhook has not been registered yet, so tracking numbers and deliveries do not arrive."),
    _("Register the webhook: one button, and Sendcloud knows where to report parcels to."),
)
NO_WEBHOOK = Explanation(
    _("Sendcloud does not report parcels any more"),
    _("Its webhook is switched off or has no address, so tracking numbers and deliveries do not arrive."),
    NO_WEBHOOK_YET.cure,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for one integration.

    Args:
        due: To be sent now: nothing but a free worker is needed.
        in_hand: A worker has it just now.
        later: Not due yet: put off after a failure, or resting because nobody knows whether it arrived.
        rejected: Needs a correction.
        dead: Given up.
        failing: Of what waits, how much failed the last time.
        oldest_due: Since when the oldest of what is due has been.
        next_at: When the first of what is not due yet will be.
        problem: The commonest problem of what waits.
        failing_since: Since when it fails.
        rejected_since: Since when the oldest of what needs a correction has not gone out.
        dead_since: The same of what was given up.
    """

    due: int = 0
    in_hand: int = 0
    later: int = 0
    rejected: int = 0
    dead: int = 0
    failing: int = 0
    oldest_due: dt.datetime | None = None
    next_at: dt.datetime | None = None
    problem: str = ""
    failing_since: dt.datetime | None = None
    rejected_since: dt.datetime | None = None
    dead_since: dt.datetime | None = None

    @property
    def waiting(self) -> int:
        """All that will be sent without anybody's doing, now or later."""
        return self.due + self.in_hand + self.later

    @property
    def stuck(self) -> int:
        """All that needs a person."""
        return self.rejected + self.dead


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


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """How many orders have the same problem, whatever integration they wait for.

    Args:
        state: Of their entries.
        code: Of the problem; ``""`` if there is none.
        number: How many.
    """

    state: str
    code: str
    number: int


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """All of it at one moment.

    Args:
        integrations: Each with its health.
        unassigned: What does not know for whom it waits, where more than one integration is in use or none.
        problems: What is wrong with orders, the commonest first.
    """

    integrations: list[tuple[Integration, Health]]
    unassigned: Backlog
    problems: list[Problem]

    @property
    def in_use(self) -> list[tuple[Integration, Health]]:
        return [(integration, health) for integration, health in self.integrations if integration.is_active]


def overview() -> list[tuple[Integration, Health]]:
    """All integrations with their health. Two queries."""
    return standing().integrations


def standing() -> Standing:
    """How everything stands. Two queries."""
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
    nobodys = [] if len(active) == 1 else [group for group in groups if group.integration is None]
    return Standing(found, _sum_up(nobodys), _problems(groups))


# -- what is counted, and what lists show ------------------------------------------------------------


def due(now: dt.datetime) -> Q:
    """Entries that could go now."""
    return Q(state=EntryState.PENDING, due_at__lte=now, not_before__lte=now)


def in_hand(now: dt.datetime) -> Q:
    """Entries that a worker has just now."""
    return Q(state=EntryState.PENDING, not_before__gt=now) & ~Q(lease="")


def later(now: dt.datetime) -> Q:
    """Entries that wait and are neither due nor in anybody's hand."""
    rests = Q(not_before__gt=now, lease="") | Q(not_before__lte=now, due_at__gt=now)
    return Q(state=EntryState.PENDING) & rests


@dataclasses.dataclass(frozen=True, slots=True)
class _Group:
    integration: int | None
    state: str
    code: str
    number: int
    due: int
    in_hand: int
    oldest_due: dt.datetime | None
    next_at: dt.datetime | None
    failing_since: dt.datetime | None
    recorded_at: dt.datetime

    @property
    def later(self) -> int:
        return self.number - self.due - self.in_hand


def _groups(now: dt.datetime) -> list[_Group]:
    rows = (
        OutboxEntry.objects.using(conf().DATABASE)
        .order_by()
        .values_list("integration", "state", "error_code")
        .annotate(
            number=Count("pk"),
            due=Count("pk", filter=due(now)),
            in_hand=Count("pk", filter=in_hand(now)),
            oldest_due=Min("due_at", filter=due(now)),
            next_at=Min(Greatest("due_at", "not_before"), filter=later(now)),
            oldest_failure=Min("failing_since"),
            oldest=Min("recorded_at"),
        )
    )
    return [_Group(*row) for row in rows]


def _sum_up(groups: list[_Group]) -> Backlog:
    waiting = [group for group in groups if group.state == EntryState.PENDING]
    failing = [group for group in waiting if group.code]
    return Backlog(
        due=sum(group.due for group in waiting),
        in_hand=sum(group.in_hand for group in waiting),
        later=sum(group.later for group in waiting),
        rejected=sum(group.number for group in groups if group.state == EntryState.REJECTED),
        dead=sum(group.number for group in groups if group.state == EntryState.DEAD),
        failing=sum(group.number for group in failing),
        oldest_due=min((group.oldest_due for group in waiting if group.oldest_due), default=None),
        next_at=min((group.next_at for group in waiting if group.next_at), default=None),
        problem=max(failing, key=lambda group: group.number).code if failing else "",
        failing_since=min((group.failing_since for group in failing if group.failing_since), default=None),
        rejected_since=_oldest(groups, EntryState.REJECTED),
        dead_since=_oldest(groups, EntryState.DEAD),
    )


def _oldest(groups: list[_Group], state: EntryState) -> dt.datetime | None:
    return min((group.recorded_at for group in groups if group.state == state), default=None)


def _problems(groups: list[_Group]) -> list[Problem]:
    numbers: dict[tuple[str, str], int] = {}
    for group in groups:
        key = (group.state, group.code)
        numbers[key] = numbers.get(key, 0) + group.number
    found = [Problem(state, code, number) for (state, code), number in numbers.items()]
    return sorted(found, key=lambda problem: (-problem.number, problem.code))


# -- how one is doing --------------------------------------------------------------------------------


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
        # Of what never worked nothing is lost: it is only not finished.
        is_new = integration.last_success_at is None
        findings.append(
            Finding(CONNECTING, NO_KEYS_YET, integration.created_at) if is_new else Finding(ATTENTION, NO_KEYS)
        )
    if _nobody_works(integration, backlog, now):
        findings.append(Finding(ATTENTION, NOBODY_WORKS, backlog.oldest_due))
    if backlog.rejected:
        findings.append(Finding(ATTENTION, REJECTED, backlog.rejected_since))
    if backlog.dead:
        findings.append(Finding(ATTENTION, DEAD, backlog.dead_since))
    if integration.failing_since:
        findings.append(Finding(ATTENTION, FAILING_THERE, integration.failing_since))
    if account.blocked_until and account.blocked_until > now:
        findings.append(Finding(WAITING, explain("rate_limited")))
    if account.open_until and account.open_until > now:
        findings.append(Finding(WAITING, BREAKER_OPEN))
    if backlog.problem and not integration.is_paused:
        findings.append(Finding(WAITING, explain(backlog.problem), backlog.failing_since))
    if not findings and integration.last_success_at is None:
        findings.append(Finding(CONNECTING, NOTHING_SENT_YET, integration.created_at))
    if not findings and not _reports_parcels(integration):
        is_new = integration.last_webhook_at is None
        since = integration.created_at if is_new else integration.last_webhook_at
        findings.append(Finding(CONNECTING if is_new else WAITING, NO_WEBHOOK_YET if is_new else NO_WEBHOOK, since))
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


def _reports_parcels(integration: Integration) -> bool:
    """Whether Sendcloud does, or nobody asked for it: the shop's URLs do not include ours."""
    return bool(integration.webhook_active and integration.webhook_url) or not integration.webhook_path()
