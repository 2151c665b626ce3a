"""Sparklines of the last 24 hours: each draws the rows of a list by the hour, and leads to that list."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet
from django.db.models.functions import TruncHour
from django.utils import timezone
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ...enums import ParcelPhase
from ...models import EntryState, OutboxEntry, Parcel, Shipment, ShipmentStatus
from ...models.delivery import PHASES
from ..lists.filters import last_24_hours
from ..ui.badges import PHASE_TONES
from ..ui.humanize import format_number
from .snapshot import Snapshot

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["HEIGHT", "WIDTH", "Day", "Sparkline", "last_day"]

# Coordinates of a drawing: one unit of width from one hour to the next. The oldest of the 25 hours is not whole.
WIDTH, HEIGHT = 24, 10


@dataclasses.dataclass(frozen=True, slots=True)
class Sparkline:
    """One figure and how it came about.

    Args:
        label: Name of the figure.
        tone: ``good``, ``busy``, ``warn``, ``bad`` or ``off``.
        url: List of the counted rows; ``""`` if the operator may not open it.
        numbers: Count of each hour, oldest first.
    """

    label: StrOrPromise
    tone: str
    url: str
    numbers: list[int]

    @property
    def total(self) -> int:
        return sum(self.numbers)

    @property
    def formatted_total(self) -> str:
        return format_number(self.total)

    @property
    def points(self) -> str:
        """Return the line as SVG writes its points, in any language."""
        top = max(*self.numbers, 1)
        return " ".join(f"{x},{HEIGHT - HEIGHT * number / top:.2f}" for x, number in enumerate(self.numbers))


@dataclasses.dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours.

    Args:
        hours: Start of each hour, in the current time zone, oldest first.
        sparklines: The figures this operator may see.
    """

    hours: list[dt.datetime]
    sparklines: list[Sparkline]

    @property
    def table(self) -> list[tuple[dt.datetime, list[str]]]:
        """Return the sparklines as a table: each hour with the number of every figure."""
        lines = zip(*(sparkline.numbers for sparkline in self.sparklines), strict=True)
        return [
            (hour, [format_number(number) for number in line]) for hour, line in zip(self.hours, lines, strict=False)
        ]


def last_day(snapshot: Snapshot) -> Day:
    """Count sent orders, orders that need a fix, and parcels by phase, hour by hour. Three statements."""
    now = snapshot.now
    # UTC skips no hour and has none twice.
    begun = now.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)
    hours = [begun - dt.timedelta(hours=back) for back in range(WIDTH, -1, -1)]
    found: list[Sparkline] = []

    def draw(label: StrOrPromise, tone: str, url: str, counts: Mapping[dt.datetime, int]) -> None:
        found.append(Sparkline(label, tone, url, [counts.get(hour, 0) for hour in hours]))

    if snapshot.sees_shipments:
        sent = ShipmentStatus.SYNCED.value
        rows = Shipment.objects.filter(last_24_hours("last_pushed_at", now), status=sent)
        url = snapshot.list(Shipment, age="day", status__exact=sent)
        draw(_("sent"), "good", url, _by_hour(rows, "last_pushed_at")[()])
    if snapshot.sees_orders:
        entries = OutboxEntry.objects.filter(last_24_hours("recorded_at", now), state=EntryState.REJECTED)
        url = snapshot.list(OutboxEntry, age="day", state=EntryState.REJECTED.value)
        draw(_("fix needed"), "bad", url, _by_hour(entries, "recorded_at")[()])
    if snapshot.sees_parcels:
        # The phases are named for the index, which begins with them.
        parcels = Parcel.objects.filter(last_24_hours("status_at", now), phase__in=[*ParcelPhase])
        by_phase = _by_hour(parcels, "status_at", "phase")
        for phase, label in PHASES:
            if counts := by_phase.get((phase,)):
                url = snapshot.list(Parcel, age="day", phase__exact=phase)
                # Use the words of the lists, prefixed with *parcels*.
                draw(format_lazy(_("parcels: {phase}"), phase=label), PHASE_TONES[phase], url, counts)
    return Day([timezone.localtime(hour) for hour in hours], found)


def _by_hour(rows: QuerySet[Any], moment: str, *by: str) -> dict[tuple[Any, ...], dict[dt.datetime, int]]:
    """Count rows by these fields and by the hour of a moment. One statement."""
    found: dict[tuple[Any, ...], dict[dt.datetime, int]] = defaultdict(dict)
    hours = rows.order_by().annotate(hour=TruncHour(moment, tzinfo=dt.UTC)).values_list(*by, "hour")
    for *key, hour, number in hours.annotate(number=Count("pk")):
        found[tuple(key)][hour] = number
    return found
