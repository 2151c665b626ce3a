"""What needs a person, each with the button that mends it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import EntryState, EventState, Integration, OutboxEntry, Parcel, PauseReason, WebhookEvent
from .explain import explain, explain_entry
from .glance import Cure, Glance
from .health import (
    ATTENTION,
    DEAD,
    FAILING_THERE,
    LATE_AFTER_SECONDS,
    NO_KEYS,
    NO_KEYS_YET,
    NO_WEBHOOK,
    NO_WEBHOOK_YET,
    NOBODY_TAKES,
    NOBODY_WORKS,
    PAUSED,
    REJECTED,
    WAITING,
    Finding,
    Health,
)
from .integration_page import ASKS_A_PERSON
from .spoken import grouped
from .webhook import can_be_asked

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Task", "enter_keys", "register_webhook", "tasks"]

# Seconds without a sweep after which nobody can be running it.
SWEEP_LATE = 300.0
# Days without news of any parcel, while orders go out, after which somebody should look.
SILENT_DAYS = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Something that needs a person.

    Args:
        urgency: The smaller, the sooner.
        title: What happened.
        text: Why, and what to do.
        cures: What to press; the first one mends it, if anything here does.
        orders: How many orders do not go out because of it.
        integration: The one that sends nothing because of it.
        stops: Whether something does not go out until it is done.
    """

    urgency: int
    title: StrOrPromise
    text: StrOrPromise
    cures: tuple[Cure, ...] = ()
    orders: int = 0
    integration: Integration | None = None
    stops: bool = False


def tasks(glance: Glance) -> list[Task]:
    """All of them, the most urgent first."""
    found = [*_of_nobody(glance), *_of_orders(glance), *_of_webhooks(glance)]
    for integration, health in glance.standing.integrations:
        found += _of_integration(glance, integration, health)
    found += _of_the_work(glance)
    return sorted(found, key=lambda task: (task.urgency, -task.orders))


def enter_keys(glance: Glance, integration: Integration) -> tuple[Cure, ...]:
    """The form for its keys, for who may enter them."""
    field = "id_new_secret_key" if integration.public_key else "id_public_key"
    url = glance.page(integration, field) if glance.may("change_integration") else ""
    return (Cure(_("Enter keys"), url),) if url else ()


def register_webhook(glance: Glance, integration: Integration) -> tuple[Cure, ...]:
    """The button that gives Sendcloud the address, for who may press it."""
    url = glance.action(integration, "register_webhook") if glance.may("change_integration") else ""
    return (Cure(_("Register webhook…"), url, post=True),) if url and can_be_asked(integration) else ()


def _page(glance: Glance, integration: Integration) -> tuple[Cure, ...]:
    url = glance.page(integration)
    return (Cure(_("Open"), url),) if url else ()


def _shown(label: StrOrPromise, url: str) -> tuple[Cure, ...]:
    return (Cure(label, url),) if url else ()


# -- orders that nobody takes ------------------------------------------------------------------------


def _of_nobody(glance: Glance) -> Iterator[Task]:
    """Orders that belong to no integration: they go nowhere, whatever is well elsewhere."""
    if not glance.sees_orders:
        return
    unassigned = glance.standing.unassigned
    nothing_in_use = not glance.standing.in_use
    if nothing_in_use and unassigned.waiting:
        sentence = ngettext(
            "%(number)s order waits, and no integration is in use",
            "%(number)s orders wait, and no integration is in use",
            unassigned.waiting,
        )
        if glance.standing.integrations:
            text = _("Mark an integration as in use, or connect another. Everything that waits is then sent by itself.")
            cure = _shown(_("Choose an integration"), glance.list(Integration))
        else:
            text = _("Connect one. Everything that waits is then sent by itself.")
            cure = _shown(_("Connect an integration"), glance.connect())
        show = _shown(_("Show them"), glance.list(OutboxEntry, state="pending", integration__isnull="True"))
        title = sentence % {"number": grouped(unassigned.waiting)}
        yield Task(0, title, text, cure + show, unassigned.waiting, stops=True)
    for problem in glance.standing.problems:
        if problem.state != EntryState.PENDING or problem.code not in NOBODY_TAKES:
            continue
        if nothing_in_use and problem.code == "no_integration":
            continue
        explanation = explain(problem.code)
        sentence = ngettext(
            "%(number)s order goes nowhere: %(problem)s", "%(number)s orders go nowhere: %(problem)s", problem.number
        )
        cure = () if problem.code == "adapter_missing" else _shown(_("Choose an integration"), glance.list(Integration))
        show = _shown(_("Show them"), glance.list(OutboxEntry, state="pending", problem=problem.code))
        title = sentence % {"number": grouped(problem.number), "problem": explanation.title}
        yield Task(0, title, f"{explanation.why} {explanation.cure}", cure + show, problem.number, stops=True)
    if not nothing_in_use and unassigned.oldest_due and glance.now - unassigned.oldest_due > _late():
        # Where one of several is to take it is found out by pushing it.
        sentence = ngettext(
            "%(number)s order waits, and nobody pushes it",
            "%(number)s orders wait, and nobody pushes them",
            unassigned.due,
        )
        show = _shown(_("Show them"), glance.list(OutboxEntry, state="due", integration__isnull="True"))
        title, why = sentence % {"number": grouped(unassigned.due)}, f"{NOBODY_WORKS.why} {NOBODY_WORKS.cure}"
        yield Task(2, title, why, show, unassigned.due, stops=True)


