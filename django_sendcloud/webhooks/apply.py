"""Working off the inbox: each event on its own, safe with many workers, at any time, and twice."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import json
import logging
from typing import Any

from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.models import QuerySet
from django.utils import timezone

from ..clock import clock
from ..conf import SendcloudConfigurationError, conf
from ..crypto import DecryptionError, Secret
from ..enums import WebhookAction
from ..exceptions import APIError
from ..models import EventState, ExceptionReport, Integration, WebhookEvent
from ..patience import patiently
from ..signals import webhook_received, work_due
from . import handlers
from .credentials import REMOVED
from .parcels import relink_unmatched
from .parse import ParseError, milliseconds, parse, text

__all__ = ["drain", "prune", "relink_unmatched", "replay"]

logger = logging.getLogger("django_sendcloud.webhooks")

BATCH = 100
# How often a batch is begun anew because another worker made one of its parcels at the same time.
ROUNDS = 5
# Attempts at what may heal by itself: with doubling waits, about a day.
ATTEMPTS = 12
FIRST_WAIT = 30.0
LONGEST_WAIT = 3 * 3600.0


def drain(limit: int = 500, now: dt.datetime | None = None) -> int:
    """Apply what waits in the inbox.

    Args:
        limit: At most so many events.
        now: The time, for tests.

    Returns:
        How many were applied, or given up.
    """
    if now is None:
        clock.synchronize()
    total = 0
    while total < limit:
        done = _batch(min(BATCH, limit - total), now or clock.now())
        if not done:
            break
        total += done
    return total


def _batch(size: int, now: dt.datetime) -> int:
    taken, after = patiently(functools.partial(_take_and_apply, size, now))
    for event in taken:
        if event.state == EventState.FAILED:
            _report(event)
    for event, outcome, payload in after:
        _afterwards(event, outcome, payload, now)
    return len(taken)


def _take_and_apply(
    size: int, now: dt.datetime
) -> tuple[list[WebhookEvent], list[tuple[WebhookEvent, handlers.Outcome, dict[str, Any]]]]:
    """In one transaction; where another one was in its way, all of it is done again."""
    database = conf().DATABASE
    after: list[tuple[WebhookEvent, handlers.Outcome, dict[str, Any]]] = []
    with transaction.atomic(using=database):
        events = WebhookEvent.objects.using(database).due(now).order_by("received_at", "pk")
        if connections[database].features.has_select_for_update_skip_locked:
            events = events.select_for_update(skip_locked=True)
        taken = list(events[:size])
        if not taken:
            return taken, after
        integrations = Integration.objects.using(database).in_bulk({event.integration_id for event in taken})
        for event in taken:
            event.integration = integrations[event.integration_id]
        done = _apply_together(taken, now)
        for event in taken:
            result = done.get(event.pk) or _apply(event, now)
            if result is not None:
                after.append((event, *result))
        _save(taken)
        _note_arrival(taken)
    return taken, after


def _is_lost() -> bool:
    """Whether the whole transaction is, and not only a savepoint: to end a deadlock, MySQL takes all of it back."""
    return connections[conf().DATABASE].needs_rollback


def _save(events: list[WebhookEvent]) -> None:
    """Write down what became of all of them, in one statement."""
    features = connections[conf().DATABASE].features
    WebhookEvent.objects.using(conf().DATABASE).bulk_create(
        events,
        update_conflicts=True,
        unique_fields=["id"] if features.supports_update_conflicts_with_target else None,
        update_fields=["state", "error", "processed_at", "attempts", "due_at", "action", "event_ms", "body", "parcel"],
    )


def _note_arrival(events: list[WebhookEvent]) -> None:
    latest = {event.integration: event.received_at for event in sorted(events, key=lambda event: event.received_at)}
    for integration, received_at in latest.items():
        if integration.last_webhook_at is None or integration.last_webhook_at < received_at:
            rows = Integration.objects.using(conf().DATABASE).filter(pk=integration.pk)
            rows.update(last_webhook_at=received_at)


def _apply_together(events: list[WebhookEvent], now: dt.datetime) -> dict[int, tuple[handlers.Outcome, dict[str, Any]]]:
    """Apply news of parcels, most of what comes, at once. What is not in the answer is to be applied on its own."""
    ready: list[tuple[WebhookEvent, dict[str, Any]]] = []
    for event in events:
        # Whatever is wrong with one is found again, and written down, where it is applied on its own.
        with contextlib.suppress(Exception):
            if event.processed_at is not None:
                continue  # it was applied before, and is to be told to the shop again
            payload = parse(event.body.reveal() if event.body else "")
            if payload.get("action") == WebhookAction.PARCEL_STATUS_CHANGED:
                event.action = WebhookAction.PARCEL_STATUS_CHANGED.value
                event.event_ms = milliseconds(payload.get("timestamp"))
                handlers.read_parcel_status(event, payload)
                ready.append((event, payload))
    if len(ready) < 2:
        return {}
    for _ in range(ROUNDS):
        try:
            with transaction.atomic(using=conf().DATABASE):
                outcomes = handlers.parcel_statuses(ready)
            break
        except IntegrityError:
            # It can be seen by now, and locked with the others. One by one, in any order, would end in a deadlock.
            continue
        except Exception as error:
            if _is_lost():
                raise
            logger.info("Webhooks are applied one by one (%s).", type(error).__name__)
            return {}
    else:
        return {}
    for (event, _), outcome in zip(ready, outcomes, strict=True):
        event.parcel = outcome.parcel
        _finish(event, outcome.state, outcome.note, now, keep_body=False)
    return {event.pk: (outcome, payload) for (event, payload), outcome in zip(ready, outcomes, strict=True)}


def _apply(event: WebhookEvent, now: dt.datetime) -> tuple[handlers.Outcome, dict[str, Any]] | None:
    """Apply one event in a savepoint of its own. What became of it is set on the event, and saved with the others."""
    try:
        raw = event.body.reveal() if event.body else ""
        payload = parse(raw)
        event.action = text(payload.get("action"), 100)
        event.event_ms = milliseconds(payload.get("timestamp"))
        with transaction.atomic(using=conf().DATABASE):
            outcome = handlers.handle(event, payload)
    except ParseError as error:
        _finish(event, EventState.FAILED, str(error), now)
        return None
    except DecryptionError as error:
        _try_later(event, str(error), now)
        return None
    except Exception as error:
        if _is_lost():
            raise
        if isinstance(error, DatabaseError):
            logger.warning("A webhook met a database error (%s); it is tried again.", type(error).__name__)
        else:
            logger.error("Applying webhook %s failed: %s.", event.pk, type(error).__name__)
        _try_later(event, f"Applying it failed: {type(error).__name__}.", now)
        return None
    event.parcel = outcome.parcel
    _finish(event, outcome.state, outcome.note, now, keep_body=outcome.state != EventState.PROCESSED)
    return outcome, payload


def _finish(event: WebhookEvent, state: EventState, note: str, now: dt.datetime, *, keep_body: bool = True) -> None:
    event.state = state
    event.error = note
    event.processed_at = now
    event.attempts += 1
    if not keep_body:
        # It holds personal data, and is not needed any more.
        event.body = Secret("")


def _report(event: WebhookEvent) -> None:
    """Let the merchant see at Sendcloud that we could not make anything of it."""
    action = event.action if event.action in handlers.HANDLERS else "unknown action"
    ExceptionReport.objects.report(event.integration, f"webhook_failed: {action}")


def _try_later(event: WebhookEvent, why: str, now: dt.datetime) -> None:
    event.attempts += 1
    event.error = why
    if event.attempts >= ATTEMPTS:
        event.state = EventState.FAILED
        event.processed_at = now
        if event.action == WebhookAction.INTEGRATION_CREDENTIALS:
            event.body = Secret("")
    else:
        event.state = EventState.RECEIVED
        event.due_at = now + dt.timedelta(seconds=min(LONGEST_WAIT, FIRST_WAIT * 2 ** (event.attempts - 1)))


def _afterwards(event: WebhookEvent, outcome: handlers.Outcome, payload: dict[str, Any], now: dt.datetime) -> None:
    """What follows once it is committed: signals to the shop, and requests to Sendcloud."""
    follow_ups: list[handlers.After] = [
        *outcome.after,
        lambda: handlers.tell(webhook_received, sender=WebhookEvent, event=event, payload=_public(payload)),
    ]
    problems = []
    for follow_up in follow_ups:
        try:
            follow_up()
        except handlers.ReceiverFailed as error:
            problems.append(f"A receiver of the shop failed: {error}.")
            logger.error("A receiver of the shop failed: %s.", error)
        except Exception as error:
            # Sendcloud was to be asked and could not be: the whole event is tried again, and the others go on.
            why = str(error) if isinstance(error, APIError | SendcloudConfigurationError) else type(error).__name__
            logger.error("Webhook %s could not be completed: %s.", event.pk, type(error).__name__)
            event.body = Secret(_again(payload))
            _try_later(event, f"Sendcloud could not be asked: {why}", now)
            _save([event])
            if event.state == EventState.FAILED:
                _report(event)
            return
    if problems:
        event.error = " ".join([*filter(None, [event.error]), *problems])
        event.state = EventState.UNHEARD
        # Kept as that of a failure is, so that the shop can be told again. Keys were used, or thrown away.
        if event.action != WebhookAction.INTEGRATION_CREDENTIALS:
            event.body = Secret(json.dumps(payload))
        event.save(using=conf().DATABASE, update_fields=["error", "state", "body"])


def _public(payload: dict[str, Any]) -> dict[str, Any]:
    """The payload without the keys that one kind of webhook carries: they are nobody's business."""
    if payload.get("action") != WebhookAction.INTEGRATION_CREDENTIALS:
        return payload
    return {name: REMOVED if "key" in name else value for name, value in payload.items()}


