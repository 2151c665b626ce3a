"""Report of a push by an operator: the orders that are sent now, and those that wait because nothing is sent."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import ngettext

from ...models import OutboxEntry
from ...sync.health import Code
from ..actions.action import report_count
from ..health import health_of

__all__ = ["being_pushed", "held_back", "report_held_back", "report_pushed"]

# Findings of an integration that sends nothing at the moment.
_SENDS_NOTHING = (
    Code.NOT_IN_USE,
    Code.DISCONNECTED,
    Code.PAUSED,
    Code.KEYS_MISSING,
    Code.KEYS_NEEDED,
    Code.NO_WORKER,
    Code.UNREACHABLE,
)


def held_back(request: HttpRequest, entries: QuerySet[OutboxEntry]) -> int:
    """Return how many of these entries are not sent now, because their integration sends nothing. One query."""
    found = health_of(request)
    silent = [each.integration.pk for each in found.integrations if each.find(*_SENDS_NOTHING)]
    waits = Q(integration__in=silent)
    if all(each.integration.pk in silent for each in found.in_use):
        # Without an integration of its own, an order goes to one in use.
        waits |= Q(integration=None)
    elif not silent:
        return 0
    return entries.filter(waits).count()


def being_pushed(number: int) -> str:
    """Name the orders of a push that a worker sends now."""
    sentence = ngettext("%(number)d order is being pushed.", "%(number)d orders are being pushed.", number)
    return sentence % {"number": number}


def report_pushed(request: HttpRequest, number: int, held: int, sentence: Callable[[int], str] = being_pushed) -> None:
    """Report a push.

    Args:
        request: Request of the operator.
        number: Number of pushed orders.
        held: How many of them :func:`held_back` counts.
        sentence: Returns the sentence on the orders that are sent now.
    """
    if number > held or not held:
        report_count(request, number - held, sentence(number - held))
    report_held_back(request, held)


def report_held_back(request: HttpRequest, held: int) -> None:
    """Report the orders of a push that wait; nothing if there are none."""
    if held:
        sentence = ngettext(
            "%(number)d order waits, because nothing is sent at the moment. It is sent as soon as that is solved.",
            "%(number)d orders wait, because nothing is sent at the moment. They are sent as soon as that is solved.",
            held,
        )
        messages.warning(request, sentence % {"number": held})
