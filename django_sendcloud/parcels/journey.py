"""The journey of a parcel: the steps of its timeline, and the phases it has entered on them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable
from typing import Any

from ..enums import ParcelPhase
from ..models import ParcelStatus

__all__ = ["change", "current_step", "phase_changes", "step_key"]

_EARLIEST = dt.datetime(1, 1, 2, tzinfo=dt.UTC)


def phase_changes(steps: Iterable[ParcelStatus]) -> list[dict[str, Any]]:
    """Return the phases a parcel has entered on its way, oldest first, as JSON."""
    changes: list[dict[str, Any]] = []
    previous, delivered = ParcelPhase.UNKNOWN.value, None
    for step, carrier_at in _timed(steps):
        if step.phase == ParcelPhase.DELIVERED.value:
            delivered = max(carrier_at or step.at, delivered or _EARLIEST)
        elif delivered and carrier_at and carrier_at < delivered:
            continue
        if step.phase != previous:
            changes.append(change(previous, step))
            previous = step.phase
    return changes


def change(previous: str, step: ParcelStatus) -> dict[str, Any]:
    """Return the change from one phase to that of a step, as JSON."""
    return {
        "previous": "" if previous == ParcelPhase.UNKNOWN.value else str(previous),
        "phase": str(step.phase),
        "at": step.at.isoformat(),
        "carrier_at": step.carrier_at.isoformat() if step.carrier_at else None,
    }


def step_key(step: ParcelStatus) -> tuple[int, int]:
    """Return what identifies a step within its parcel."""
    return step.event_ms, step.status_id


def _order(step: ParcelStatus) -> tuple[int, dt.datetime, int]:
    return step.event_ms, step.carrier_at or _EARLIEST, step.status_id


def _timed(steps: Iterable[ParcelStatus]) -> list[tuple[ParcelStatus, dt.datetime | None]]:
    """Return the steps in their order, each with the carrier's time.

    One without a time has that of the same status beside it: Sendcloud's list repeats the last, without a time.
    """
    timed: list[tuple[ParcelStatus, dt.datetime | None]] = []
    for _status_id, group in itertools.groupby(sorted(steps, key=_order), key=lambda step: step.status_id):
        repeated = list(group)
        known = max((step.carrier_at for step in repeated if step.carrier_at is not None), default=None)
        timed += [(step, step.carrier_at or known) for step in repeated]
    return timed


def _not_overruled(steps: Iterable[ParcelStatus]) -> list[ParcelStatus]:
    """Return the steps that no delivery overrules: those the carrier has not timed before it."""
    timed = _timed(steps)
    delivered = [at or step.at for step, at in timed if step.phase == ParcelPhase.DELIVERED.value]
    last = max(delivered, default=_EARLIEST)
    return [step for step, at in timed if step.phase == ParcelPhase.DELIVERED.value or at is None or at >= last]


def current_step(steps: Iterable[ParcelStatus]) -> ParcelStatus | None:
    """Return the step that a parcel has reached."""
    return max(_not_overruled(steps), key=_order, default=None)
