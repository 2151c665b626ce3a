"""The meaning of each action: applied within the inbox's transaction, followed up after its commit."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..core.clock import clock
from ..core.dispatch import dispatch
from ..enums import WebhookAction
from ..exceptions import NotFound
from ..models import ErasedKey, EventState, Integration, Parcel, ParcelStatus, PauseReason, WebhookEvent
from ..parcels import order_effects
from ..parcels.parse import ParcelUpdate
from ..parcels.updates import Applied, Update, apply_updates, as_of
from ..signals import (
    integration_deleted,
    integration_updated,
    parcel_created,
    parcel_status_changed,
    return_created,
    return_delivered,
    webhook_received,
)
from ..silent import SilentDict
from .credentials import REMOVED, adopt

__all__ = ["HANDLERS", "PARCEL_ACTIONS", "Outcome", "apply_event", "apply_parcel_events", "steps_of"]

# An update from further ahead than this counts as one of its arrival: a clock was wrong.
FUTURE = dt.timedelta(hours=24)

#: Actions that update a parcel.
PARCEL_ACTIONS = (WebhookAction.PARCEL_STATUS_CHANGED, WebhookAction.PARCEL_POLLED)

_KEYS = ("shipment_uuid", "external_order_id", "order_number")

Payload = Mapping[str, Any]
Step = Callable[[WebhookEvent, Payload], None]


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


def apply_event(event: WebhookEvent, payload: Payload) -> Outcome:
    """Apply one event within the open transaction.

    Raises:
        ParseError: It cannot be read.
        IntegrityError: Another worker has created the parcel meanwhile.
    """
    if event.action in PARCEL_ACTIONS:
        return apply_parcel_events([(event, payload)])[0]
    if event.action not in HANDLERS:
        return _with_steps(event, Outcome(EventState.IGNORED, {"code": "unknown_action"}))
    if event.action == WebhookAction.INTEGRATION_CREDENTIALS and payload.get("secret_key") in (None, REMOVED):
        return Outcome(EventState.IGNORED, {"code": "keys_not_expected"}, follow_ups={"steps": ["webhook_received"]})
    note = {"code": "test"} if event.action == WebhookAction.TEST_WEBHOOK else {}
    return _with_steps(event, Outcome(note=note))


def apply_parcel_events(events: Sequence[tuple[WebhookEvent, Payload]]) -> list[Outcome]:
    """Apply updates of parcels together, in a handful of statements.

    Raises:
        ParseError: One of them names no parcel.
        IntegrityError: Another worker has created one of the parcels meanwhile.
    """
    contents = [ParcelUpdate.read(payload) for _, payload in events]
    erased = ErasedKey.objects.among(
        (event.integration_id, {"remote_id": content.remote_id} | {key: content.fields.get(key) for key in _KEYS})
        for (event, _), content in zip(events, contents, strict=True)
    )
    outcomes = [Outcome(note={"code": "erased"}, follow_ups={"steps": []}) if gone else Outcome() for gone in erased]
    updates = []
    left = [item for item, gone in zip(zip(events, contents, outcomes, strict=True), erased, strict=True) if not gone]
    for (event, _), content, outcome in left:
        # Without a usable time of Sendcloud's it counts as one of its arrival, by the database's clock at the latest.
        arrived = int(min(event.received_at, clock.now()).timestamp() * 1000)
        if event.event_ms is None or event.event_ms > arrived + FUTURE.total_seconds() * 1000:
            if event.event_ms is not None:
                outcome.note = {"code": "time_in_the_future"}
            event.event_ms = arrived
        if event.action == WebhookAction.PARCEL_POLLED:
            # Sendcloud's list names no time zone: what it says was so when it was asked, at the latest.
            event.event_ms = min(event.event_ms, arrived)
        updates.append(Update(event.integration, content, event.event_ms, event.digest))
    for ((event, _), _, outcome), applied in zip(left, apply_updates(updates) if updates else (), strict=True):
        outcome.parcel = applied.parcel
        outcome.follow_ups = _parcel_follow_ups(applied)
        _with_steps(event, outcome)
    return outcomes


def _with_steps(event: WebhookEvent, outcome: Outcome) -> Outcome:
    steps = outcome.follow_ups.get("steps", [event.action] if event.action in HANDLERS else [])
    received = [] if event.action == WebhookAction.PARCEL_POLLED else ["webhook_received"]
    outcome.follow_ups = {**outcome.follow_ups, "steps": [*steps, *received]}
    return outcome


def _parcel_follow_ups(applied: Applied) -> dict[str, Any]:
    steps = ["order"] if applied.changes or applied.bears else []
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


# -- steps ------------------------------------------------------------------------------------------


def follow_order(event: WebhookEvent, payload: Payload) -> None:
    """Let the parcel's order follow it."""
    order_effects.run(event)


