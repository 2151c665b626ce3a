"""Words for health findings: label, tone and explanation of each code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...core.clock import clock
from ...models import Integration, PauseReason
from ...sync.health import Code, Finding, IntegrationHealth, Level
from ..ui.humanize import clock_time, quoted, without_double_stop
from .errors import Explanation, explain, explain_pause

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = [
    "ASKS_OPERATOR",
    "LABELS",
    "NO_KEYS",
    "START_WORKER",
    "TONES",
    "WORDS",
    "explain_finding",
    "explain_health",
    "explain_hold",
    "explain_paused",
    "holds_orders",
]

LABELS: Mapping[Level, StrOrPromise] = {
    Level.WORKING: _("working"),
    Level.WAITING: _("waiting"),
    Level.ATTENTION: _("needs attention"),
    Level.PAUSED: _("paused"),
    Level.OFF: _("not in use"),
    Level.CONNECTING: _("being connected"),
}
TONES: Mapping[Level, str] = {
    Level.WORKING: "good",
    Level.WAITING: "warn",
    Level.ATTENTION: "bad",
    Level.PAUSED: "bad",
    Level.OFF: "off",
    Level.CONNECTING: "busy",
}

START_WORKER = _("Ask your developer to start the worker: Celery's worker and beat, or sendcloud_work.")
NO_KEYS = Explanation(
    _("API keys are missing"),
    _("Without a public key and a secret key, nothing can be sent to Sendcloud."),
    _("Copy both keys from Sendcloud's panel (Settings > Integrations > Configure) into the fields here."),
)
MARKED_AS_COPY = Explanation(
    _("It is not used by this copy of the shop"),
    _("An operator decided that another deployment ships. Nothing is sent from here."),
    _("If that was a mistake, press “This is the shop that ships”. Orders placed meanwhile are sent then."),
)
ASKS_OPERATOR = Explanation(
    _("Some orders need a fix"),
    _("They could not be sent as they are."),
    _("Ask a colleague who may see the outbox to look at them."),
)

#: Codes of findings. Pauses and failing orders have words of their own.
WORDS: Mapping[Code, Explanation] = {
    Code.NOT_IN_USE: Explanation(
        _("It is not in use"),
        _("New orders do not go to it, and nothing is sent for it."),
        _("Mark it as “in use” below to ship through it."),
    ),
    Code.DISCONNECTED: Explanation(
        _("It is disconnected"),
        _("Its keys are deleted here, and nothing is sent for it."),
        _("Enter both keys below to connect it again. Otherwise there is nothing to do."),
    ),
    Code.KEYS_MISSING: NO_KEYS,
    Code.KEYS_NEEDED: Explanation(
        _("API keys are still to be entered"),
        _("It is new, and without a public key and a secret key nothing can be sent."),
        NO_KEYS.advice,
    ),
    Code.NO_WORKER: Explanation(
        _("No worker is running"),
        _("Orders have been due for minutes, and no worker has sent them."),
        format_lazy("{} {}", START_WORKER, _("No order is lost; all are sent then.")),
    ),
    Code.REJECTED: Explanation(
        _("Some orders need a fix"),
        _("Their data breaks a rule, or Sendcloud rejected them."),
        _("Open them in the outbox: each says what is wrong and what to do."),
    ),
    Code.DEAD: Explanation(
        _("Some orders are stopped"),
        _("They failed again and again and are not retried."),
        _("Open them in the outbox, fix the cause, and push them again."),
    ),
    Code.FAILING_THERE: Explanation(
        _("Sendcloud reports that the integration fails"),
        _("Sendcloud itself has trouble with this integration, for instance when it calls the webhook address."),
        _("Look at the failed requests of the integration in Sendcloud's panel, and check its webhook address."),
    ),
    Code.RATE_LIMITED: explain("rate_limited"),
    Code.UNREACHABLE: Explanation(
        _("Sendcloud cannot be reached"),
        _("Requests fail: the network, DNS or Sendcloud itself has a problem."),
        _("No action needed: one order is tried from time to time, and all others follow once it arrives."),
        is_transient=True,
    ),
    Code.NOTHING_SENT: Explanation(
        _("No order has been sent yet"),
        _("It is new, or its set-up is not finished."),
        _("Its page shows step by step what is done and what comes next."),
    ),
    Code.WEBHOOK_NEEDED: Explanation(
        _("Orders go out, but parcel updates do not arrive yet"),
        _("Its webhook is not registered yet, so tracking numbers and deliveries do not arrive."),
        _("Register the webhook: one button, and Sendcloud knows where to send parcel updates."),
    ),
    Code.WEBHOOK_OFF: Explanation(
        _("Sendcloud does not send parcel updates any more"),
        _("Its webhook is switched off or has no address, so tracking numbers and deliveries do not arrive."),
        _("Register the webhook: one button, and Sendcloud knows where to send parcel updates."),
    ),
    Code.WORKING: Explanation(_("Everything goes out"), _("No order waits longer than it should."), ""),
}


def explain_finding(finding: Finding, integration: Integration | None = None) -> Explanation:
    """Explain a finding.

    Args:
        finding: The finding.
        integration: Its integration, if the explanation is to name who paused it, why and until when.
    """
    match finding.code:
        case Code.PAUSED if integration is not None:
            return explain_paused(integration)
        case Code.PAUSED:
            return explain_pause(finding.detail)
        case Code.NOT_IN_USE if finding.detail == PauseReason.COPY:
            return MARKED_AS_COPY
        case Code.ORDERS_FAILING:
            return explain(finding.detail)
    return WORDS[finding.code]


def explain_paused(integration: Integration) -> Explanation:
    """Explain the pause of an integration, with the operator, the reason and the end of an operator's pause."""
    found = explain_pause(integration.paused_reason)
    if integration.paused_reason != PauseReason.PERSON:
        return found
    title, why, advice = found.title, found.why, found.advice
    if integration.paused_by:
        title = gettext("Paused by %(name)s") % {"name": integration.paused_by}
    if integration.paused_detail:
        why = f"{quoted(integration.paused_detail)} {why}"
    # Without a worker, the end of the pause passes by.
    if integration.paused_until is not None and integration.paused_until > clock.now():
        advice = gettext("Sending resumes automatically: %(time)s. Resume it to send earlier.")
        advice = without_double_stop(advice % {"time": clock_time(integration.paused_until)})
    return Explanation(title, why, advice)


def holds_orders(integration: Integration) -> bool:
    """Return whether its orders are on hold, because it is paused or not in use."""
    return integration.is_paused or not integration.is_active


def explain_hold(integration: Integration) -> Explanation:
    """Explain why an integration holds its orders, to a reader who sees one of them."""
    if integration.is_active:
        found = explain_paused(integration)
    elif integration.paused_reason == PauseReason.COPY:
        found = MARKED_AS_COPY
    else:
        advice = _(
            "Mark it as in use, and the order is sent automatically. Or save the order, if it goes elsewhere now."
        )
        found = dataclasses.replace(WORDS[Code.NOT_IN_USE], advice=advice)
    return dataclasses.replace(found, title=f"{integration}: {found.title}")


def explain_health(health: IntegrationHealth, *, sees_orders: bool = True) -> Explanation:
    """Explain the gravest finding.

    Args:
        health: Health of an integration.
        sees_orders: Whether the operator may see the outbox.
    """
    if health.code in (Code.REJECTED, Code.DEAD) and not sees_orders:
        return ASKS_OPERATOR
    return explain_finding(health.findings[0], health.integration)
