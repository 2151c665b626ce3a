"""How things stand, in figures: for the command line, the admin and monitors."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

from django.db.models import Count, Max, Min, Q

from ..clock import clock
from ..conf import conf
from ..models import (
    Account,
    EntryState,
    EventState,
    Integration,
    OutboxEntry,
    Shipment,
    ShipmentStatus,
    WebhookEvent,
)
from . import breaker, limiter

__all__ = ["IntegrationHealth", "Status", "mark_sweep", "status", "sweep_age"]


@dataclasses.dataclass(frozen=True, slots=True)
class IntegrationHealth:
    """One integration. Times are UTC, durations in seconds."""

    pk: int
    remote_id: int
    name: str
    health: str
    """``working``, ``waiting`` (a limit, or the breaker), ``paused`` or ``unused``."""
    reason: str
    since: dt.datetime | None
    last_success: dt.datetime | None
    last_webhook: dt.datetime | None
    waiting: int
    """Outbox entries known to wait for this one. Fresh ones belong to none yet."""
    shipments: int
    rejected: int
    breaker: str
    """``closed``; ``open`` while Sendcloud fails and is left alone; ``half-open``: one order tries next."""
    changes_left: int
    """Requests that change something which its account may send at once now."""
    reads_left: int
    """Requests that only read, likewise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """All of it, at one moment."""

    due: int
    oldest_due_seconds: float
    later: int
    """Pending, but not due yet: debounced, backing off or in quarantine."""
    in_flight: int
    rejected: int
    dead: int
    inbox: int
    inbox_lag_seconds: float
    inbox_failed: int
    sweep_age_seconds: float | None
    """Since the periodic sweep last ran; ``None`` where it never did."""
    integrations: list[IntegrationHealth]

    def as_json(self) -> dict[str, Any]:
        """Plain values, with times in ISO 8601."""
        values = dataclasses.asdict(self)
        for integration in values["integrations"]:
            for name, value in integration.items():
                if isinstance(value, dt.datetime):
                    integration[name] = value.isoformat()
        return values


def mark_sweep() -> None:
    """Note that the periodic work runs. Called by the sweep."""
    clock.synchronize()
    Account.objects.using(conf().DATABASE).update(swept_at=clock.now())


def sweep_age() -> float | None:
    """Seconds since the periodic sweep last ran; ``None`` where it never did."""
    swept = Account.objects.using(conf().DATABASE).aggregate(swept=Max("swept_at"))["swept"]
    return None if swept is None else _age(swept, clock.now())


def status() -> Status:
    """Count everything, in seven queries however much there is, and one for each account."""
    database = conf().DATABASE
    now = clock.now()
    pending = Q(state=EntryState.PENDING)
    due = pending & Q(due_at__lte=now, not_before__lte=now)
    leased = pending & ~Q(lease="") & Q(not_before__gt=now)
    outbox = OutboxEntry.objects.using(database).aggregate(
        due=Count("pk", filter=due),
        oldest=Min("due_at", filter=due),
        pending=Count("pk", filter=pending),
        in_flight=Count("pk", filter=leased),
        rejected=Count("pk", filter=Q(state=EntryState.REJECTED)),
        dead=Count("pk", filter=Q(state=EntryState.DEAD)),
    )
    inbox = WebhookEvent.objects.using(database).aggregate(
        waiting=Count("pk", filter=Q(state=EventState.RECEIVED)),
        oldest=Min("received_at", filter=Q(state=EventState.RECEIVED)),
        failed=Count("pk", filter=Q(state=EventState.FAILED)),
    )
    return Status(
        due=outbox["due"],
        oldest_due_seconds=_age(outbox["oldest"], now),
        later=outbox["pending"] - outbox["due"] - outbox["in_flight"],
        in_flight=outbox["in_flight"],
        rejected=outbox["rejected"],
        dead=outbox["dead"],
        inbox=inbox["waiting"],
        inbox_lag_seconds=_age(inbox["oldest"], now),
        inbox_failed=inbox["failed"],
        sweep_age_seconds=sweep_age(),
        integrations=_integrations(now),
    )


def _age(moment: dt.datetime | None, now: dt.datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


def _integrations(now: dt.datetime) -> list[IntegrationHealth]:
    database = conf().DATABASE
    waiting = dict(
        OutboxEntry.objects.using(database)
        .filter(integration__isnull=False)
        .values_list("integration")
        .annotate(n=Count("pk"))
        .order_by()
    )
    shipments: dict[int, dict[str, int]] = {}
    rows = Shipment.objects.using(database).values_list("integration", "status").annotate(n=Count("pk")).order_by()
    for pk, state, count in rows:
        shipments.setdefault(pk, {})[state] = count
    rates: dict[int, dict[limiter.Kind, int]] = {}
    found = []
    for integration in Integration.objects.using(database).select_related("account").order_by("pk"):
        health, reason, since = _health(integration, now)
        counts = shipments.get(integration.pk, {})
        account = integration.account
        if account.pk not in rates:
            rates[account.pk] = limiter.left(account.pk)
        found.append(
            IntegrationHealth(
                pk=integration.pk,
                remote_id=integration.remote_id,
                name=str(integration),
                health=health,
                reason=reason,
                since=since,
                last_success=integration.last_success_at,
                last_webhook=integration.last_webhook_at,
                waiting=waiting.get(integration.pk, 0),
                shipments=sum(counts.values()) - counts.get(ShipmentStatus.DELETED.value, 0),
                rejected=counts.get(ShipmentStatus.REJECTED.value, 0),
                breaker=breaker.state(account, now),
                changes_left=rates[account.pk]["unsafe"],
                reads_left=rates[account.pk]["safe"],
            )
        )
    return found


def _health(integration: Integration, now: dt.datetime) -> tuple[str, str, dt.datetime | None]:
    if not integration.is_active:
        return "unused", "not in use", None
    if integration.paused_since is not None:
        return "paused", str(integration.get_paused_reason_display()), integration.paused_since
    account = integration.account
    if until := breaker.closed_until(account, now):
        reason = "Sendcloud asked to wait" if account.blocked_until == until else "Sendcloud fails"
        return "waiting", f"{reason}; tried again at {until:%H:%M:%S} UTC", None
    return "working", "", None
