"""The meaning of each action, within the transaction that applies it: its effect, and the steps that follow."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.clock import clock
from ..enums import WebhookAction
from ..models import ErasedKey, EventState, Parcel, WebhookEvent
from ..parcels.parse import ParcelUpdate
from ..parcels.updates import Applied, Update, apply_updates
from .credentials import REMOVED
from .steps import STEPS_OF_ACTIONS

__all__ = ["PARCEL_ACTIONS", "Outcome", "apply_event", "apply_parcel_events"]

# An update from further ahead than this counts as one of its arrival: a clock was wrong.
FUTURE = dt.timedelta(hours=24)

#: Actions that update a parcel.
PARCEL_ACTIONS = (WebhookAction.PARCEL_STATUS_CHANGED, WebhookAction.PARCEL_POLLED)

_KEYS = ("shipment_uuid", "external_order_id", "order_number")


@dataclasses.dataclass(slots=True)
class Outcome:
    """The effect of an event, and the steps that follow its commit.

    Args:
        ends: The state of the event once its steps have run.
        note: A code with its parameters.
        parcel: The parcel it was about.
        follow_ups: The names of its steps, with what they need to know later.
    """

    ends: EventState = EventState.PROCESSED
    note: dict[str, Any] = dataclasses.field(default_factory=dict)
    parcel: Parcel | None = None
    follow_ups: dict[str, Any] = dataclasses.field(default_factory=dict)


def apply_event(event: WebhookEvent, payload: Mapping[str, Any]) -> Outcome:
    """Apply one event within the open transaction.

    Raises:
        ParseError: It cannot be read.
        IntegrityError: Another worker has created the parcel meanwhile.
    """
    if event.action in PARCEL_ACTIONS:
        return apply_parcel_events([(event, ParcelUpdate.read(payload))])[0]
    if event.action == WebhookAction.TEST_WEBHOOK:
        return _with_steps(event, Outcome(note={"code": "test"}))
    if event.action not in STEPS_OF_ACTIONS:
        return _with_steps(event, Outcome(EventState.IGNORED, {"code": "unknown_action"}))
    if event.action == WebhookAction.INTEGRATION_CREDENTIALS and payload.get("secret_key") in (None, REMOVED):
        return Outcome(EventState.IGNORED, {"code": "keys_not_expected"}, follow_ups={"steps": ["webhook_received"]})
    return _with_steps(event, Outcome())


def apply_parcel_events(events: Sequence[tuple[WebhookEvent, ParcelUpdate]]) -> list[Outcome]:
    """Apply updates of parcels together, in a handful of statements.

    Raises:
        IntegrityError: Another worker has created one of the parcels meanwhile.
    """
    erased = ErasedKey.objects.among(
        (event.integration_id, {"remote_id": content.remote_id} | {key: content.fields.get(key) for key in _KEYS})
        for event, content in events
    )
    outcomes = [Outcome(note={"code": "erased"}, follow_ups={"steps": []}) if gone else Outcome() for gone in erased]
    updates = []
    left = [(*item, outcome) for item, outcome, gone in zip(events, outcomes, erased, strict=True) if not gone]
    for event, content, outcome in left:
        # Without a usable time of Sendcloud's it counts as one of its arrival, by the database's clock at the latest.
        arrived = int(min(event.received_at, clock.now()).timestamp() * 1000)
        if event.event_ms is None or event.event_ms > arrived + FUTURE.total_seconds() * 1000:
            if event.event_ms is not None:
                outcome.note = {"code": "time_in_the_future"}
            event.event_ms = arrived
        updates.append(Update(event.integration, content, event.event_ms, event.digest))
    for (event, _, outcome), applied in zip(left, apply_updates(updates) if updates else (), strict=True):
        outcome.parcel = applied.parcel
        outcome.follow_ups = _parcel_follow_ups(applied)
        _with_steps(event, outcome)
    return outcomes


def _with_steps(event: WebhookEvent, outcome: Outcome) -> Outcome:
    steps = outcome.follow_ups.get("steps", [event.action] if event.action in STEPS_OF_ACTIONS else [])
    received = [] if event.action == WebhookAction.PARCEL_POLLED else ["webhook_received"]
    outcome.follow_ups = {**outcome.follow_ups, "steps": [*steps, *received]}
    return outcome


def _parcel_follow_ups(applied: Applied) -> dict[str, Any]:
    steps = ["order"] if applied.changes or applied.affects_delivery else []
    found: dict[str, Any] = {"changes": applied.changes} if applied.changes else {}
    if applied.created:
        steps.append("parcel_created")
    if applied.moved and applied.status is not None:
        steps.append("parcel_status_changed")
        found |= {
            "previous_status_id": applied.previous_status_id,
            "status": [applied.status.event_ms, applied.status.status_id],
        }
    return {**found, "steps": steps}
