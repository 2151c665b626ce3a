"""Claims on events of the inbox: counted when they are made, and over after a lease."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from django.db import connections, transaction
from django.db.models import F

from ..conf import conf
from ..models import Integration, WebhookEvent

__all__ = ["ATTEMPTS", "claim", "wait"]

#: Claims without an answer, or failures, after which an event fails for good. With doubling waits, failures take a day.
ATTEMPTS = 12
# Claims without an answer after which an event is claimed alone: it may have killed its workers.
ALONE_AFTER = 3
FIRST_WAIT = 30.0
LONGEST_WAIT = 3 * 3600.0


def claim(kind: Literal["apply", "follow_ups"], size: int, now: dt.datetime) -> list[WebhookEvent]:
    """Claim due events, oldest first, in a transaction of its own.

    Args:
        kind: The events to apply, or the applied ones whose follow-ups are due.
        size: Maximum number of events.
        now: The time by the database's clock.
    """
    database = conf().DATABASE
    events = WebhookEvent.objects
    if kind == "apply":
        rows = events.due(now).order_by("received_at", "pk")
    else:
        rows = events.with_due_follow_ups(now).order_by("event_ms", "pk")
    with transaction.atomic(using=database):
        if connections[database].features.has_select_for_update_skip_locked:
            rows = rows.select_for_update(skip_locked=True)
        taken = _alone(list(rows[:size]))
        if taken:
            lease = now + dt.timedelta(seconds=conf().LEASE_SECONDS)
            pks = [event.pk for event in taken]
            events.filter(pk__in=pks).update(attempts=F("attempts") + 1, due_at=lease)
    integrations = Integration.objects.in_bulk({event.integration_id for event in taken})
    for event in taken:
        event.attempts += 1
        event.due_at = lease
        event.integration = integrations[event.integration_id]
    return taken


def _alone(events: list[WebhookEvent]) -> list[WebhookEvent]:
    """Return the first event alone if it may kill its worker, else those before the next one that may."""
    for position, event in enumerate(events):
        if event.attempts >= ALONE_AFTER:
            return events[: max(1, position)]
    return events


def wait(failures: int) -> dt.timedelta:
    """Return how long to wait after a number of failures."""
    return dt.timedelta(seconds=min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(failures - 1, 16)))
