"""What each action means. One function each, registered by name; unknown actions are kept and shown."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from ..enums import WebhookAction
from ..exceptions import NotFound
from ..models import EventState, Integration, Parcel, PauseReason, WebhookEvent
from ..signals import (
    integration_deleted,
    integration_updated,
    parcel_created,
    parcel_status_changed,
    return_created,
    return_delivered,
)
from .credentials import REMOVED, adopt
from .parcels import Applied, Told, apply_news, apply_together
from .parse import ParcelNews

__all__ = ["HANDLERS", "Outcome", "handle", "news_for_the_shop", "parcel_statuses", "tell"]

# News from further ahead than this is taken as news of its arrival: a clock was wrong.
FUTURE = dt.timedelta(hours=24)

After = Callable[[], None]


@dataclasses.dataclass(slots=True)
class Outcome:
    """What became of an event, and what is to be done once that is committed."""

    state: EventState = EventState.PROCESSED
    note: str = ""
    parcel: Parcel | None = None
    # Signals to the shop, and requests to Sendcloud: neither belongs into the transaction.
    after: list[After] = dataclasses.field(default_factory=list)


Handler = Callable[[WebhookEvent, dict[str, Any]], Outcome]
HANDLERS: dict[str, Handler] = {}


def _handles(*actions: WebhookAction) -> Callable[[Handler], Handler]:
    def decorate(handler: Handler) -> Handler:
        for action in actions:
            HANDLERS[action.value] = handler
        return handler

    return decorate


def handle(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """Apply one event, within the transaction that is open."""
    handler = HANDLERS.get(event.action)
    if handler is None:
        return Outcome(EventState.IGNORED, "Nobody knows this action; it is kept and otherwise left alone.")
    return handler(event, payload)


@_handles(WebhookAction.PARCEL_STATUS_CHANGED)
def parcel_status(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """A parcel has news."""
    told, note = read_parcel_status(event, payload)
    applied = apply_news(told.integration, told.news, told.event_ms, told.digest)
    if event.processed_at is not None:
        _as_it_was_news(applied, told)
    return Outcome(note=note, parcel=applied.parcel, after=news_for_the_shop(applied))


def _as_it_was_news(applied: Applied, told: Told) -> None:
    """What was applied before, and the shop failed to hear: let it be news once more, unless there is newer news."""
    parcel = applied.parcel
    if (parcel.last_event_ms, parcel.last_event_digest) != (told.event_ms, told.digest):
        return
    before = parcel.timeline.filter(event_ms__lt=told.event_ms).order_by("event_ms", "status_id").last()
    applied.created, applied.moved = before is None, True
    applied.previous_status_id = before.status_id if before else None


def read_parcel_status(event: WebhookEvent, payload: dict[str, Any]) -> tuple[Told, str]:
    """What is told of a parcel, and a note on what had to be corrected.

    Raises:
        ParseError: there is no parcel in it.
    """
    news = ParcelNews.read(payload)
    received = int(event.received_at.timestamp() * 1000)
    event_ms, note = event.event_ms or received, ""
    if event_ms > received + FUTURE.total_seconds() * 1000:
        event_ms, note = received, "Its time lies in the future; the time of its arrival was used."
    return Told(event.integration, news, event_ms, event.digest), note


def parcel_statuses(events: Sequence[tuple[WebhookEvent, dict[str, Any]]]) -> list[Outcome]:
    """As :func:`parcel_status` for each, in a handful of statements. Raises for all where one cannot be applied."""
    read = [read_parcel_status(event, payload) for event, payload in events]
    return [
        Outcome(note=note, parcel=applied.parcel, after=news_for_the_shop(applied))
        for applied, (_, note) in zip(apply_together([told for told, _ in read]), read, strict=True)
    ]


def news_for_the_shop(applied: Applied) -> list[After]:
    """The signals that news of a parcel is worth, to be sent after commit."""
    parcel = applied.parcel
    after: list[After] = []
    if applied.created:
        after.append(lambda: tell(parcel_created, sender=Parcel, parcel=parcel, shipment=parcel.shipment))
    if applied.moved and parcel.status_id != applied.previous_status_id:
        after.append(
            lambda: tell(
                parcel_status_changed,
                sender=Parcel,
                parcel=parcel,
                shipment=parcel.shipment,
                status=applied.status,
                previous_status_id=applied.previous_status_id,
            )
        )
    return after


@_handles(WebhookAction.INTEGRATION_UPDATED, WebhookAction.INTEGRATION_CONNECTED)
def integration_changed(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """Something about the integration changed: what, Sendcloud is asked, and not the body believed."""

    def refresh() -> None:
        event.integration.refresh_from_sendcloud()
        tell(integration_updated, sender=Integration, integration=event.integration)

    return Outcome(after=[refresh])


@_handles(WebhookAction.INTEGRATION_DELETED)
def integration_gone(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """The integration is said to be deleted: if Sendcloud does not know it any more, it rests here."""

    def verify() -> None:
        integration = event.integration
        try:
            integration.refresh_from_sendcloud()
        except NotFound:
            integration.pause(PauseReason.GONE, "Sendcloud says that it was deleted.")
            tell(integration_deleted, sender=Integration, integration=integration)

    return Outcome(after=[verify])


@_handles(WebhookAction.INTEGRATION_CREDENTIALS)
def credentials(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """Keys by webhook: tried if the window was open when they came, else removed before they were stored."""
    if payload.get("secret_key") in (None, REMOVED):
        note = "Nobody had opened the window for keys by webhook; those in this one were not stored."
        return Outcome(EventState.IGNORED, note)

    def try_them() -> None:
        event.error = adopt(event.integration, payload)
        event.save(update_fields=["error"])
        tell(integration_updated, sender=Integration, integration=event.integration)

    return Outcome(after=[try_them])


@_handles(WebhookAction.RETURN_CREATED)
def returned(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """A customer wants to send something back."""
    data = payload.get("data")
    return Outcome(
        after=[lambda: tell(return_created, sender=Integration, integration=event.integration, data=data or {})]
    )


@_handles(WebhookAction.RETURN_DELIVERED)
def return_arrived(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """What was sent back has arrived."""
    data = payload.get("refund")
    return Outcome(
        after=[lambda: tell(return_delivered, sender=Integration, integration=event.integration, data=data or {})]
    )


@_handles(WebhookAction.TEST_WEBHOOK)
def test(event: WebhookEvent, payload: dict[str, Any]) -> Outcome:
    """Somebody pressed the button: that it arrived is all there is to it."""
    return Outcome(note="A test: it arrived.")


class ReceiverFailed(Exception):
    """A receiver of the shop raised. What Sendcloud told is applied all the same."""


def tell(signal: Any, **arguments: Any) -> None:
    """Send a signal to the shop; every receiver gets it, whatever the others do.

    Raises:
        ReceiverFailed: naming the receivers that raised, and what, without its text.
    """
    failed = [
        f"{getattr(receiver, '__module__', '?')}.{getattr(receiver, '__qualname__', '?')}: {type(answer).__name__}"
        for receiver, answer in signal.send_robust(**arguments)
        if isinstance(answer, Exception)
    ]
    if failed:
        raise ReceiverFailed("; ".join(failed))