def _late() -> dt.timedelta:
    return dt.timedelta(seconds=max(LATE_AFTER_SECONDS, 3 * conf().SWEEP_SECONDS))


# -- integrations ------------------------------------------------------------------------------------


def _of_integration(glance: Glance, integration: Integration, health: Health) -> Iterator[Task]:
    if not integration.is_active:
        yield from _not_in_use(glance, integration, health)
        return
    for finding in health.findings:
        # Orders have tasks of their own, one for each problem; news of parcels as well.
        if finding.explanation in (REJECTED, DEAD, NO_WEBHOOK, NO_WEBHOOK_YET):
            continue
        # What heals needs nobody.
        if finding.state == WAITING and finding.explanation.heals:
            continue
        if finding.state in (PAUSED, ATTENTION, WAITING) or finding.explanation is NO_KEYS_YET:
            yield _found(glance, integration, health, finding)


def _found(glance: Glance, integration: Integration, health: Health, finding: Finding) -> Task:
    explanation = finding.explanation
    title, text = f"{integration}: {explanation.title}", f"{explanation.why} {explanation.cure}"
    page = _page(glance, integration)
    if finding.state == PAUSED:
        resume = glance.action(integration, "resume") if glance.may("pause_integration") else ""
        resuming = (Cure(_("Resume"), resume, post=True),) if resume else ()
        keys = enter_keys(glance, integration)
        refused = integration.paused_reason in (PauseReason.CREDENTIALS, PauseReason.GONE)
        if not (integration.public_key and integration.secret_key):
            resuming = ()
        # Other keys end such a pause; to resume with the same would only repeat it, unless Sendcloud changed its mind.
        cures = keys + resuming if refused and explanation is not explain("permission") else resuming
        return Task(1, title, text, cures + page, integration=integration, stops=True)
    if explanation is NO_KEYS or explanation is NO_KEYS_YET:
        stops = explanation is NO_KEYS or bool(health.backlog.waiting)
        return Task(1 if stops else 35, title, text, enter_keys(glance, integration) or page, 0, integration, stops)
    if explanation is FAILING_THERE:
        logs = glance.page(integration).removesuffix("change/")
        shown = _shown(_("What Sendcloud says went wrong"), f"{logs}logs/" if logs else "")
        return Task(20, title, text, (shown if can_be_asked(integration) else ()) + page)
    # What waits and does not heal goes out as little as what nobody pushes.
    stops = explanation is NOBODY_WORKS or finding.state == WAITING
    return Task(20, title, text, page, integration=integration if stops else None, stops=stops)


def _not_in_use(glance: Glance, integration: Integration, health: Health) -> Iterator[Task]:
    """Nobody's business, unless orders wait for it: they will not go out."""
    number = health.backlog.waiting
    if not number or not glance.sees_orders:
        return
    sentence = ngettext(
        "%(number)s order waits for %(name)s, which is not in use",
        "%(number)s orders wait for %(name)s, which is not in use",
        number,
    )
    has_keys = bool(integration.public_key and integration.secret_key)
    use = glance.page(integration, "id_is_active") if glance.may("change_integration") else ""
    cures = _shown(_("Use it again"), use) if has_keys else enter_keys(glance, integration)
    show = _shown(_("Show them"), glance.of(integration, OutboxEntry, state="pending"))
    text = _(
        "Nothing is sent through it. Use it again, and they go out by themselves; or save them in the shop, if it "
        "sends them elsewhere by now."
    )
    title = sentence % {"number": grouped(number), "name": integration}
    yield Task(1, title, text, cures + show, number, stops=True)


# -- orders ------------------------------------------------------------------------------------------


def _of_orders(glance: Glance) -> Iterator[Task]:
    stuck = [problem for problem in glance.standing.problems if problem.state != EntryState.PENDING]
    if not glance.sees_orders:
        if stuck:
            yield Task(30, ASKS_A_PERSON.title, f"{ASKS_A_PERSON.why} {ASKS_A_PERSON.cure}", stops=True)
        return
    numbers: dict[str, int] = {}
    # The commonest state of a problem comes first, and gives the words.
    states: dict[str, str] = {}
    for problem in stuck:
        numbers[problem.code] = numbers.get(problem.code, 0) + problem.number
        states.setdefault(problem.code, problem.state)
    for code, number in numbers.items():
        explanation = explain_entry(states[code], code)
        sentence = ngettext("%(number)s order: %(problem)s", "%(number)s orders: %(problem)s", number)
        again = Cure(_("Try again"), glance.request.path, True, "retry", code) if glance.may("push_order") else None
        query = {"problem": code} if code else {}
        show = _shown(_("Show them"), glance.list(OutboxEntry, state="stuck", **query))
        # Of what was given up nothing has to be corrected first.
        cures = (again, *show) if states[code] == EntryState.DEAD else (*show, again)
        yield Task(
            30,
            sentence % {"number": grouped(number), "problem": explanation.title},
            f"{explanation.why} {explanation.cure}",
            tuple(cure for cure in cures if cure is not None and code),
            number,
            stops=True,
        )


