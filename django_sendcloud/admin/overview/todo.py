"""Tasks of the overview: open problems, each with the button that solves it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.utils.text import format_lazy
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...enums import ApiGeneration
from ...models import EntryState, EventState, Integration, OutboxEntry, Parcel, PauseReason, WebhookEvent
from ...sync.health import Code, Finding, IntegrationHealth, Level, late_after
from ...sync.problems import UNASSIGNED
from ..explanations.causes import Cause, causes
from ..explanations.errors import explain, explain_entry
from ..explanations.health import ASKS_OPERATOR, START_WORKER, WORDS, explain_finding
from ..integrations.copies import is_a_copy, may_be_copy, ships_here
from ..integrations.webhook import has_usable_keys
from ..ui.buttons import Button, link_button
from ..ui.humanize import format_number
from .deliveries import delivery_tasks
from .snapshot import Snapshot
from .task import Task, show

__all__ = ["Task", "enter_keys", "move_to_v3", "register_webhook", "tasks"]

# Days without a parcel update, while orders go out, after which the overview warns.
SILENT_DAYS = 4


def tasks(snapshot: Snapshot) -> list[Task]:
    """Return all tasks, the most urgent first."""
    found = [*_unassigned(snapshot), *_of_orders(snapshot), *_of_webhooks(snapshot), *delivery_tasks(snapshot)]
    for health in snapshot.health.integrations:
        found += _of_integration(snapshot, health)
    found += _of_the_work(snapshot)
    return sorted(found, key=lambda task: (task.urgency, -task.orders))


def enter_keys(snapshot: Snapshot, integration: Integration) -> tuple[Button, ...]:
    """Return the link to the form of its keys, if the operator may enter them."""
    field = "id_new_secret_key" if integration.public_key else "id_public_key"
    url = snapshot.page(integration, field) if snapshot.may("change_integration") else ""
    return link_button(_("Enter keys"), url)


def register_webhook(snapshot: Snapshot, integration: Integration) -> tuple[Button, ...]:
    """Return the button that registers the webhook, if the operator may press it."""
    url = snapshot.action(integration, "register_webhook") if snapshot.may("change_integration") else ""
    return (Button(_("Register webhook…"), url, post=True),) if url and has_usable_keys(integration) else ()


def move_to_v3(snapshot: Snapshot, integration: Integration) -> tuple[Button, ...]:
    """Return the button that moves an integration of v2 to the API that every account may use."""
    if integration.api_generation == ApiGeneration.V3 or not snapshot.may("change_integration"):
        return ()
    url = snapshot.action(integration, "move")
    return (Button(_("Move to API v3…"), url, post=True),) if url else ()


def _page(snapshot: Snapshot, integration: Integration) -> tuple[Button, ...]:
    return link_button(_("Open"), snapshot.page(integration))


# -- orders without an integration -------------------------------------------------------------------


def _unassigned(snapshot: Snapshot) -> Iterator[Task]:
    """Yield tasks for orders without an integration."""
    if not snapshot.sees_orders:
        return
    unassigned = snapshot.health.unassigned
    nothing_in_use = not snapshot.health.in_use
    if nothing_in_use and unassigned.waiting:
        sentence = ngettext(
            "%(number)s order waits, and no integration is in use",
            "%(number)s orders wait, and no integration is in use",
            unassigned.waiting,
        )
        if snapshot.health.integrations:
            text = _("Mark an integration as in use, or connect another. Waiting orders are then sent automatically.")
            button = link_button(_("Choose an integration"), snapshot.list(Integration))
        else:
            text = _("Connect one. Waiting orders are then sent automatically.")
            button = link_button(_("Connect an integration"), snapshot.connect())
        shown = show(unassigned.waiting, snapshot.list(OutboxEntry, state="pending", integration__isnull="True"))
        title = sentence % {"number": format_number(unassigned.waiting)}
        yield Task(0, title, text, button + shown, unassigned.waiting, stops=True)
    for problem in snapshot.health.problems:
        if problem.state != EntryState.PENDING or problem.code not in UNASSIGNED:
            continue
        if nothing_in_use and problem.code == "no_integration":
            continue
        explanation = explain(problem.code)
        sentence = ngettext(
            "%(number)s order without an integration: %(problem)s",
            "%(number)s orders without an integration: %(problem)s",
            problem.number,
        )
        button = (
            ()
            if problem.code == "adapter_missing"
            else link_button(_("Choose an integration"), snapshot.list(Integration))
        )
        shown = show(problem.number, snapshot.list(OutboxEntry, state="pending", problem=problem.code))
        title = sentence % {"number": format_number(problem.number), "problem": explanation.title}
        yield Task(0, title, f"{explanation.why} {explanation.advice}", button + shown, problem.number, stops=True)
    if not nothing_in_use and unassigned.oldest_due and snapshot.now - unassigned.oldest_due > late_after():
        # Pushing an order finds out which integration it belongs to.
        sentence = ngettext(
            "%(number)s order waits, and no worker sends it",
            "%(number)s orders wait, and no worker sends them",
            unassigned.due,
        )
        shown = show(unassigned.due, snapshot.list(OutboxEntry, state="due", integration__isnull="True"))
        title, why = (
            sentence % {"number": format_number(unassigned.due)},
            f"{WORDS[Code.NO_WORKER].why} {WORDS[Code.NO_WORKER].advice}",
        )
        yield Task(2, title, why, shown, unassigned.due, stops=True)


# -- integrations ------------------------------------------------------------------------------------


def _of_integration(snapshot: Snapshot, health: IntegrationHealth) -> Iterator[Task]:
    if not health.integration.is_active:
        yield from _not_in_use(snapshot, health)
        return
    for finding in health.findings:
        # Orders and webhooks have tasks of their own.
        if finding.code in (Code.REJECTED, Code.DEAD, Code.WEBHOOK_OFF, Code.WEBHOOK_NEEDED):
            continue
        if finding.code == Code.ORDERS_FAILING and finding.detail in UNASSIGNED:
            continue
        # Transient problems need no operator.
        if finding.level in (Level.PAUSED, Level.ATTENTION) or finding.code == Code.KEYS_NEEDED:
            yield _found(snapshot, health, finding)


def _found(snapshot: Snapshot, health: IntegrationHealth, finding: Finding) -> Task:
    integration, explanation = health.integration, explain_finding(finding, health.integration)
    title, text = f"{integration}: {explanation.title}", f"{explanation.why} {explanation.advice}"
    page = _page(snapshot, integration)
    number = finding.number if snapshot.sees_orders else 0
    match finding.code:
        case Code.PAUSED:
            resume = snapshot.action(integration, "resume") if snapshot.may("pause_integration") else ""
            has_keys = integration.public_key and integration.secret_key
            buttons: tuple[Button, ...] = (Button(_("Resume"), resume, post=True),) if resume and has_keys else ()
            if finding.detail in (PauseReason.CREDENTIALS, PauseReason.GONE):
                # New keys end such a pause; resuming with the same keys repeats it, unless Sendcloud changed.
                buttons = enter_keys(snapshot, integration) + buttons
            if finding.detail == PauseReason.COPY:
                buttons = _which_ships(snapshot, integration)
            if finding.detail == PauseReason.PERMISSION:
                buttons = move_to_v3(snapshot, integration) + buttons
            return Task(1, title, text, buttons + page, number, integration, stops=True)
        case Code.KEYS_MISSING | Code.KEYS_NEEDED:
            stops = finding.code == Code.KEYS_MISSING or bool(health.backlog.waiting)
            buttons = enter_keys(snapshot, integration) or page
            waiting = health.backlog.waiting if snapshot.sees_orders else 0
            return Task(1 if stops else 35, title, text, buttons, waiting, integration, stops)
        case Code.FAILING_THERE:
            logs = snapshot.page(integration).removesuffix("change/")
            shown = link_button(_("Failed requests at Sendcloud"), f"{logs}logs/" if logs else "")
            return Task(20, title, text, (shown if has_usable_keys(integration) else ()) + page)
        case Code.ORDERS_FAILING:
            # The others go out, unless no worker runs: then these are among the orders that wait for one.
            failing = 0 if health.find(Code.NO_WORKER) else number
            return Task(20, title, text, page, failing, stops=True)
    return Task(20, title, text, page, number, integration, stops=True)


def _which_ships(snapshot: Snapshot, integration: Integration) -> tuple[Button, ...]:
    """Return the buttons that settle whether this deployment is a copy, if the operator may press them."""
    if not snapshot.may("pause_integration"):
        return ()
    actions = [ships_here, *([is_a_copy] if integration.is_active else [])]
    found = [(each.label, snapshot.action(integration, each.name)) for each in actions]
    return tuple(Button(label, url, post=True) for label, url in found if url)


def _not_in_use(snapshot: Snapshot, health: IntegrationHealth) -> Iterator[Task]:
    """Yield a task if orders wait for an unused integration."""
    integration, number = health.integration, health.backlog.waiting
    if not number or not snapshot.sees_orders:
        return
    sentence = ngettext(
        "%(number)s order waits for %(name)s, which is not in use",
        "%(number)s orders wait for %(name)s, which is not in use",
        number,
    )
    has_keys = bool(integration.public_key and integration.secret_key)
    use = snapshot.page(integration, "id_is_active") if snapshot.may("change_integration") else ""
    buttons = link_button(_("Use it again"), use) if has_keys else enter_keys(snapshot, integration)
    if may_be_copy(integration):
        buttons = _which_ships(snapshot, integration)
    shown = show(number, snapshot.of(integration, OutboxEntry, state="pending"))
    text = _(
        "Nothing is sent through it. Use it again to send them. If the shop now sends them through another "
        "integration, save the orders."
    )
    title = sentence % {"number": format_number(number), "name": integration}
    yield Task(1, title, text, buttons + shown, number, stops=True)


# -- orders ------------------------------------------------------------------------------------------


def _of_orders(snapshot: Snapshot) -> Iterator[Task]:
    stuck = [problem for problem in snapshot.health.problems if problem.state != EntryState.PENDING]
    if not snapshot.sees_orders:
        if stuck:
            yield Task(30, ASKS_OPERATOR.title, f"{ASKS_OPERATOR.why} {ASKS_OPERATOR.advice}", stops=True)
        return
    dead = {problem.code for problem in stuck if problem.state == EntryState.DEAD}
    found = causes(OutboxEntry.objects.stuck()) if stuck else {}
    if unnamed := sum(problem.number for problem in stuck if not problem.code):
        found[Cause("")] = unnamed
    for cause, number in found.items():
        state = EntryState.DEAD if cause.code in dead and not cause.field else EntryState.REJECTED
        explanation = explain_entry(state, cause.code)
        sentence = ngettext("%(number)s order: %(problem)s", "%(number)s orders: %(problem)s", number)
        again = (
            Button(_("Try again"), snapshot.request.path, post=True, name="retry", value=cause.key)
            if snapshot.may("push_order")
            else None
        )
        query = {"problem": cause.key} if cause.code else {}
        shown = show(number, snapshot.list(OutboxEntry, state="stuck", **query))
        fix = link_button(ngettext("Fix it", "Fix them", number), snapshot.fix(cause)) if cause.field else ()
        # Dead-lettered orders need no fix first.
        buttons = (again, *shown) if state == EntryState.DEAD else (*fix, *shown, again)
        title = cause.title if cause.field else explanation.title
        yield Task(
            30,
            sentence % {"number": format_number(number), "problem": title},
            f"{explanation.why} {explanation.advice}",
            tuple(button for button in buttons if button is not None and cause.code),
            number,
            stops=True,
        )


# -- the work itself ---------------------------------------------------------------------------------


def _of_the_work(snapshot: Snapshot) -> Iterator[Task]:
    if not snapshot.health.is_sweep_late:
        return
    waits = any(health.backlog.waiting for health in snapshot.health.integrations)
    yield Task(
        10,
        _("The periodic work does not run"),
        format_lazy("{} {}", _("Failed orders are not retried, and missed changes are not found."), START_WORKER),
        stops=waits,
    )


# -- webhooks and parcels ----------------------------------------------------------------------------


def _of_webhooks(snapshot: Snapshot) -> Iterator[Task]:
    for health in snapshot.health.in_use:
        integration = health.integration
        if not integration.is_paused and integration.webhook_path():
            yield from _webhook_missing(snapshot, integration)
    if received := snapshot.webhooks(EventState.RECEIVED):
        oldest, number = min(waiting.oldest for waiting in received), sum(waiting.number for waiting in received)
        if snapshot.now - oldest > late_after():
            sentence = ngettext(
                "%(number)s webhook waits to be applied", "%(number)s webhooks wait to be applied", number
            )
            text = format_lazy(
                "{} {}",
                _("Sendcloud sent updates, and no worker has applied them. No update is lost."),
                START_WORKER,
            )
            shown = show(number, snapshot.list(WebhookEvent, state__exact=EventState.RECEIVED.value))
            yield Task(45, sentence % {"number": format_number(number)}, text, shown)
    if number := sum(waiting.number for waiting in snapshot.webhooks(EventState.FAILED)):
        sentence = ngettext(
            "%(number)s webhook could not be applied", "%(number)s webhooks could not be applied", number
        )
        replay = Button(_("Replay"), snapshot.request.path, post=True, name="replay", value=EventState.FAILED.value)
        shown = show(number, snapshot.list(WebhookEvent, state__exact=EventState.FAILED.value))
        text = _("Each says why. After the cause is fixed, replay them: that never moves a parcel back.")
        buttons = ((replay,) if snapshot.may("replay_webhookevent") else ()) + shown
        yield Task(60, sentence % {"number": format_number(number)}, text, buttons)
    if number := sum(waiting.number for waiting in snapshot.webhooks(EventState.RECEIVER_FAILED)):
        sentence = ngettext(
            "%(number)s webhook was applied, and the shop's own code failed on it",
            "%(number)s webhooks were applied, and the shop's own code failed on them",
            number,
        )
        # No button: a replay runs the shop's code a second time. The list asks first.
        shown = show(number, snapshot.list(WebhookEvent, state__exact=EventState.RECEIVER_FAILED.value))
        text = _("The updates are stored here. Ask your developer to fix the receiver, and replay them then.")
        yield Task(61, sentence % {"number": format_number(number)}, text, shown)
    if snapshot.unmatched:
        sentence = ngettext(
            "%(number)s parcel belongs to no order", "%(number)s parcels belong to no order", snapshot.unmatched
        )
        text = _(
            "Made by hand at Sendcloud, or for an order number that several orders have. "
            "Assign each to its order, or dismiss it."
        )
        shown = show(snapshot.unmatched, snapshot.list(Parcel, matched="no"))
        yield Task(70, sentence % {"number": format_number(snapshot.unmatched)}, text, shown)


def _webhook_missing(snapshot: Snapshot, integration: Integration) -> Iterator[Task]:
    page = _page(snapshot, integration)
    if not integration.webhook_active or not integration.webhook_url:
        if not (integration.public_key and integration.secret_key):
            # Keys come first.
            return
        title = gettext("%(name)s: Sendcloud does not send parcel updates") % {"name": integration}
        text = _("Its webhook is not registered, so tracking numbers and deliveries do not arrive.")
        yield Task(40, title, text, register_webhook(snapshot, integration) + page)
    elif _is_silent(integration, snapshot.now):
        title = gettext("%(name)s: no parcel updates for days") % {"name": integration}
        text = _(
            "Orders go out, but no webhook has come for a while. Look whether labels are made, and what Sendcloud's "
            "log says of the webhook address."
        )
        logs = snapshot.page(integration).removesuffix("change/")
        yield Task(
            50, title, text, link_button(_("Failed requests at Sendcloud"), f"{logs}logs/" if logs else "") + page
        )


def _is_silent(integration: Integration, now: dt.datetime) -> bool:
    since = integration.last_webhook_at or integration.created_at
    working = integration.last_success_at is not None and now - integration.last_success_at < dt.timedelta(days=1)
    return working and now - since > dt.timedelta(days=SILENT_DAYS)
