"""The steps of follow-ups: what an applied event sets off, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..core.crypto import DecryptionError
from ..core.dispatch import dispatch
from ..enums import WebhookAction
from ..exceptions import NotFound
from ..hidden import HiddenDict
from ..models import EventState, Integration, Parcel, ParcelStatus, PauseReason, WebhookEvent
from ..parcels import order_effects
from ..parcels.parse import ParseError, parse
from ..parcels.updates import as_of
from ..signals import (
    integration_deleted,
    integration_updated,
    parcel_created,
    parcel_status_changed,
    return_created,
    return_delivered,
    webhook_received,
)
from .credentials import REMOVED, adopt

__all__ = ["STEPS_OF_ACTIONS", "left"]

Step = Callable[[WebhookEvent], None]


def _payload(event: WebhookEvent) -> Mapping[str, Any]:
    """Return the payload; empty where the body is not kept any more, or cannot be read any more."""
    try:
        return parse(event.body.reveal()) if event.body else HiddenDict()
    except (ParseError, DecryptionError):
        return HiddenDict()


def follow_order(event: WebhookEvent) -> None:
    """Let the parcel's order follow it."""
    order_effects.run(event)


def send_parcel_created(event: WebhookEvent) -> None:
    """Send ``parcel_created``."""
    if (parcel := event.parcel) is not None:
        dispatch(parcel_created, Parcel, parcel=parcel, shipment=parcel.shipment)


def send_parcel_status_changed(event: WebhookEvent) -> None:
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


def send_webhook_received(event: WebhookEvent) -> None:
    """Send ``webhook_received``, without the keys that one kind of webhook carries."""
    if not webhook_received.has_listeners(WebhookEvent):
        return
    shown = payload = _payload(event)
    if event.action == WebhookAction.INTEGRATION_CREDENTIALS:
        shown = HiddenDict({name: REMOVED if "key" in name else value for name, value in payload.items()})
    dispatch(webhook_received, WebhookEvent, event=event, payload=shown)


def refresh_integration(event: WebhookEvent) -> None:
    """Ask Sendcloud for the integration's settings: the body alone is not believed."""
    event.integration.refresh_from_sendcloud()
    dispatch(integration_updated, Integration, integration=event.integration)


def verify_deletion(event: WebhookEvent) -> None:
    """Pause the integration if Sendcloud does not know it any more."""
    integration = event.integration
    try:
        integration.refresh_from_sendcloud()
    except NotFound:
        integration.pause(PauseReason.GONE, "Sendcloud says that it was deleted.")
        dispatch(integration_deleted, Integration, integration=integration)


def try_credentials(event: WebhookEvent) -> None:
    """Try the keys that came by webhook while an operator had opened the window for them."""
    payload = _payload(event)
    if "secret_key" not in payload:
        return
    event.note = {"code": adopt(event.integration, payload)}
    dispatch(integration_updated, Integration, integration=event.integration)


def send_return_created(event: WebhookEvent) -> None:
    """Send ``return_created``."""
    dispatch(return_created, Integration, integration=event.integration, data=_payload(event).get("data") or {})


def send_return_delivered(event: WebhookEvent) -> None:
    """Send ``return_delivered``."""
    dispatch(return_delivered, Integration, integration=event.integration, data=_payload(event).get("refund") or {})


#: The step of each action that has one and updates no parcel.
STEPS_OF_ACTIONS: Mapping[str, Step] = {
    WebhookAction.INTEGRATION_UPDATED: refresh_integration,
    WebhookAction.INTEGRATION_CONNECTED: refresh_integration,
    WebhookAction.INTEGRATION_DELETED: verify_deletion,
    WebhookAction.INTEGRATION_CREDENTIALS: try_credentials,
    WebhookAction.RETURN_CREATED: send_return_created,
    WebhookAction.RETURN_DELIVERED: send_return_delivered,
}
_STEPS: Mapping[str, Step] = {
    "order": follow_order,
    "parcel_created": send_parcel_created,
    "parcel_status_changed": send_parcel_status_changed,
    "webhook_received": send_webhook_received,
    **STEPS_OF_ACTIONS,
}


def left(event: WebhookEvent) -> list[tuple[str, Step]]:
    """Return the steps of an event that have not run yet, in their order."""
    return [(name, _STEPS[name]) for name in event.follow_ups.get("steps", ()) if name in _STEPS]
