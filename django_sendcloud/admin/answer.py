"""Is everything going out? One sentence, which the rest of the overview only explains."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .badges import SYMBOLS
from .glance import Cure, Glance
from .health import CONNECTING, NO_WEBHOOK_YET, WAITING
from .spoken import grouped, since, when
from .tasks import Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django_stubs_ext import StrOrPromise

__all__ = ["Answer", "answer"]


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """The sentence.

    Args:
        tone: ``good``, ``warn``, ``bad``, ``busy`` or ``off``.
        sentence: Yes or no.
        text: What comes next, or what is known besides.
        cures: What to press.
    """

    tone: str
    sentence: StrOrPromise
    text: StrOrPromise = ""
    cures: tuple[Cure, ...] = ()

    @property
    def symbol(self) -> str:
        """What it is told by besides its colour."""
        return SYMBOLS[self.tone]


def answer(glance: Glance, found: Sequence[Task]) -> Answer:
    """Look at what stops orders, then at what delays them, then at what is not ready yet.

    Args:
        glance: All that is known.
        found: What needs a person, the most urgent first.
    """
    stopping = [task for task in found if task.stops]
    if stopping:
        return _no(stopping)
    if not glance.standing.integrations:
        text = _(
            "Connect an integration of Sendcloud's, and orders go out by themselves. Until then every change is taken "
            "down, and nothing is lost."
        )
        url = glance.connect()
        cures = (Cure(_("Connect an integration"), url),) if url else ()
        return Answer("busy", _("Nothing is connected yet"), text, cures)
    if not glance.standing.in_use:
        return Answer("off", _("No integration is in use"), _("Nothing is sent, and nothing waits."))
    return _yes_but(glance) or _not_yet(glance) or _yes(glance, found)


def _no(stopping: Sequence[Task]) -> Answer:
    orders = sum(task.orders for task in stopping)
    integrations = len({task.integration.pk for task in stopping if task.integration is not None})
    ordered = ngettext("%(number)s order", "%(number)s orders", orders) % {"number": grouped(orders)}
    connected = ngettext("%(number)s integration", "%(number)s integrations", integrations)
    connected %= {"number": grouped(integrations)}
    if orders and integrations:
        sentence = gettext("No: %(orders)s and %(integrations)s need you") % {
            "orders": ordered,
            "integrations": connected,
        }
    elif orders:
        sentence = ngettext("No: %(orders)s needs you", "No: %(orders)s need you", orders) % {"orders": ordered}
    elif integrations:
        sentence = ngettext("No: %(integrations)s needs you", "No: %(integrations)s need you", integrations)
        sentence %= {"integrations": connected}
    else:
        sentence = gettext("No: something needs a person")
    return Answer("bad", sentence, gettext("First: %(task)s.") % {"task": stopping[0].title})


def _yes_but(glance: Glance) -> Answer | None:
    """Orders wait, and go out without anybody's doing."""
    waiting = [health for _integration, health in glance.standing.in_use if health.state == WAITING]
    # While nothing can be sent, all waits; otherwise only what failed.
    number = sum(health.backlog.failing or health.backlog.waiting for health in waiting if health.explanation.heals)
    if not number:
        return None
    moments = [health.backlog.failing_since or health.backlog.oldest_due for health in waiting]
    begun = min((moment for moment in moments if moment), default=None)
    cause = next(health.explanation for health in waiting if health.explanation.heals)
    text = f"{cause.title}. {cause.cure}"
    if not glance.sees_orders:
        return Answer("warn", gettext("Yes, but some orders wait for Sendcloud"), text)
    values = {"number": grouped(number)}
    if begun is None:
        sentence = ngettext(
            "Yes, but %(number)s order waits for Sendcloud", "Yes, but %(number)s orders wait for Sendcloud", number
        )
        return Answer("warn", sentence % values, text)
    sentence = ngettext(
        "Yes, but {number} order waits for Sendcloud since {time}",
        "Yes, but {number} orders wait for Sendcloud since {time}",
        number,
    )
    return Answer("warn", format_html(sentence, time=since(begun), **values), text)


def _not_yet(glance: Glance) -> Answer | None:
    """Nothing has ever gone out, and somebody is at it."""
    in_use = glance.standing.in_use
    new = [
        integration
        for integration, health in in_use
        if health.state == CONNECTING and health.explanation is not NO_WEBHOOK_YET
    ]
    if len(new) < len(in_use):
        return None
    text = _("Its card shows what comes next. Until then every change of an order is taken down, and nothing is lost.")
    if len(new) == 1:
        return Answer("busy", gettext("Not yet: %(name)s is being connected") % {"name": new[0]}, text)
    sentence = ngettext(
        "Not yet: %(number)s integration is being connected",
        "Not yet: %(number)s integrations are being connected",
        len(new),
    )
    text = _(
        "Their cards show what comes next. Until then every change of an order is taken down, and nothing is lost."
    )
    return Answer("busy", sentence % {"number": grouped(len(new))}, text)


def _yes(glance: Glance, found: Sequence[Task]) -> Answer:
    sentences = []
    due = sum(health.backlog.due + health.backlog.in_hand for _integration, health in glance.standing.in_use)
    if due and glance.sees_orders:
        sentence = ngettext("{number} order is on its way just now.", "{number} orders are on their way just now.", due)
        sentences.append(format_html(sentence, number=grouped(due)))
    newest = [integration.last_success_at for integration, _health in glance.standing.in_use]
    if last := max((moment for moment in newest if moment), default=None):
        sentences.append(format_html(gettext("Sendcloud took the last one {ago}."), ago=when(last)))
    if found:
        sentence = ngettext(
            "{number} other thing needs a person, see below.",
            "{number} other things need a person, see below.",
            len(found),
        )
        sentences.append(format_html(sentence, number=grouped(len(found))))
    text = format_html(" ".join(["{}"] * len(sentences)), *sentences) if sentences else ""
    return Answer("good", _("Yes, everything is going out"), text)
