"""What happened in the last 24 hours, hour by hour, in a fixed number of statements."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..enums import ParcelPhase
from ..models import Attempt, AttemptOutcome, ParcelStatus, Shipment, ShipmentStatus, Tally
from ..models.parcel import PHASES
from .badges import PHASE_TONES
from .spoken import grouped

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["HEIGHT", "HOURS", "Day", "Row", "last_day", "pushed_since", "scale"]

HOURS = 24
# What the bars are drawn in: one unit wide for each hour.
HEIGHT = 10.0
WIDTH = 0.8
# What a scale may end with: numbers a person counts in, whose halves are round, too.
ROUND = (1, 2, 4, 6, 8)


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One hour of a row, as it is drawn.

    Args:
        x: From the left, in hours.
        y: From the top.
        height: Of ``HEIGHT``.
        hour: When it began, in the current time zone.
        number: How many there were.
        spoken: The same, as it is read.
    """

    x: float
    y: float
    height: float
    hour: dt.datetime
    number: int
    spoken: str


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One kind of thing that happened.

    Args:
        label: What it is.
        tone: ``good``, ``busy``, ``warn``, ``bad`` or ``off``.
        bars: All hours, oldest first.
    """

    label: StrOrPromise
    tone: str
    bars: list[Bar]

    @property
    def total(self) -> int:
        return sum(bar.number for bar in self.bars)

    @property
    def spoken_total(self) -> str:
        return grouped(self.total)


@dataclasses.dataclass(frozen=True, slots=True)
class Tick:
    """A line of the scale.

    Args:
        y: From the top.
        number: What it stands for, as it is read.
    """

    y: float
    number: str


@dataclasses.dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours, all kinds of things on one scale.

    Args:
        rows: The kinds of things.
        ticks: The scale, from its top to zero.
        hours: When each hour began.
    """

    rows: list[Row]
    ticks: list[Tick]
    hours: list[dt.datetime]

    @property
    def table(self) -> list[tuple[dt.datetime, list[str]]]:
        """The same as a table: each hour with the number of every row."""
        lines = zip(*(row.bars for row in self.rows), strict=True)
        return [(bars[0].hour, [bar.spoken for bar in bars]) for bars in lines]


def hours(now: dt.datetime) -> list[dt.datetime]:
    """The last 24 hours in the current time zone, oldest first; the last is the one we are in."""
    # In UTC, where no hour is skipped or counted twice.
    begun = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    return [timezone.localtime(begun - dt.timedelta(hours=back)) for back in reversed(range(HOURS))]


def last_day(now: dt.datetime, *, pushes: bool = True, refusals: bool = True, parcels: bool = True) -> Day:
    """Pushed, refused, and parcels by phase, hour by hour. A statement for each of the three.

    Args:
        now: When the day ends.
        pushes: Whether what was told may be seen.
        refusals: Whether what was refused may be seen.
        parcels: Whether parcels may be seen.
    """
    slots = hours(now)
    counted: list[tuple[StrOrPromise, str, list[tuple[dt.datetime, int]]]] = []
    if pushes:
        told = _told(slots[0])
        counted.append((_("pushed"), "good", [(hour, pushed) for hour, pushed, _deleted in told]))
        # Orders that were cancelled: of interest where there are any.
        if any(deleted for _hour, _pushed, deleted in told):
            counted.append((_("deleted"), "off", [(hour, deleted) for hour, _pushed, deleted in told]))
    if refusals:
        refused = Attempt.objects.using(conf().DATABASE).filter(at__gte=slots[0], outcome=AttemptOutcome.REFUSED)
        counted.append((_("refused"), "bad", _by_hour(refused, "at")))
    if parcels:
        moved = ParcelStatus.objects.using(conf().DATABASE).filter(at__gte=slots[0], at__lte=now)
        labels = dict(PHASES)
        by_phase: dict[str, list[tuple[dt.datetime, int]]] = {}
        for phase, hour, number in _by_hour(moved, "at", "phase"):
            by_phase.setdefault(phase, []).append((hour, number))
        for each in ParcelPhase:
            if each.value in by_phase:
                # The same words as in the lists, and with them what it is that is delivered.
                label = format_lazy(_("parcels: {phase}"), phase=labels[each.value])
                counted.append((label, PHASE_TONES[each.value], by_phase[each.value]))
    numbers = [_numbers(slots, found) for _label, _tone, found in counted]
    top, step = scale(max((number for each in numbers for number in each), default=0))
    rows = [_row(label, tone, slots, each, top) for (label, tone, _), each in zip(counted, numbers, strict=True)]
    ticks = [Tick(round(HEIGHT * (top - at) / top, 2), grouped(at)) for at in range(top, -1, -step)]
    return Day(rows, ticks, slots)


def scale(most: int) -> tuple[int, int]:
    """The top of a scale for numbers up to ``most``, and the step between its lines."""
    power = 1
    while most > ROUND[-1] * power:
        power *= 10
    top = next(digit * power for digit in ROUND if most <= digit * power)
    return top, max(top // 2, 1)


def _told(since: dt.datetime) -> list[tuple[dt.datetime, int, int]]:
    """Hour, and how many shipments Sendcloud was told of and told to forget. One statement."""
    told = Tally.objects.using(conf().DATABASE).filter(hour__gte=since).order_by().values_list("hour")
    return list(told.annotate(Sum("pushed"), Sum("deleted")))


def pushed_since(midnight: dt.datetime) -> dict[int, int]:
    """How many shipments Sendcloud was told since then, by integration. One statement."""
    told = Shipment.objects.using(conf().DATABASE).filter(told_at__gte=midnight, status=ShipmentStatus.SYNCED)
    return dict(told.order_by().values_list("integration").annotate(number=Count("pk")))


def _by_hour(rows: QuerySet[Any], moment: str, *more: str) -> list[Any]:
    # In UTC, as in ``hours``: a local hour may exist twice.
    grouped = rows.order_by().annotate(hour=TruncHour(moment, tzinfo=dt.UTC)).values_list(*more, "hour")
    return list(grouped.annotate(number=Count("pk")))


def _numbers(slots: Sequence[dt.datetime], found: Iterable[tuple[dt.datetime, int]]) -> list[int]:
    numbers = {slot.astimezone(dt.UTC): 0 for slot in slots}
    for hour, number in found:
        if hour in numbers:
            numbers[hour] += number
    return list(numbers.values())


def _row(label: StrOrPromise, tone: str, slots: Sequence[dt.datetime], numbers: Sequence[int], top: int) -> Row:
    bars = []
    for x, (slot, number) in enumerate(zip(slots, numbers, strict=True)):
        # What is there is seen, however little it is.
        height = round(max(HEIGHT * number / top, 0.3), 2) if number else 0.0
        y = round(HEIGHT - height, 2)
        bars.append(Bar(round(x + (1 - WIDTH) / 2, 2), y, height, slot, number, grouped(number)))
    return Row(label, tone, bars)
