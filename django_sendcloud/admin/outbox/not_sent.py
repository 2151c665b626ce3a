"""Reasons why an order is not at Sendcloud, asked from its adapter."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...adapters import NotShippable
from ...core.dates import date_and_time
from ...registry import registry

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["NotSent", "is_left_out", "why_not_sent"]


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
