"""How things stand, in figures: for the command line, the admin and monitors."""

from __future__ import annotations

import dataclasses
import datetime as dt
import operator
from collections.abc import Mapping, Sequence
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
from .fold import fold_all

__all__ = ["Backlog", "IntegrationHealth", "Status", "mark_sweep", "status", "sweep_age"]


@dataclasses.dataclass(frozen=True, slots=True)
class Backlog:
    """What waits: orders to be told, and webhooks to be applied. Durations are in seconds."""

    due: int = 0
    oldest_due_seconds: float = 0.0
    later: int = 0
    """Pending, but not due yet: debounced, backing off or in quarantine."""
    in_flight: int = 0
    rejected: int = 0
    """Orders that need a correction."""
    dead: int = 0
    """Orders that were given up."""
    inbox: int = 0
    inbox_lag_seconds: float = 0.0
    """Since the oldest webhook that waits was received."""
    inbox_failed: int = 0

    def __add__(self, other: Backlog) -> Backlog:
        """Both together: numbers add up, and the older of two ages counts."""
        values = {
            field.name: (max if field.name.endswith("_seconds") else operator.add)(
                getattr(self, field.name), getattr(other, field.name)
            )
            for field in dataclasses.fields(Backlog)
        }
        return Backlog(**values)


@dataclasses.dataclass(frozen=True, slots=True)
class IntegrationHealth:
    """One integration. Times are UTC."""

    pk: int
    remote_id: int
    name: str
    health: str
    """``working``, ``waiting`` (a limit, or the breaker), ``paused`` or ``unused``."""
    reason: str
    since: dt.datetime | None
    last_success: dt.datetime | None
    last_webhook: dt.datetime | None
    backlog: Backlog
    shipments: int
    """Those that are, or should be, at Sendcloud."""
    breaker: str
    """``closed``; ``open`` while Sendcloud fails and is left alone; ``half-open``: one order tries next."""
    changes_left: int
    """Requests that change something which its account may send at once now."""
    reads_left: int
    """Requests that only read, likewise."""


@dataclasses.dataclass(frozen=True, slots=True)
class Status:
    """All of it, at one moment."""

    total: Backlog
    unassigned: Backlog
    """Of orders nobody has looked at yet, where several integrations are in use or none: which one they go to is found
    out when they are pushed."""
    sweep_age_seconds: float | None
    """Since the periodic sweep last ran; ``None`` where it never did."""
    integrations: list[IntegrationHealth]

    def as_json(self) -> dict[str, Any]:
        """Plain values, with times in ISO 8601; the backlog's figures stand beside the others."""
        values = dataclasses.asdict(self)
        values |= values.pop("total")
        for integration in values["integrations"]:
            integration |= integration.pop("backlog")
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
    fold_all()
    now = clock.now()
    backlogs = _backlogs(now)
    integrations = list(Integration.objects.using(conf().DATABASE).select_related("account").order_by("pk"))
    active = [integration.pk for integration in integrations if integration.is_active]
    if len(active) == 1 and None in backlogs:
        # There is nowhere else they could go.
        backlogs[active[0]] = backlogs.get(active[0], Backlog()) + backlogs.pop(None)
    return Status(
        total=sum(backlogs.values(), Backlog()),
        unassigned=backlogs.get(None, Backlog()),
        sweep_age_seconds=sweep_age(),
        integrations=_integrations(integrations, backlogs, now),
    )


def _backlogs(now: dt.datetime) -> dict[int | None, Backlog]:
    """What waits, by integration; ``None`` where it is not known yet. Two queries."""
    database = conf().DATABASE
    pending = Q(state=EntryState.PENDING)
    due = pending & Q(due_at__lte=now, not_before__lte=now)
    leased = pending & ~Q(lease="") & Q(not_before__gt=now)
    outbox = (
        OutboxEntry.objects.using(database)
        .order_by()
        .values("integration")
        .annotate(
            due=Count("pk", filter=due),
            oldest=Min("due_at", filter=due),
            pending=Count("pk", filter=pending),
            in_flight=Count("pk", filter=leased),
            rejected=Count("pk", filter=Q(state=EntryState.REJECTED)),
            dead=Count("pk", filter=Q(state=EntryState.DEAD)),
        )
    )
    inbox = (
        WebhookEvent.objects.using(database)
        .filter(state__in=(EventState.RECEIVED, EventState.FAILED))
        .order_by()
        .values("integration")
        .annotate(
            waiting=Count("pk", filter=Q(state=EventState.RECEIVED)),
            oldest=Min("received_at", filter=Q(state=EventState.RECEIVED)),
            failed=Count("pk", filter=Q(state=EventState.FAILED)),
        )
    )
    found: dict[int | None, Backlog] = {}
    for row in outbox:
        found[row["integration"]] = Backlog(
            due=row["due"],
            oldest_due_seconds=_age(row["oldest"], now),
            later=row["pending"] - row["due"] - row["in_flight"],
            in_flight=row["in_flight"],
            rejected=row["rejected"],
            dead=row["dead"],
        )
    for news in inbox:
        found[news["integration"]] = found.get(news["integration"], Backlog()) + Backlog(
            inbox=news["waiting"], inbox_lag_seconds=_age(news["oldest"], now), inbox_failed=news["failed"]
        )
    return found


def _age(moment: dt.datetime | None, now: dt.datetime) -> float:
    return 0.0 if moment is None else max(0.0, (now - moment).total_seconds())


def _integrations(
    integrations: Sequence[Integration], backlogs: Mapping[int | None, Backlog], now: dt.datetime
) -> list[IntegrationHealth]:
    alive = Shipment.objects.using(conf().DATABASE).exclude(status=ShipmentStatus.DELETED).order_by()
    shipments: dict[int, int] = dict(alive.values_list("integration").annotate(n=Count("pk")))
    rates: dict[int, dict[limiter.Kind, int]] = {}
    found = []
    for integration in integrations:
        health, reason, since = _health(integration, now)
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
                backlog=backlogs.get(integration.pk, Backlog()),
                shipments=shipments.get(integration.pk, 0),
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
