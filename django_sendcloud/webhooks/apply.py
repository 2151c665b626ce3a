"""The worker of the inbox: it applies each event and runs its follow-ups, beside other workers, at any time, and twice.

Applied and followed up are two states. An event is applied in one transaction with its neighbours; its follow-ups run
after the commit and keep the event due until they have all run.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, connections, transaction

from ..conf import conf
from ..core.clock import clock
from ..core.crypto import DecryptionError, Secret
from ..core.interruption import interruptions
from ..core.retry import is_conflict, retry_transient
from ..enums import WebhookAction
from ..models import EventState, ExceptionReport, Integration, WebhookEvent
from ..models.webhook_event import ACTIONS, IMMEDIATELY
from ..parcels.parse import ParcelUpdate, ParseError, milliseconds, parse, text
from . import follow_ups, handlers
from .claim import ATTEMPTS, claim, wait

__all__ = ["drain", "is_due"]

logger = logging.getLogger("django_sendcloud.webhooks")

BATCH = 100
# Transactions that a batch is tried in while other workers create its parcels at the same time.
ROUNDS = 5
# Seconds after which a worker makes room for other tasks.
SECONDS = 240.0

_COLUMNS = [
    "state",
    "note",
    "follow_ups",
    "processed_at",
    "attempts",
    "failures",
    "due_at",
    "action",
    "event_ms",
    "body",
    "parcel",
]


def drain(limit: int | None = None, now: dt.datetime | None = None, seconds: float = SECONDS) -> int:
    """Apply the due events and run the due follow-ups, until none is left.

    Args:
        limit: Maximum number of events to apply.
        now: The time, for tests; the database's by default.
        seconds: Seconds after which it stops, between two events.

    Returns:
        How many events were applied, or failed for good.
    """
    if now is None:
        clock.synchronize()
    until = clock.monotonic() + seconds
    total = 0
    while True:
        size = BATCH if limit is None else min(BATCH, limit - total)
        applied = _batch(size, now) if size > 0 and clock.monotonic() < until else 0
        total += applied
        followed = 0
        while clock.monotonic() < until and (claimed := follow_ups.run_due(now, until)):
            followed += claimed
        if not applied or clock.monotonic() >= until:
            return total


def is_due() -> bool:
    """Return whether events or follow-ups are due."""
    events = WebhookEvent.objects
    now = clock.now()
    return events.due(now).exists() or events.with_due_follow_ups(now).exists()


def _batch(size: int, now: dt.datetime | None) -> int:
    taken = retry_transient(functools.partial(claim, "apply", size, now or clock.now()))
    if not taken:
        return 0
    pks = [event.pk for event in taken]
    events: list[WebhookEvent] = []
    for left in reversed(range(ROUNDS)):
        # The last round notes with each event what is wrong with it.
        with contextlib.suppress(_StartAgain):
            events = retry_transient(functools.partial(_apply, pks, now or clock.now(), is_last=not left))
            break
    for event in events:
        if event.state == EventState.FAILED:
            _report(event)
    return len(taken)


class _StartAgain(Exception):
    """Another worker has created a parcel of the batch meanwhile.

    The transaction begins again: the next one sees the parcel, and locks it in the common order. (A transaction of
    ``REPEATABLE READ`` or ``SERIALIZABLE`` would not see it until its end.)
    """


def _apply(pks: Sequence[int], now: dt.datetime, *, is_last: bool) -> list[WebhookEvent]:
    """Apply claimed events in one transaction. After a deadlock, all of it is done again.

    Raises:
        _StartAgain: Another worker has created a parcel meanwhile; never in the last round.
    """
    with transaction.atomic(using=conf().DATABASE):
        # One that this worker's lease has run out on may have been applied by another.
        rows = WebhookEvent.objects.select_for_update().filter(pk__in=pks, state=EventState.RECEIVED)
        events = list(rows.order_by("received_at", "pk"))
        integrations = Integration.objects.in_bulk({event.integration_id for event in events})
        for event in events:
            event.integration = integrations[event.integration_id]
        done = _apply_together(events, now, is_last=is_last)
        for event in events:
            if event.pk not in done:
                _apply_alone(event, now, is_last=is_last)
        _save(events)
        _note_arrival(events)
    return events


def _is_lost(error: Exception) -> bool:
    """Return whether the whole transaction is lost to another one. (MySQL rolls all of it back itself.)"""
    return is_conflict(error) or connections[conf().DATABASE].needs_rollback


def _save(events: Sequence[WebhookEvent]) -> None:
    """Store the results of locked events, in one statement."""
    WebhookEvent.objects.insert_or_update(events, update_fields=_COLUMNS)


def _note_arrival(events: Sequence[WebhookEvent]) -> None:
    webhooks = [event for event in events if event.action != WebhookAction.PARCEL_POLLED]
    latest = {event.integration: event.received_at for event in sorted(webhooks, key=lambda event: event.received_at)}
    for integration, received_at in latest.items():
        if integration.last_webhook_at is None or integration.last_webhook_at < received_at:
            rows = Integration.objects.filter(pk=integration.pk)
            rows.update(last_webhook_at=received_at)


def _read(event: WebhookEvent) -> Mapping[str, Any]:
    payload = parse(event.body.reveal() if event.body else "")
    event.action = text(payload.get("action"), 100)
    event.event_ms = milliseconds(payload.get("timestamp"))
    return payload


def _apply_together(events: Sequence[WebhookEvent], now: dt.datetime, *, is_last: bool) -> set[int]:
    """Apply the updates of parcels together. An event that is not in the result has to be applied alone."""
    ready: list[tuple[WebhookEvent, ParcelUpdate]] = []
    for event in events:
        # A fault in an event is found again, and noted, where the event is applied alone.
        with contextlib.suppress(Exception):
            payload = _read(event)
            if event.action in handlers.PARCEL_ACTIONS:
                ready.append((event, ParcelUpdate.read(payload)))
    if len(ready) < 2:
        return set()
    try:
        outcomes = _attempt(lambda: handlers.apply_parcel_events(ready), is_last=is_last)
    except _StartAgain:
        raise
    except interruptions():
        raise
    except Exception as error:
        if _is_lost(error):
            raise
        logger.info("Webhooks are applied one by one (%s).", type(error).__name__)
        return set()
    for (event, _), outcome in zip(ready, outcomes, strict=True):
        _applied(event, outcome, now)
    return {event.pk for event, _ in ready}


def _attempt(work: Any, *, is_last: bool) -> Any:
    """Run the work in a savepoint.

    Raises:
        _StartAgain: Another worker has created one of its parcels meanwhile; in the last round, the error itself.
    """
    try:
        with transaction.atomic(using=conf().DATABASE):
            return work()
    except IntegrityError:
        if is_last:
            raise
        raise _StartAgain from None


def _apply_alone(event: WebhookEvent, now: dt.datetime, *, is_last: bool) -> None:
    """Apply one event in a savepoint of its own, and set the result on the event."""
    if event.attempts > ATTEMPTS:
        _fail(event, {"code": "worker_died"}, now)
        return
    try:
        payload = _read(event)
        outcome = _attempt(lambda: handlers.apply_event(event, payload), is_last=is_last)
    except _StartAgain:
        raise
    except interruptions():
        raise
    except ParseError as error:
        _fail(event, {"code": error.code}, now)
    except DecryptionError:
        _try_later(event, {"code": "not_decryptable"}, now)
    except DataError:
        # A character that the database's charset lacks, or a value out of its range: no retry helps.
        _fail(event, {"code": "not_storable"}, now)
    except Exception as error:
        if _is_lost(error):
            raise
        if isinstance(error, DatabaseError):
            logger.warning("A webhook met a database error (%s); it is retried.", type(error).__name__)
        else:
            logger.error("Applying webhook %s failed: %s.", event.pk, type(error).__name__)
        _try_later(event, {"code": "not_applied", "error": type(error).__name__}, now)
    else:
        _applied(event, outcome, now)


def _applied(event: WebhookEvent, outcome: handlers.Outcome, now: dt.datetime) -> None:
    event.state = EventState.APPLIED
    event.note = outcome.note
    event.parcel = outcome.parcel
    event.follow_ups = {**outcome.follow_ups, "ends": outcome.ends}
    event.processed_at = now
    event.attempts = event.failures = 0
    event.due_at = IMMEDIATELY
    if event.event_ms is None:
        event.event_ms = int(event.received_at.timestamp() * 1000)


def _fail(event: WebhookEvent, note: dict[str, Any], now: dt.datetime) -> None:
    event.state, event.note = EventState.FAILED, note
    event.processed_at, event.due_at = now, None
    if event.action == WebhookAction.INTEGRATION_CREDENTIALS:
        event.body = Secret("")


def _report(event: WebhookEvent) -> None:
    """Let the merchant see at Sendcloud that an event could not be applied."""
    action = event.action if event.action in ACTIONS else "unknown action"
    ExceptionReport.objects.report(event.integration, f"webhook_failed: {action}")


def _try_later(event: WebhookEvent, note: dict[str, Any], now: dt.datetime) -> None:
    event.attempts, event.failures, event.note = 0, event.failures + 1, note
    if event.failures >= ATTEMPTS:
        _fail(event, note, now)
    else:
        event.due_at = now + wait(event.failures)
