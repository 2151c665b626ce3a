"""History of one order: recorded, sent, rejected, fixed, label, printed, scanned, delivered, returned; when, by whom.

Nothing is stored for it. It is derived from shipments, attempts, parcels and Django's own history, so that it stays
after the outbox entry is gone. Three statements, beside the rows that the page has loaded.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...enums import ParcelPhase
from ...models import Attempt, AttemptOutcome, OutboxEntry, Parcel, Shipment
from ...models.delivery import PHASES
from ..actions.history import render_message
from ..explanations.causes import Cause
from ..ui.badges import PHASE_TONES
from .state import OrderState, ref_of

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Step", "history_of"]

# Attempts, and entries of Django's history, that are read.
MAX_STEPS = 100
# A shipment's time and its attempt's are two readings of the clock.
SAME_PUSH = dt.timedelta(minutes=1)
_LABELS = dict(PHASES)


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to an order.

    Args:
        at: Its time.
        tone: ``good``, ``busy``, ``warn``, ``bad`` or ``off``.
        title: The event in a few words.
        detail: The object or the reason.
        by: Operator who did it.
    """

    at: dt.datetime
    tone: str
    title: StrOrPromise
    detail: StrOrPromise = ""
    by: str = ""


def history_of(order: models.Model, state: OrderState) -> list[Step]:
    """Return what happened to an order, the newest first.

    Args:
        order: The shop's order.
        state: Its state, with the parcels that the operator may see and their timelines.
    """
    attempts = list(Attempt.objects.of(ref_of(order)).newest_first()[:MAX_STEPS])
    steps = [*_of_entry(state), *_of_shipments(state, attempts), *_of_attempts(attempts)]
    for parcel in state.parcels:
        steps += _of_parcel(parcel)
    steps += _of_operators(order, state)
    return sorted(steps, key=lambda step: step.at, reverse=True)


def _of_entry(state: OrderState) -> Iterator[Step]:
    if state.entry is not None:
        title = _("Deletion recorded") if state.entry.is_deletion else _("Change recorded")
        yield Step(state.entry.recorded_at, "busy", title)


def _of_shipments(state: OrderState, attempts: list[Attempt]) -> Iterator[Step]:
    sent = [attempt.at for attempt in attempts if attempt.outcome == AttemptOutcome.SENT]
    several = len(state.shipments) > 1
    for shipment in state.shipments:
        name = str(shipment) if several else ""
        yield Step(shipment.created_at, "off", _("Recorded"), name)
        pushed = shipment.last_pushed_at
        if shipment.deleted_at is not None:
            # Its last push was its deletion.
            yield Step(shipment.deleted_at, "off", _("Removed at Sendcloud"), name)
        elif pushed is not None and not any(abs(pushed - at) < SAME_PUSH for at in sent):
            yield Step(pushed, "good", _("Sent"), name)


def _of_attempts(attempts: list[Attempt]) -> Iterator[Step]:
    for attempt in attempts:
        if attempt.outcome == AttemptOutcome.SENT:
            yield Step(attempt.at, "good", _("Sent"))
            continue
        rejected = attempt.outcome == AttemptOutcome.REJECTED
        detail = Cause(attempt.code, attempt.field, attempt.rule).title if attempt.code else ""
        if attempt.count > 1:
            detail += " " + ngettext("(%(number)d time)", "(%(number)d times)", attempt.count) % {
                "number": attempt.count
            }
        yield Step(
            attempt.at, "bad" if rejected else "warn", _("Rejected") if rejected else _("Sending failed"), detail
        )


def _of_parcel(parcel: Parcel) -> Iterator[Step]:
    """Yield a step for each phase that a parcel entered, and for the print of its label."""
    name = gettext("return %(parcel)s") % {"parcel": parcel} if parcel.is_return else str(parcel)
    timeline = sorted(parcel.timeline.all(), key=lambda status: (status.event_ms, status.status_id))
    if not timeline:
        yield Step(parcel.created_at, "busy", _LABELS[ParcelPhase.ANNOUNCED.value], name)
    before = ""
    for status in timeline:
        if status.phase != before and status.phase != ParcelPhase.UNKNOWN.value:
            yield Step(status.at, PHASE_TONES.get(status.phase, "off"), _title(status.phase), name)
            before = status.phase
    if parcel.printed_at is not None:
        yield Step(parcel.printed_at, "off", _("Label printed"), name, parcel.printed_by)


def _title(phase: str) -> StrOrPromise:
    if phase == ParcelPhase.IN_TRANSIT.value:
        return _("Scanned by the carrier")
    return _LABELS.get(phase, phase)


def _of_operators(order: models.Model, state: OrderState) -> Iterator[Step]:
    """Yield what operators did in the admin with the order, its shipments and its entries. Two statements."""
    if not apps.is_installed("django.contrib.admin"):
        # A shop with a back office of its own has no such history.
        return
    from django.contrib.admin.models import LogEntry
    from django.contrib.contenttypes.models import ContentType

    concrete = order._meta.concrete_model or type(order)
    kinds = ContentType.objects.get_for_models(
        type(order), concrete, *concrete._meta.all_parents, Shipment, OutboxEntry, for_concrete_models=False
    )
    rows = {model: kind.pk for model, kind in kinds.items()}
    shipments, entries = rows.pop(Shipment), rows.pop(OutboxEntry)
    wanted = Q(content_type__in=[*rows.values()], object_id=str(order.pk))
    if state.shipments:
        wanted |= Q(content_type=shipments, object_id__in=[str(shipment.pk) for shipment in state.shipments])
    if numbers := _own_numbers(state):
        # An entry's key is unknown after it was sent; the history has its order number.
        wanted |= Q(content_type=entries, object_repr__in=numbers)
    elif state.entry is not None:
        wanted |= Q(content_type=entries, object_id=str(state.entry.pk))
    found: Any = LogEntry.objects.filter(wanted).select_related("user").order_by("-action_time")[:MAX_STEPS]
    seen: set[tuple[Any, ...]] = set()
    for entry in found:
        text = render_message(entry.get_change_message())
        if entry.is_addition() and not text:
            text = gettext("Added.")
        name = entry.user.get_username()
        # One action on several objects is one step.
        key = (text, name, entry.action_time.replace(microsecond=0))
        if text and key not in seen:
            seen.add(key)
            yield Step(entry.action_time, "off", text, "", name)


def _own_numbers(state: OrderState) -> set[str]:
    """Return the numbers that only this order has: another one may have the same."""
    numbers = {shipment.order_number for shipment in state.shipments} - {""}
    if not numbers:
        return numbers
    mine = [shipment.pk for shipment in state.shipments]
    others = Shipment.objects.filter(order_number__in=numbers).exclude(pk__in=mine)
    return numbers - set(others.values_list("order_number", flat=True))
