"""Push by an operator: the orders that are sent now, those that wait because nothing is sent, and those left out."""

from __future__ import annotations

import collections
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ...models import OutboxEntry, Shipment, ShipmentStatus
from ...orders import OrderRef, keys_by_type, orders_of_type
from ...registry import registry
from ...sync.fold import add_entries
from ...sync.health import Code
from ..actions.action import Rows, in_chunks, notify, report_count
from ..actions.history import log
from ..health import health_of
from .not_sent import is_left_out
from .order_rows import set_order_numbers

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["held_back", "make_due", "push_entries", "push_orders", "report_held_back"]

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


def push_orders(request: HttpRequest, rows: Rows, ref_of: Callable[[Any], OrderRef], done: StrOrPromise) -> None:
    """Push the orders of these rows now, also unchanged ones; log it, notify workers, and report the number.

    Orders that a push would not send are left out, and reported with the reason.

    Args:
        request: Request of the operator.
        rows: Orders, or rows about orders.
        ref_of: Returns the order of a row.
        done: Message for the history of each row.
    """
    pushed: set[OrderRef] = set()
    left_out: dict[OrderRef, StrOrPromise] = {}
    held = 0
    for chunk in in_chunks(rows):
        refs = {row: ref_of(row) for row in chunk}
        left_out |= _left_out_of(refs.values())
        chosen = {row: ref for row, ref in refs.items() if ref not in left_out}
        for order_type, keys in keys_by_type(ref for ref in chosen.values() if ref not in pushed).items():
            # A push skips known content; clearing the digest sends it again.
            known = Shipment.objects.filter(order_type=order_type, order_pk__in=keys, status=ShipmentStatus.SYNCED)
            known.update(digest="")
            held += held_back(request, make_due(order_type, keys))
        log(request, [*chosen], done)
        pushed.update(chosen.values())
    if pushed or not left_out:
        notify("outbox")
        _report_pushed(request, len(pushed), held)
    _report_left_out(request, collections.Counter(map(str, left_out.values())))


def push_entries(request: HttpRequest, rows: Rows) -> None:
    """Push these outbox entries now, whatever they wait for; log it, notify workers, and report the number.

    Content that Sendcloud has already is not sent again: these orders wait for their changes.
    """
    number = held = 0
    for chunk in in_chunks(rows):
        entries = list(chunk)
        set_order_numbers(entries)
        pushed = OutboxEntry.objects.filter(pk__in=[entry.pk for entry in entries])
        number += pushed.retry()
        held += held_back(request, pushed)
        log(request, entries, _("Pushed again."))
    notify("outbox")
    _report_pushed(request, number, held)


def make_due(order_type: str, keys: list[str]) -> QuerySet[OutboxEntry]:
    """Make these orders due immediately, and return their entries. Does not notify workers."""
    add_entries(order_type, keys)
    entries = OutboxEntry.objects.filter(order_type=order_type, order_pk__in=keys)
    entries.retry()
    return entries


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


def _report_pushed(request: HttpRequest, number: int, held: int) -> None:
    """Report this many pushed orders, of which ``held`` wait."""
    if number > held or not held:
        sent = number - held
        sentence = ngettext("%(number)d order is being pushed.", "%(number)d orders are being pushed.", sent)
        report_count(request, sent, sentence % {"number": sent})
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


def _left_out_of(refs: Collection[OrderRef]) -> dict[OrderRef, StrOrPromise]:
    """Return the orders that a push would not send, each with the reason. They are loaded by their adapters."""
    left: dict[OrderRef, StrOrPromise] = {}
    there = _at_sendcloud(refs)
    for order_type, keys in keys_by_type(ref for ref in refs if ref not in there).items():
        adapter = registry.for_order_type(order_type)
        if adapter is None:
            # The push says so.
            continue
        orders = orders_of_type(adapter.get_queryset(), order_type, keys)
        for key in keys:
            if key not in orders:
                left[OrderRef.stored(order_type, key)] = _("The order is gone")
            elif found := is_left_out(orders[key]):
                left[OrderRef.stored(order_type, key)] = found.title
    return left


def _at_sendcloud(refs: Iterable[OrderRef]) -> set[OrderRef]:
    """Return the orders that Sendcloud has, or may have: pushing them may also remove them there."""
    found: set[OrderRef] = set()
    for order_type, keys in keys_by_type(refs).items():
        alive = Shipment.objects.alive().filter(order_type=order_type, order_pk__in=keys)
        found |= {OrderRef.stored(order_type, key) for key in alive.values_list("order_pk", flat=True)}
    return found


def _report_left_out(request: HttpRequest, reasons: dict[str, int]) -> None:
    """Report the orders that were left out of a push, by reason."""
    for reason, count in reasons.items():
        sentence = ngettext(
            "%(number)d order is left out: %(reason)s.", "%(number)d orders are left out: %(reason)s.", count
        )
        messages.warning(request, sentence % {"number": count, "reason": reason})
