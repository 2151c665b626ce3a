"""Reasons why an order is not at Sendcloud, asked from its adapter."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...adapters import NotShippable
from ...core.dates import date_and_time
from ...models import Shipment
from ...orders import OrderRef, keys_by_type, orders_of_type
from ...registry import registry

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["NotSent", "at_sendcloud", "is_left_out", "left_out_of", "report_left_out", "why_not_sent"]


@dataclasses.dataclass(frozen=True, slots=True)
class NotSent:
    """Reason why an order is not sent.

    Args:
        title: The reason in a few words.
        text: The event or action that sends it.
        can_push: Whether pushing the order sends it.
    """

    title: StrOrPromise
    text: StrOrPromise
    can_push: bool = False


def why_not_sent(order: models.Model, *, was_there: bool = False) -> NotSent | None:
    """Return why an order that is not at Sendcloud is not sent; ``None`` if no adapter handles it.

    Args:
        order: An order, neither at Sendcloud nor on its way there.
        was_there: Whether it has been at Sendcloud.
    """
    adapter = registry.for_model(type(order))
    if adapter is None:
        return None
    try:
        answer: Any = adapter.shippable(order)
        at = adapter.next_recheck(order)
        if answer and next(iter(adapter.get_shipments(order)), None) is None:
            answer = NotShippable("nothing_to_ship", _("Nothing in the order is to be shipped."))
    except Exception:
        # The shop's own code may raise anything; a push explains it.
        return NotSent(_("Not sent yet"), _("Push it to find out what is wrong with it."), can_push=True)
    if answer is None:
        return NotSent(
            _("The shop leaves this order alone"),
            _("The shop's rules exclude it from Sendcloud, for instance because it is older than the connection."),
        )
    if not answer:
        # The pages add the full stop.
        reason = str(getattr(answer, "reason", "")).rstrip(".")
        title = reason or _("The order is not to be shipped now")
        if at is not None:
            moment = date_and_time(at)
            return NotSent(title, gettext("Checked again automatically: %(moment)s") % {"moment": moment})
        return NotSent(
            title,
            _("It is sent automatically as soon as the shop marks it as ready to ship: a paid order, for instance."),
        )
    if was_there:
        return NotSent(
            _("Removed at Sendcloud"),
            _("It is sent again as soon as it changes, or if you push it."),
            can_push=True,
        )
    return NotSent(
        _("No change of this order has been recorded"),
        _("It may be older than the connection, or was changed by a bulk update. Save it or push it to send it."),
        can_push=True,
    )


def is_left_out(order: models.Model) -> NotSent | None:
    """Return why pushing the order would not send it; ``None`` if it would."""
    found = why_not_sent(order)
    return None if found is None or found.can_push else found


def at_sendcloud(refs: Iterable[OrderRef]) -> set[OrderRef]:
    """Return the orders that Sendcloud has, or may have: pushing them may also remove them there."""
    found: set[OrderRef] = set()
    for order_type, keys in keys_by_type(refs).items():
        alive = Shipment.objects.alive().filter(order_type=order_type, order_pk__in=keys)
        found |= {OrderRef.stored(order_type, key) for key in alive.values_list("order_pk", flat=True)}
    return found


def left_out_of(refs: Collection[OrderRef]) -> dict[OrderRef, StrOrPromise]:
    """Return the orders that a push would not send, each with the reason. They are loaded by their adapters."""
    left: dict[OrderRef, StrOrPromise] = {}
    there = at_sendcloud(refs)
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


def report_left_out(request: HttpRequest, reasons: Mapping[str, int]) -> None:
    """Report the orders that were left out of a push, by reason."""
    for reason, count in reasons.items():
        sentence = ngettext(
            "%(number)d order is left out: %(reason)s.", "%(number)d orders are left out: %(reason)s.", count
        )
        messages.warning(request, sentence % {"number": count, "reason": reason})