# -- the work itself ---------------------------------------------------------------------------------


def _of_the_work(glance: Glance) -> Iterator[Task]:
    age = glance.sweep_age
    if age is not None and age <= max(SWEEP_LATE, 10 * conf().SWEEP_SECONDS):
        return
    waits = any(health.backlog.waiting for _integration, health in glance.standing.integrations)
    yield Task(
        10,
        _("The periodic work does not run"),
        _(
            "What failed once is not tried again, and nothing that was missed is found. Let the shop's developer start "
            "Celery beat with our schedule."
        ),
        stops=waits,
    )


# -- what comes back ---------------------------------------------------------------------------------


def _of_webhooks(glance: Glance) -> Iterator[Task]:
    for integration, _health in glance.standing.in_use:
        if not integration.is_paused and integration.webhook_path():
            yield from _way_in(glance, integration)
    if received := glance.webhooks(EventState.RECEIVED):
        oldest, number = min(waiting.oldest for waiting in received), sum(waiting.number for waiting in received)
        if glance.now - oldest > _late():
            sentence = ngettext(
                "%(number)s webhook waits to be applied", "%(number)s webhooks wait to be applied", number
            )
            text = _(
                "Sendcloud has reported something, and no worker has read it. Let whoever runs the server look whether "
                "the Celery worker and beat run. Nothing is lost."
            )
            show = _shown(_("Show them"), glance.list(WebhookEvent, state__exact=EventState.RECEIVED.value))
            yield Task(45, sentence % {"number": grouped(number)}, text, show)
    if number := sum(waiting.number for waiting in glance.webhooks(EventState.FAILED)):
        sentence = ngettext(
            "%(number)s webhook could not be applied", "%(number)s webhooks could not be applied", number
        )
        replay = Cure(_("Replay"), glance.request.path, True, "replay", EventState.FAILED.value)
        show = _shown(_("Show them"), glance.list(WebhookEvent, state__exact=EventState.FAILED.value))
        text = _("Each says why. Once the cause is mended, replay them: a parcel never goes back by it.")
        cures = ((replay,) if glance.may("replay_webhookevent") else ()) + show
        yield Task(60, sentence % {"number": grouped(number)}, text, cures)
    if number := sum(waiting.number for waiting in glance.webhooks(EventState.UNHEARD)):
        sentence = ngettext(
            "%(number)s webhook was applied, and the shop's own code failed on it",
            "%(number)s webhooks were applied, and the shop's own code failed on them",
            number,
        )
        # No button: what the shop's code had done the first time is done a second time. That asks first, on the list.
        show = _shown(_("Show them"), glance.list(WebhookEvent, state__exact=EventState.UNHEARD.value))
        text = _("What Sendcloud said is known here. Let the shop's developer mend the receiver, and replay them then.")
        yield Task(61, sentence % {"number": grouped(number)}, text, show)
    if glance.unmatched:
        sentence = ngettext(
            "%(number)s parcel belongs to no order", "%(number)s parcels belong to no order", glance.unmatched
        )
        text = _(
            "Made by hand at Sendcloud, or for an order number that several orders have. Assign them, or let them be."
        )
        show = _shown(_("Show them"), glance.list(Parcel, matched="no"))
        yield Task(70, sentence % {"number": grouped(glance.unmatched)}, text, show)


def _way_in(glance: Glance, integration: Integration) -> Iterator[Task]:
    page = _page(glance, integration)
    if not integration.webhook_active or not integration.webhook_url:
        if not (integration.public_key and integration.secret_key):
            # First things first.
            return
        title = gettext("%(name)s: Sendcloud does not report parcels") % {"name": integration}
        text = _("Its webhook is not registered, so tracking numbers and deliveries do not arrive.")
        yield Task(40, title, text, register_webhook(glance, integration) + page)
    elif _is_silent(integration, glance.now):
        title = gettext("%(name)s: no news of parcels for days") % {"name": integration}
        text = _(
            "Orders go out, but no webhook has come for a while. Look whether labels are made, and what Sendcloud's "
            "log says of the webhook address."
        )
        logs = glance.page(integration).removesuffix("change/")
        yield Task(50, title, text, _shown(_("What Sendcloud says went wrong"), f"{logs}logs/" if logs else "") + page)


def _is_silent(integration: Integration, now: dt.datetime) -> bool:
    since = integration.last_webhook_at or integration.created_at
    working = integration.last_success_at is not None and now - integration.last_success_at < dt.timedelta(days=1)
    return working and now - since > dt.timedelta(days=SILENT_DAYS)
