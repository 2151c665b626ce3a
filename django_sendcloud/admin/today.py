"""What happened in the last 24 hours, hour by hour, in a fixed number of statements."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..enums import ParcelPhase
from ..models import Attempt, AttemptOutcome, ParcelStatus, Shipment, ShipmentStatus
from ..models.parcel import PHASES
from .badges import PHASE_TONES

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["HOURS", "Row", "by_hour", "last_day", "pushed_since"]

HOURS = 24
# What the bars are drawn in: one unit wide for each hour.
HEIGHT = 10.0
WIDTH = 0.8


@dataclasses.dataclass(frozen=True, slots=True)
class Bar:
    """One hour of a row, as it is drawn.

    Args:
        x: From the left, in hours.
        y: From the top.
        height: Of ``HEIGHT``.
        hour: When it began, in the current time zone.
        number: How many there were.
    """

    x: float
    y: float
    height: float
    hour: dt.datetime
    number: int


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
    def most(self) -> int:
        """The greatest number in one hour."""
        return max(bar.number for bar in self.bars)


def hours(now: dt.datetime) -> list[dt.datetime]:
    """The last 24 hours in the current time zone, oldest first; the last is the one we are in."""
    # In UTC, where no hour is skipped or counted twice.
    begun = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    return [timezone.localtime(begun - dt.timedelta(hours=back)) for back in reversed(range(HOURS))]


def last_day(now: dt.datetime) -> list[Row]:
    """Pushed, refused, and parcels by phase, hour by hour. Three statements."""
    slots = hours(now)
    database = conf().DATABASE
    refused = Attempt.objects.using(database).filter(at__gte=slots[0], outcome=AttemptOutcome.REFUSED)
    moved = ParcelStatus.objects.using(database).filter(at__gte=slots[0], at__lte=now)
    by_phase: dict[str, list[tuple[dt.datetime, int]]] = {}
    for phase, hour, number in _by_hour(moved, "at", "phase"):
        by_phase.setdefault(phase, []).append((hour, number))
    rows = [
        _row(_("pushed"), "good", slots, [(hour, number) for _, hour, number in pushed(slots[0])]),
        _row(_("refused"), "bad", slots, _by_hour(refused, "at")),
    ]
    labels = dict(PHASES)
    for phase in ParcelPhase:
        if phase.value in by_phase:
            rows.append(_row(labels[phase.value], PHASE_TONES[phase.value], slots, by_phase[phase.value]))
    return rows


def by_hour(rows: Sequence[Row]) -> list[tuple[dt.datetime, list[int]]]:
    """The same as a table: each hour with the number of every row."""
    return [(bars[0].hour, [bar.number for bar in bars]) for bars in zip(*(row.bars for row in rows), strict=True)]


def pushed(since: dt.datetime) -> list[tuple[int, dt.datetime, int]]:
    """Integration, hour and number of shipments that Sendcloud was told then for the last time. One statement."""
    told = Shipment.objects.using(conf().DATABASE).filter(told_at__gte=since, status=ShipmentStatus.SYNCED)
    return _by_hour(told, "told_at", "integration")


def pushed_since(midnight: dt.datetime) -> dict[int, int]:
    """How many shipments Sendcloud was told since then, by integration. One statement."""
    told = Shipment.objects.using(conf().DATABASE).filter(told_at__gte=midnight, status=ShipmentStatus.SYNCED)
    return dict(told.order_by().values_list("integration").annotate(number=Count("pk")))


def _by_hour(rows: QuerySet[Any], moment: str, *more: str) -> list[Any]:
    # In UTC, as in ``hours``: a local hour may exist twice.
    grouped = rows.order_by().annotate(hour=TruncHour(moment, tzinfo=dt.UTC)).values_list(*more, "hour")
    return list(grouped.annotate(number=Count("pk")))


def _row(label: StrOrPromise, tone: str, slots: Sequence[dt.datetime], found: Iterable[tuple[dt.datetime, int]]) -> Row:
    numbers = {slot.astimezone(dt.UTC): 0 for slot in slots}
    for hour, number in found:
        if hour in numbers:
            numbers[hour] += number
    most = max(numbers.values()) or 1
    bars = []
    for x, (slot, number) in enumerate(zip(slots, numbers.values(), strict=True)):
        # What is there is seen, however little it is.
        height = round(max(HEIGHT * number / most, 0.5), 2) if number else 0.0
        bars.append(Bar(x + (1 - WIDTH) / 2, round(HEIGHT - height, 2), height, slot, number))
    return Row(label, tone, bars)