def send_parcel_created(event: WebhookEvent, payload: Payload) -> None:
    """Send ``parcel_created``."""
    if (parcel := event.parcel) is not None:
        dispatch(parcel_created, Parcel, parcel=parcel, shipment=parcel.shipment)


def send_parcel_status_changed(event: WebhookEvent, payload: Payload) -> None:
    """Send ``parcel_status_changed``, with the parcel as it was after this event.

    One that later events did not wait for is sent only if none of them has been sent: an old status would come last.
    """
    parcel = event.parcel
    if parcel is None or not parcel_status_changed.has_listeners(Parcel):
        return
    event_ms, status_id = event.follow_ups["status"]
    if not event.is_blocking:
        later = WebhookEvent.objects.filter(parcel=parcel, event_ms__gt=event.event_ms)
        if later.filter(state=EventState.PROCESSED).exists():
            return
    steps = ParcelStatus.objects
    status = steps.filter(parcel=parcel, event_ms=event_ms, status_id=status_id).first()
    dispatch(
        parcel_status_changed,
        Parcel,
        parcel=as_of(parcel, status),
        shipment=parcel.shipment,
        status=status,
        previous_status_id=event.follow_ups["previous_status_id"],
    )


def send_webhook_received(event: WebhookEvent, payload: Payload) -> None:
    """Send ``webhook_received``, without the keys that one kind of webhook carries."""
    shown = payload
    if event.action == WebhookAction.INTEGRATION_CREDENTIALS:
        shown = SilentDict({name: REMOVED if "key" in name else value for name, value in payload.items()})
    dispatch(webhook_received, WebhookEvent, event=event, payload=shown)


def refresh_integration(event: WebhookEvent, payload: Payload) -> None:
    """Ask Sendcloud for the integration's settings: the body alone is not believed."""
    event.integration.refresh_from_sendcloud()
    dispatch(integration_updated, Integration, integration=event.integration)


def verify_deletion(event: WebhookEvent, payload: Payload) -> None:
    """Pause the integration if Sendcloud does not know it any more."""
    integration = event.integration
    try:
        integration.refresh_from_sendcloud()
    except NotFound:
        integration.pause(PauseReason.GONE, "Sendcloud says that it was deleted.")
        dispatch(integration_deleted, Integration, integration=integration)


def try_credentials(event: WebhookEvent, payload: Payload) -> None:
    """Try the keys that came by webhook while an operator had opened the window for them."""
    if "secret_key" not in payload:
        return
    event.note = {"code": adopt(event.integration, payload)}
    dispatch(integration_updated, Integration, integration=event.integration)


def send_return_created(event: WebhookEvent, payload: Payload) -> None:
    """Send ``return_created``."""
    dispatch(return_created, Integration, integration=event.integration, data=payload.get("data") or {})


def send_return_delivered(event: WebhookEvent, payload: Payload) -> None:
    """Send ``return_delivered``."""
    dispatch(return_delivered, Integration, integration=event.integration, data=payload.get("refund") or {})


def nothing(event: WebhookEvent, payload: Payload) -> None:
    """Do nothing: a test webhook only has to arrive."""


#: The step of each action that updates no parcel.
HANDLERS: Mapping[str, Step] = {
    WebhookAction.INTEGRATION_UPDATED: refresh_integration,
    WebhookAction.INTEGRATION_CONNECTED: refresh_integration,
    WebhookAction.INTEGRATION_DELETED: verify_deletion,
    WebhookAction.INTEGRATION_CREDENTIALS: try_credentials,
    WebhookAction.RETURN_CREATED: send_return_created,
    WebhookAction.RETURN_DELIVERED: send_return_delivered,
    WebhookAction.TEST_WEBHOOK: nothing,
}
_STEPS: Mapping[str, Step] = {
    "order": follow_order,
    "parcel_created": send_parcel_created,
    "parcel_status_changed": send_parcel_status_changed,
    "webhook_received": send_webhook_received,
    **HANDLERS,
}


def steps_of(event: WebhookEvent) -> list[tuple[str, Step]]:
    """Return the steps of an event that have not run yet, in their order."""
    return [(name, _STEPS[name]) for name in event.follow_ups.get("steps", ()) if name in _STEPS]
