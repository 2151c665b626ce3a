"""Cards of the overview: one integration's health, its reason, and figures that link to what they count."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...models import EventState, Integration, OutboxEntry, Shipment, ShipmentStatus, WebhookEvent
from ...sync.health import Code, IntegrationHealth, Level
from ..explanations.errors import Explanation
from ..explanations.health import LABELS, TONES, explain_health
from ..ui.badges import badge
from ..ui.buttons import Button
from ..ui.humanize import clock_time, format_number, sent_today, when
from .snapshot import Snapshot
from .todo import enter_keys, register_webhook

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["Card", "Fact", "cards"]

NEVER = _("never")


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """One figure.

    Args:
        label: Name of the figure.
        value: Text of the figure.
        url: List of the counted rows.
        number: Rows of that list; ``None`` if the figure is no count.
        tone: ``bad`` or ``warn`` to stand out.
    """

    label: StrOrPromise
    value: Any
    url: str = ""
    number: int | None = None
    tone: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """One integration.

    Args:
        integration: The integration.
        tone: Tone of its health.
        badge: Its health in a word.
        url: Its page.
        explanation: Reason of its health.
        since: Start of that state.
        facts: Figures the operator may see.
        next: Next steps of connecting it.
    """

    integration: Integration
    tone: str
    badge: SafeString
    url: str
    explanation: Explanation
    since: SafeString | str
    facts: list[Fact]
    next: tuple[Button, ...] = ()


def cards(snapshot: Snapshot) -> list[Card]:
    """Return a card for each integration, those in use first."""
    found = sorted(snapshot.health.integrations, key=lambda health: not health.integration.is_active)
    return [_card(snapshot, health) for health in found]


def _card(snapshot: Snapshot, health: IntegrationHealth) -> Card:
    integration, tone = health.integration, TONES[health.level]
    return Card(
        integration,
        tone,
        badge(LABELS[health.level], tone),
        snapshot.page(integration),
        explain_health(health, sees_orders=snapshot.sees_orders),
        when(health.since) if health.since else "",
        _facts(snapshot, integration, health),
        _next(snapshot, integration, health) if health.level == Level.CONNECTING else (),
    )


def _next(snapshot: Snapshot, integration: Integration, health: IntegrationHealth) -> tuple[Button, ...]:
    """Return the next step of connecting, or the page with all steps."""
    if health.code == Code.KEYS_NEEDED:
        found = enter_keys(snapshot, integration)
    elif integration.webhook_path() and not (integration.webhook_active and integration.webhook_url):
        found = register_webhook(snapshot, integration)
    else:
        found = ()
    page = snapshot.page(integration)
    return found or ((Button(_("See what comes next"), page),) if page else ())


def _facts(snapshot: Snapshot, integration: Integration, health: IntegrationHealth) -> list[Fact]:
    found = [*_of_orders(snapshot, integration, health)] if snapshot.sees_orders else []
    if not integration.is_active:
        # An unused integration shows only what is left.
        return [fact for fact in found if fact.number]
    if snapshot.sees_shipments:
        number = snapshot.pushed.get(integration.pk, 0)
        synced = snapshot.of(integration, Shipment, age="today", status__exact=ShipmentStatus.SYNCED.value)
        found.insert(0, Fact(sent_today(), format_number(number), synced, number))
    if snapshot.sees_webhooks:
        found += _behind(snapshot, integration)
    found.append(Fact(_("last success"), _moment(integration.last_success_at), snapshot.of(integration, Shipment)))
    found.append(Fact(_("last webhook"), _moment(integration.last_webhook_at), snapshot.of(integration, WebhookEvent)))
    return found


def _of_orders(snapshot: Snapshot, integration: Integration, health: IntegrationHealth) -> list[Fact]:
    backlog = health.backlog
    held = not integration.is_active or health.find(Code.PAUSED, Code.KEYS_MISSING) is not None

    def counted(label: StrOrPromise, number: int, state: str, tone: str = "") -> Fact:
        url = snapshot.of(integration, OutboxEntry, state=state)
        return Fact(label, format_number(number), url, number, tone if number else "")

    if held:
        # Nothing of it can go, whenever it is due.
        found = [counted(_("on hold"), backlog.waiting, "pending", "warn")]
    else:
        found = [counted(_("due now"), backlog.due, "due")]
        if backlog.claimed:
            found.append(counted(_("sending"), backlog.claimed, "claimed"))
        if backlog.later and backlog.next_at:
            waiting = gettext("waiting, next try %(time)s") % {"time": clock_time(backlog.next_at)}
            found.append(counted(waiting, backlog.later, "later"))
    if backlog.waiting_since:
        url = snapshot.of(integration, OutboxEntry, state="pending")
        found.append(Fact(_("oldest waiting order"), when(backlog.waiting_since), url))
    found.append(counted(_("fix needed"), backlog.rejected, "rejected", "bad"))
    found.append(counted(_("stopped"), backlog.dead, "dead", "bad"))
    return found


def _behind(snapshot: Snapshot, integration: Integration) -> list[Fact]:
    url = snapshot.of(integration, WebhookEvent, state__exact=EventState.RECEIVED.value)
    label = _("webhooks to be applied")
    for waiting in snapshot.webhooks(EventState.RECEIVED, integration):
        oldest = Fact(_("oldest webhook to be applied"), when(waiting.oldest), url)
        return [Fact(label, format_number(waiting.number), url, waiting.number), oldest]
    return [Fact(label, format_number(0), url, 0)]


def _moment(moment: Any) -> Any:
    return when(moment) if moment else NEVER
