"""The one applier of parcel updates, from webhooks and from polling, in whatever order they arrive.

Updates are ordered by Sendcloud's time, then by the carrier's time, then by the digest of their body: a total order, so
that every permutation of the same updates ends in the same state. Each field of a parcel has the value of the newest
update that mentions it. The status is derived from the whole timeline: an update whose carrier time lies before a
delivery never undoes the delivery.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..enums import ParcelPhase
from ..models import Integration, Parcel, ParcelStatus
from ..models.statuses import STATUSES
from .delivery import delivery_inputs, store_deliveries
from .journey import change, current_step, phase_changes, step_key
from .matching import match_all
from .parse import FIELDS, ParcelUpdate, from_milliseconds
from .statuses import phase_of

__all__ = ["Applied", "Update", "apply_updates", "as_of"]

# The columns that an update may change.
_COLUMNS = [*FIELDS, "status_id", "status_message", "phase", "status_at", "last_event_ms", "versions"]


@dataclasses.dataclass(frozen=True, slots=True)
class Update:
    """One update, with its place in the order of all updates.

    Args:
        integration: The integration that reported it.
        content: What it says.
        event_ms: Sendcloud's time in milliseconds.
        digest: The digest of its body.
    """

    integration: Integration
    content: ParcelUpdate
    event_ms: int
    digest: str

    @property
    def key(self) -> tuple[int, int]:
        """The parcel's identity."""
        return self.integration.pk, self.content.remote_id

    @property
    def version(self) -> str:
        """Its place in the order, as text that sorts."""
        carrier = self.content.carrier_at
        carrier_ms = max(0, int(carrier.timestamp() * 1000)) if carrier else 0
        return f"{self.event_ms:019d}.{carrier_ms:019d}.{self.digest[:16]}"


@dataclasses.dataclass(slots=True)
class Applied:
    """The effect of one update.

    Args:
        parcel: The parcel as this update left it, with a primary key.
        created: The update is the parcel's first.
        moved: The parcel has another status than before.
        status: The status it has now.
        previous_status_id: The status it had before.
        affects_delivery: The delivery of its shipment depends on what has changed.
        changes: The phases it has entered that its order does not know yet, as JSON; empty while no shipment is known.
    """

    parcel: Parcel
    created: bool
    moved: bool
    status: ParcelStatus | None
    previous_status_id: int | None
    affects_delivery: bool = False
    changes: list[dict[str, Any]] = dataclasses.field(default_factory=list)


def apply_updates(updates: Sequence[Update]) -> list[Applied]:
    """Apply updates in a handful of statements, within the open transaction.

    Locks the known parcels in the order of their keys, and creates the others in the order of their remote ids.

    Returns:
        An effect for each update, in the order of the updates.

    Raises:
        IntegrityError: Another worker has created one of the parcels meanwhile. The transaction has to begin again.
    """
    parcels = _locked(updates)
    journeys = _journeys(parcels.values())
    before = {key: delivery_inputs(parcel) for key, parcel in parcels.items()}
    new = {update.key for update in updates} - parcels.keys()
    for integration_id, remote_id in new:
        parcels[integration_id, remote_id] = Parcel(integration_id=integration_id, remote_id=remote_id)
    first_seen = {key: parcel.created_at for key, parcel in parcels.items() if key not in new}
    steps: list[ParcelStatus] = []
    applied: list[Applied] = []
    for update in updates:
        parcel, created = parcels[update.key], update.key in new
        created = created and not any(done.parcel is parcel for done in applied)
        inputs = delivery_inputs(parcel)
        _take_fields(parcel, update)
        parcel.last_event_ms = max(parcel.last_event_ms, update.event_ms)
        previous, previous_phase = parcel.status_id, parcel.phase
        journey = journeys.setdefault(update.key, [])
        step = _step(parcel, update)
        if step is not None and not any(step_key(step) == step_key(known) for known in journey):
            journey.append(step)
            steps.append(step)
        now = current_step(journey)
        _take_status(parcel, now)
        done = Applied(parcel, created, parcel.status_id != previous, now, previous)
        done.affects_delivery = parcel.shipment_id is not None and delivery_inputs(parcel) != inputs
        if now is not None and parcel.shipment_id is not None and parcel.phase != previous_phase:
            done.changes = [change(previous_phase, now)]
        applied.append(done)
    _link(parcels, journeys, applied)
    Parcel.objects.bulk_create([parcels[key] for key in sorted(new)])
    if known := [parcel for key, parcel in parcels.items() if key not in new]:
        Parcel.objects.insert_or_update(known, update_fields=[*_COLUMNS, "shipment", "updated_at"])
    for key, moment in first_seen.items():
        parcels[key].created_at = moment  # auto_now_add took the statement for an INSERT
    for step in steps:
        step.parcel_id = step.parcel.pk
    ParcelStatus.objects.bulk_create(steps, ignore_conflicts=True)
    store_deliveries(
        {parcel.shipment_id for key, parcel in parcels.items() if delivery_inputs(parcel) != before.get(key)}
    )
    for done, parcel in zip(applied, [as_of(done.parcel, done.status) for done in applied], strict=True):
        done.parcel = parcel
    return applied