def _again(payload: dict[str, Any]) -> str:
    """What has to be kept of an event about the integration: no more than what it is, and keys that were not tried."""
    if payload.get("action") == WebhookAction.INTEGRATION_CREDENTIALS:
        return json.dumps(payload)
    return json.dumps({"action": payload.get("action"), "timestamp": payload.get("timestamp")})


def replay(events: QuerySet[WebhookEvent]) -> int:
    """Apply these once more, where their bodies are still there. Returns how many.

    Harmless: news that is applied already changes nothing. Where a receiver of the shop had failed, the shop is told
    again, as far as there is no newer news.
    """
    kept = events.exclude(body="")
    again = {"state": EventState.RECEIVED, "due_at": timezone.now(), "attempts": 0, "error": ""}
    count = kept.exclude(state=EventState.UNHEARD).update(**again, processed_at=None)
    # These stay applied: when they were is what tells them from the others.
    count += kept.filter(state=EventState.UNHEARD).update(**again)
    if count:
        work_due.send_robust(sender=WebhookEvent, queue="inbox")
    return count


def prune(now: dt.datetime | None = None) -> int:
    """Empty bodies and delete events past their time. Returns how many rows that concerned."""
    now = now or timezone.now()
    events = WebhookEvent.objects.using(conf().DATABASE).exclude(state=EventState.RECEIVED)
    emptied = (
        events.filter(received_at__lt=now - dt.timedelta(days=conf().INBOX_BODY_DAYS)).exclude(body="").update(body="")
    )
    deleted, _ = events.filter(received_at__lt=now - dt.timedelta(days=conf().INBOX_DAYS)).delete()
    return emptied + deleted
