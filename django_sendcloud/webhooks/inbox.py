"""The inbox: verified webhooks, stored before anything is done with them, and what a person decides of them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from ..hidden import HiddenBytes, HiddenStr
from ..models import EventState, Integration, WebhookEvent
from ..models.webhook_event import AWAITING_FOLLOW_UPS, IMMEDIATELY
from ..signals import work_due
from .credentials import without_keys

__all__ = ["dismiss", "replay", "store"]


def store(integration: Integration, raw: bytes, *, keep_keys: bool = False) -> tuple[WebhookEvent | None, bool]:
    """Store one verified body, in one INSERT. A duplicate changes nothing.

    Args:
        integration: The integration it came for.
        raw: The body as it came.
        keep_keys: Keep the keys that an ``integration_credentials`` carries until they are tried. Removed otherwise.

    Returns:
        The event and ``True``; or ``None`` and ``False`` for a duplicate.

    Raises:
        DatabaseError: It could not be stored; Sendcloud should send it again.
    """
    raw = HiddenBytes(raw)
    body = HiddenStr(raw.decode("utf-8", "surrogateescape"))
    events = WebhookEvent.objects
    event = events.keep(integration, raw, body if keep_keys else HiddenStr(without_keys(body)))
    if event is None:
        return None, False
    work_due.send_robust(sender=WebhookEvent, queue="inbox")
    return event, True


def replay(events: QuerySet[WebhookEvent]) -> int:
    """Have events applied once more where their bodies are still there. Return how many.

    Harmless: an update that is applied already changes nothing. Where the shop's own code had failed, only what has
    failed runs again.
    """
    again: dict[str, Any] = {
        "due_at": IMMEDIATELY,
        "attempts": 0,
        "failures": 0,
        "dismissed_at": None,
        "dismissed_by": "",
        "dismissed_note": "",
    }
    count = events.filter(state__in=AWAITING_FOLLOW_UPS).update(**again, is_blocking=False)
    # A dismissed event that was applied has follow-ups left.
    dismissed = events.filter(state=EventState.DISMISSED).exclude(follow_ups={})
    count += dismissed.update(**again, is_blocking=False, state=EventState.APPLIED)
    kept = events.exclude(state__in=AWAITING_FOLLOW_UPS).exclude(body="")
    count += kept.update(state=EventState.RECEIVED, note={}, processed_at=None, is_blocking=True, **again)
    if count:
        work_due.send_robust(sender=WebhookEvent, queue="inbox")
    return count


def dismiss(events: QuerySet[WebhookEvent], by: str, note: str) -> int:
    """Dismiss events that no worker tries again. Return how many.

    Args:
        events: Events to dismiss.
        by: Operator who decided it.
        note: Reason of the operator.
    """
    return events.dead().update(  # type: ignore[attr-defined,no-any-return]  # WebhookEventQuerySet
        state=EventState.DISMISSED,
        is_blocking=False,
        dismissed_at=timezone.now(),
        dismissed_by=by[:150],
        dismissed_note=note[:200],
    )
