"""The follow-ups of applied events: the order's own effects, the shop's receivers, requests to Sendcloud.

An event stays due until each of them has run. Attempts are counted at the claim, so that an event that kills its worker
counts as well; what a dead worker had claimed is due again after its lease. The events of a parcel follow each other in
order, those of different parcels do not wait for each other.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
from typing import Any

from ..conf import SendcloudConfigurationError, conf
from ..core.clock import clock
from ..core.crypto import Secret
from ..core.dispatch import ReceiverFailed
from ..core.interruption import interruptions
from ..core.retry import retry_transient
from ..enums import WebhookAction
from ..exceptions import APIError
from ..models import EventState, ExceptionReport, Parcel, WebhookEvent
from ..models.webhook_event import ACTIONS, IMMEDIATELY
from ..parcels.order_effects import OrderEffectFailed
from . import steps
from .claim import ATTEMPTS, claim, wait

__all__ = ["run_due"]

logger = logging.getLogger("django_sendcloud.webhooks")

CLAIM_CHUNK = 50
# Seconds after which finished events are saved, so that a worker that dies repeats little.
FLUSH_SECONDS = 1.0
# Failures of signals after which later events of the parcel go on.
BLOCKING_FAILURES = 3
_COLUMNS = ("state", "note", "follow_ups", "attempts", "failures", "due_at", "is_blocking", "body")


def run_due(now: dt.datetime | None, until: float) -> int:
    """Run the follow-ups of one claim. Returns how many events were claimed, 0 where nothing is due.

    Args:
        now: The time, for tests; the database's by default.
        until: When to stop, by the steady clock.
    """
    size = CLAIM_CHUNK
    taken = retry_transient(functools.partial(claim, "follow_ups", size, now or clock.now()))
    if not taken:
        return 0
    begin = saved = clock.monotonic()
    done: list[WebhookEvent] = []
    parcels = _parcels(taken)
    for position, event in enumerate(taken):
        passed = clock.monotonic()
        if passed > until or passed - begin > conf().LEASE_SECONDS / 2:
            done += [_released(rest) for rest in taken[position:]]
            break
        if event.attempts > 1 and done:
            # It may kill its worker: the events before it must not be repeated.
            _flush(done)
        event.parcel = parcels.get(event.parcel_id) if event.parcel_id else None
        try:
            _run(event, now or clock.now())
        except interruptions():
            _flush([*done, *(_released(rest) for rest in taken[position + 1 :])])
            raise
        done.append(event)
        if clock.monotonic() - saved > FLUSH_SECONDS:
            _flush(done)
            saved = clock.monotonic()
    _flush(done)
    return len(taken)


def _parcels(events: list[WebhookEvent]) -> dict[int, Parcel]:
    wanted = {event.parcel_id for event in events} - {None}
    if not wanted:
        return {}
    return Parcel.objects.select_related("shipment").in_bulk(wanted)


def _flush(events: list[WebhookEvent]) -> None:
    """Store the results of events: those that ended well in one statement, the others one by one."""
    rows = WebhookEvent.objects
    well = [event.pk for event in events if event.state == EventState.PROCESSED and not event.note]
    if well:
        ended: dict[str, Any] = {
            **dict.fromkeys(("attempts", "failures"), 0),
            "due_at": None,
            "follow_ups": {},
            "note": {},
            "body": "",
        }
        retry_transient(lambda: rows.filter(pk__in=well).update(state=EventState.PROCESSED, **ended))
    for event in events:
        if event.pk not in well:
            values = {name: getattr(event, name) for name in _COLUMNS}
            retry_transient(functools.partial(rows.filter(pk=event.pk).update, **values))
    events.clear()


def _released(event: WebhookEvent) -> WebhookEvent:
    event.attempts -= 1
    event.due_at = IMMEDIATELY
    return event


def _run(event: WebhookEvent, now: dt.datetime) -> None:
    """Run each step that has not run yet, whatever becomes of the others, and set the event's state."""
    if event.attempts > ATTEMPTS:
        _park(event, {"code": "worker_died"})
        return
    left: list[str] = []
    problem: dict[str, Any] = {}
    for name, step in steps.left(event):
        try:
            step(event)
        except interruptions():
            raise
        except Exception as error:
            left.append(name)
            problem = problem or _problem(name, error)
            # (The shop's own failures are logged where they are caught, with their line.)
            if not isinstance(error, ReceiverFailed | OrderEffectFailed):
                logger.error("A follow-up of webhook %s failed (%s): %s.", event.pk, name, type(error).__name__)
    event.follow_ups = {**event.follow_ups, "steps": left}
    event.attempts = 0
    if not left:
        _end(event)
        return
    event.failures += 1
    event.note = problem
    event.state = EventState.RECEIVER_FAILED
    if "order" not in left:
        # Signals may be missed, and a person may replay them. An order's own effects are run until they succeed.
        event.is_blocking = event.is_blocking and event.failures < BLOCKING_FAILURES
        if event.failures >= ATTEMPTS:
            _park(event, problem)
            return
    event.due_at = now + wait(event.failures)


def _end(event: WebhookEvent) -> None:
    event.state = event.follow_ups.get("ends", EventState.PROCESSED)
    event.due_at = None
    if event.failures and event.note.get("code") in _PROBLEMS:
        event.note = {}
    event.failures = 0
    event.follow_ups = {}
    if event.state == EventState.PROCESSED:
        # It holds personal data, and is not needed any more.
        event.body = Secret("")


def _park(event: WebhookEvent, note: dict[str, Any]) -> None:
    event.state, event.note, event.due_at, event.attempts = EventState.RECEIVER_FAILED, note, None, 0
    if event.action == WebhookAction.INTEGRATION_CREDENTIALS:
        event.body = Secret("")
    action = event.action if event.action in ACTIONS else "unknown action"
    ExceptionReport.objects.report(event.integration, f"webhook_failed: {action}")


_PROBLEMS = frozenset({"receiver_failed", "adapter_failed", "sendcloud_not_asked", "follow_up_failed", "worker_died"})


def _problem(step: str, error: Exception) -> dict[str, Any]:
    match error:
        case ReceiverFailed():
            receiver, kind, at = error.failures[0]
            return {"code": "receiver_failed", "receiver": receiver, "error": kind, "at": at}
        case OrderEffectFailed():
            return {"code": "adapter_failed", "hook": error.hook, "error": error.error, "at": error.at}
        case APIError() | SendcloudConfigurationError():
            return {"code": "sendcloud_not_asked", "why": str(error)[:500]}
    return {"code": "follow_up_failed", "step": step, "error": type(error).__name__}