def as_of(parcel: Parcel, status: ParcelStatus | None) -> Parcel:
    """Return a copy of the parcel with the status it had at an update, which later updates may have replaced."""
    then = copy.copy(parcel)
    _take_status(then, status)
    return then


def _locked(updates: Sequence[Update]) -> dict[tuple[int, int], Parcel]:
    """Return the known parcels, locked in an order that all workers share."""
    rows = Parcel.objects.filter(
        integration__in={update.integration for update in updates},
        remote_id__in={update.content.remote_id for update in updates},
    )
    wanted = {update.key for update in updates}
    locked = rows.select_for_update().order_by("pk")
    found = {(parcel.integration_id, parcel.remote_id): parcel for parcel in locked}
    return {key: parcel for key, parcel in found.items() if key in wanted}


def _journeys(parcels: Iterable[Parcel]) -> dict[tuple[int, int], list[ParcelStatus]]:
    """Return the steps of known parcels, in one query."""
    by_pk = {parcel.pk: parcel for parcel in parcels}
    journeys: dict[tuple[int, int], list[ParcelStatus]] = {}
    if by_pk:
        for step in ParcelStatus.objects.filter(parcel__in=by_pk):
            parcel = by_pk[step.parcel_id]
            journeys.setdefault((parcel.integration_id, parcel.remote_id), []).append(step)
    return journeys


def _take_fields(parcel: Parcel, update: Update) -> None:
    """Let each field that the update mentions have its value, unless a newer update has mentioned the field."""
    version = update.version
    versions = {name: each for each, names in parcel.versions.items() for name in names}
    for name, value in update.content.fields.items():
        if version > versions.get(name, ""):
            setattr(parcel, name, value)
            versions[name] = version
    grouped: dict[str, list[str]] = {}
    for name, each in sorted(versions.items()):
        grouped.setdefault(each, []).append(name)
    parcel.versions = grouped


def _take_status(parcel: Parcel, step: ParcelStatus | None) -> None:
    if step is not None:
        parcel.status_id, parcel.status_message = step.status_id, step.message
        parcel.phase, parcel.status_at = step.phase, step.at


def _step(parcel: Parcel, update: Update) -> ParcelStatus | None:
    content = update.content
    if content.status_id is None:
        return None
    known = STATUSES.get(content.status_id, ("", ParcelPhase.UNKNOWN))[0]
    return ParcelStatus(
        parcel=parcel,
        status_id=content.status_id,
        message=content.status_message or known,
        phase=phase_of(content.status_id).value,
        event_ms=update.event_ms,
        at=from_milliseconds(update.event_ms) or dt.datetime.now(dt.UTC),
        carrier_at=content.carrier_at,
    )


def _link(
    parcels: Mapping[tuple[int, int], Parcel],
    journeys: Mapping[tuple[int, int], list[ParcelStatus]],
    applied: Sequence[Applied],
) -> None:
    """Connect parcels with their shipments. The update that does so makes the whole journey known to the order."""
    for parcel, shipment in match_all([parcel for parcel in parcels.values() if parcel.shipment_id is None]):
        parcel.shipment = shipment
        key = parcel.integration_id, parcel.remote_id
        last = [done for done in applied if done.parcel is parcel][-1]
        last.changes = phase_changes(journeys.get(key, ()))
