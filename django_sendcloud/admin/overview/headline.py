"""Headline of the overview: whether orders reach Sendcloud, in one sentence."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...sync.health import Code, Level
from ..explanations.health import explain_finding
from ..ui.badges import SYMBOLS
from ..ui.buttons import Button
from ..ui.humanize import format_number, since, when
from .snapshot import Snapshot
from .todo import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_stubs_ext import StrOrPromise

__all__ = ["Headline", "headline"]


@dataclasses.dataclass(frozen=True, slots=True)
class Headline:
    """One sentence on all orders.

    Args:
        tone: ``good``, ``warn``, ``bad``, ``busy`` or ``off``.
        sentence: The headline.
        text: Next steps, or further facts.
        buttons: Buttons and links.
    """

    tone: str
    sentence: StrOrPromise
    text: StrOrPromise = ""
    buttons: tuple[Button, ...] = ()

    @property
    def symbol(self) -> str:
        """Return the symbol that repeats the colour's meaning."""
        return SYMBOLS[self.tone]


def headline(snapshot: Snapshot, found: Sequence[Task]) -> Headline:
    """Check what stops orders, then what delays them, then what is unfinished.

    Args:
        snapshot: All facts.
        found: Open tasks, the most urgent first.
    """
    stopping = [task for task in found if task.stops]
    if stopping:
        return _stopped(stopping)
    if not snapshot.health.integrations:
        text = _(
            "Connect a Sendcloud integration, and orders go out automatically. Until then changes are "
            "recorded; no order is lost."
        )
        url = snapshot.connect()
        buttons = (Button(_("Connect an integration"), url),) if url else ()
        return Headline("busy", _("Nothing is connected yet"), text, buttons)
    if not snapshot.health.in_use:
        return Headline("off", _("No integration is in use"), _("Nothing is sent, and nothing waits."))
    return _waiting(snapshot) or _connecting(snapshot) or _all_sent(snapshot, found)


def _stopped(stopping: Sequence[Task]) -> Headline:
    # An integration may have two problems, by which the same orders wait.
    held: dict[int, int] = {}
    for task in stopping:
        if task.integration is not None:
            held[task.integration.pk] = max(task.orders, held.get(task.integration.pk, 0))
    orders = sum(task.orders for task in stopping if task.integration is None) + sum(held.values())
    integrations = len(held)
    ordered = ngettext("%(number)s order", "%(number)s orders", orders) % {"number": format_number(orders)}
    connected = ngettext("%(number)s integration", "%(number)s integrations", integrations)
    connected %= {"number": format_number(integrations)}
    if orders and integrations:
        sentence = ngettext(
            "%(orders)s not going out, %(integrations)s sends no orders",
            "%(orders)s not going out, %(integrations)s send no orders",
            integrations,
        )
        sentence %= {"orders": ordered, "integrations": connected}
    elif orders:
        sentence = ngettext("%(orders)s is not going out", "%(orders)s are not going out", orders) % {"orders": ordered}
    elif integrations:
        sentence = ngettext("%(integrations)s sends no orders", "%(integrations)s send no orders", integrations)
        sentence %= {"integrations": connected}
    else:
        sentence = gettext("Some orders are not going out")
    return Headline("bad", sentence, gettext("Most urgent: %(task)s.") % {"task": stopping[0].title})


def _waiting(snapshot: Snapshot) -> Headline | None:
    """Return the headline while orders wait and no operator has to act."""
    waiting = [
        (health, finding)
        for health in snapshot.health.in_use
        for finding in health.findings
        if finding.level == Level.WAITING and finding.number
    ]
    if not waiting:
        return None
    orders = {
        health.integration.pk: max(each.number for other, each in waiting if other is health) for health, _ in waiting
    }
    number = sum(orders.values())
    begun = min((health.backlog.waiting_since for health, _ in waiting if health.backlog.waiting_since), default=None)
    cause = explain_finding(waiting[0][1])
    text = f"{cause.title}. {cause.advice}"
    if not snapshot.sees_orders:
        return Headline("warn", gettext("Some orders wait for Sendcloud"), text)
    values = {"number": format_number(number)}
    if begun is None:
        sentence = ngettext("%(number)s order waits for Sendcloud", "%(number)s orders wait for Sendcloud", number)
        return Headline("warn", sentence % values, text)
    sentence = ngettext(
        "{number} order has been waiting for Sendcloud since {time}",
        "{number} orders have been waiting for Sendcloud since {time}",
        number,
    )
    return Headline("warn", format_html(sentence, time=since(begun), **values), text)


def _connecting(snapshot: Snapshot) -> Headline | None:
    """Return the headline while all integrations are being connected."""
    in_use = snapshot.health.in_use
    new = [
        health.integration
        for health in in_use
        if health.level == Level.CONNECTING and health.code != Code.WEBHOOK_NEEDED
    ]
    if len(new) < len(in_use):
        return None
    text = _("Its card shows the next step. Until then changes of orders are recorded; no order is lost.")
    if len(new) == 1:
        return Headline("busy", gettext("%(name)s is being connected") % {"name": new[0]}, text)
    sentence = ngettext(
        "%(number)s integration is being connected",
        "%(number)s integrations are being connected",
        len(new),
    )
    text = _("Their cards show the next step. Until then changes of orders are recorded; no order is lost.")
    return Headline("busy", sentence % {"number": format_number(len(new))}, text)


def _all_sent(snapshot: Snapshot, found: Sequence[Task]) -> Headline:
    sentences = []
    due = sum(health.backlog.claimed for health in snapshot.health.in_use)
    if due and snapshot.sees_orders:
        sentence = ngettext("{number} order is being sent now.", "{number} orders are being sent now.", due)
        sentences.append(format_html(sentence, number=format_number(due)))
    newest = [health.integration.last_success_at for health in snapshot.health.in_use]
    if last := max((moment for moment in newest if moment), default=None):
        sentences.append(format_html(gettext("The last one arrived {ago}."), ago=when(last)))
    if found:
        sentence = ngettext(
            "{number} further task, see below.",
            "{number} further tasks, see below.",
            len(found),
        )
        sentences.append(format_html(sentence, number=format_number(len(found))))
    text = format_html(" ".join(["{}"] * len(sentences)), *sentences) if sentences else ""
    return Headline("good", _("All orders are reaching Sendcloud"), text)
