"""One integration at a glance: how it is, why, since when, and in figures that lead to just what they count."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import EventState, Integration, OutboxEntry, Shipment, ShipmentStatus, WebhookEvent
from .badges import badge
from .explain import Explanation
from .glance import Cure, Glance
from .health import CONNECTING, DEAD, NO_KEYS_YET, PAUSED, REJECTED, Health
from .integration_page import ASKS_A_PERSON
from .spoken import clock_time, grouped, when
from .tasks import enter_keys, register_webhook

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["Card", "Fact", "cards"]

NEVER = _("never")


@dataclasses.dataclass(frozen=True, slots=True)
class Fact:
    """One figure.

    Args:
        label: What it counts.
        value: As it is read.
        url: The list of what it counts.
        number: How many that list shows; ``None`` where it is not a number of things.
        tone: ``bad`` or ``warn`` where it should catch the eye.
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
        integration: Which.
        tone: Of its health.
        badge: Its health in a word.
        url: Its page.
        explanation: Why it is so.
        since: Since when.
        facts: Its figures, as far as this person may see what they count.
        next: What comes next of connecting it.
    """

    integration: Integration
    tone: str
    badge: SafeString
    url: str
    explanation: Explanation
    since: SafeString | str
    facts: list[Fact]
    next: tuple[Cure, ...] = ()


def cards(glance: Glance) -> list[Card]:
    """All integrations, those in use first."""
    found = sorted(glance.standing.integrations, key=lambda each: not each[0].is_active)
    return [_card(glance, integration, health) for integration, health in found]


def _card(glance: Glance, integration: Integration, health: Health) -> Card:
    explanation = health.explanation
    if explanation in (REJECTED, DEAD) and not glance.sees_orders:
        explanation = ASKS_A_PERSON
    return Card(
        integration,
        health.tone,
        badge(health.label, health.tone),
        glance.page(integration),
        explanation,
        when(health.since) if health.since else "",
        _facts(glance, integration, health),
        _next(glance, integration, health) if health.state == CONNECTING else (),
    )


def _next(glance: Glance, integration: Integration, health: Health) -> tuple[Cure, ...]:
    """The next step of connecting, or the page that shows all of them."""
    if health.explanation is NO_KEYS_YET:
        found = enter_keys(glance, integration)
    elif integration.webhook_path() and not (integration.webhook_active and integration.webhook_url):
        found = register_webhook(glance, integration)
    else:
        found = ()
    page = glance.page(integration)
    return found or ((Cure(_("See what comes next"), page),) if page else ())


def _facts(glance: Glance, integration: Integration, health: Health) -> list[Fact]:
    found = [*_of_orders(glance, integration, health)] if glance.sees_orders else []
    if not integration.is_active:
        # Quiet: only what is still there.
        return [fact for fact in found if fact.number]
    if glance.sees_shipments:
        number = glance.pushed.get(integration.pk, 0)
        told = glance.of(integration, Shipment, age="today", status__exact=ShipmentStatus.SYNCED.value)
        found.insert(0, Fact(_("pushed today"), grouped(number), told, number))
    if glance.sees_webhooks:
        found += _behind(glance, integration)
    found.append(Fact(_("last success"), _moment(integration.last_success_at), glance.of(integration, Shipment)))
    found.append(Fact(_("last webhook"), _moment(integration.last_webhook_at), glance.of(integration, WebhookEvent)))
    return found


def _of_orders(glance: Glance, integration: Integration, health: Health) -> list[Fact]:
    backlog = health.backlog
    held = health.state == PAUSED or not integration.is_active

    def counted(label: StrOrPromise, number: int, state: str, tone: str = "") -> Fact:
        url = glance.of(integration, OutboxEntry, state=state)
        return Fact(label, grouped(number), url, number, tone if number else "")

    # What is due and cannot go is not said to be due.
    found = [counted(_("held back") if held else _("due now"), backlog.due, "due", "warn" if held else "")]
    if backlog.oldest_due:
        label = _("oldest held back") if held else _("oldest due")
        found.append(Fact(label, when(backlog.oldest_due), glance.of(integration, OutboxEntry, state="due")))
    if backlog.in_hand:
        found.append(counted(_("being pushed"), backlog.in_hand, "in_hand"))
    if backlog.later and backlog.next_at:
        resting = gettext("waiting, not due before %(time)s") % {"time": clock_time(backlog.next_at)}
        found.append(counted(resting, backlog.later, "later"))
    found.append(counted(_("to be corrected"), backlog.rejected, "rejected", "bad"))
    found.append(counted(_("given up"), backlog.dead, "dead", "bad"))
    return found


def _behind(glance: Glance, integration: Integration) -> list[Fact]:
    url = glance.of(integration, WebhookEvent, state__exact=EventState.RECEIVED.value)
    label = _("webhooks to be applied")
    for waiting in glance.webhooks(EventState.RECEIVED, integration):
        oldest = Fact(_("oldest to be applied"), when(waiting.oldest), url)
        return [Fact(label, grouped(waiting.number), url, waiting.number), oldest]
    return [Fact(label, grouped(0), url, 0)]


def _moment(moment: Any) -> Any:
    return when(moment) if moment else NEVER
