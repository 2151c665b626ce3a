"""The way from nothing to green: what is done of connecting an integration, and what comes next."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import Integration, PauseReason, WebhookEvent
from ..sync.status import sweep_age
from ..webhooks.address import reachability
from .base import ago
from .webhook import NO_ADDRESS, is_registered

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["Step", "steps"]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of connecting.

    Args:
        title: What it is about.
        done: Whether it is behind us.
        text: What to do, or what is known.
        actions: The names of the actions that do it, or help with it.
        needs_keys: Whether it is done by entering keys.
        watched: Whether it is done elsewhere, so that one looks again.
        warnings: What may stand in the way.
    """

    title: StrOrPromise
    done: bool
    text: StrOrPromise
    actions: tuple[str, ...] = ()
    needs_keys: bool = False
    watched: bool = False
    warnings: Sequence[StrOrPromise] = ()


def steps(integration: Integration, address: str) -> list[Step]:
    """What connecting this integration takes, in order. Empty once everything is done.

    Args:
        integration: Which one.
        address: Where this shop takes its webhooks; ``""`` where its URLs are not included.
    """
    found = [_keys(integration), _work(), _webhook(integration, address), _test(integration), _order(integration)]
    return [] if all(step.done for step in found) else found


def _keys(integration: Integration) -> Step:
    title = _("Keys")
    if not (integration.public_key and integration.secret_key):
        return Step(title, False, _("Enter both keys of Sendcloud's panel below."), needs_keys=True)
    if integration.paused_reason == PauseReason.CREDENTIALS:
        return Step(title, False, _("Sendcloud does not accept them any more. Enter them anew below."), needs_keys=True)
    if integration.refreshed_at is None:
        text = _("They are stored, but Sendcloud has not been asked yet whether they are right.")
        return Step(title, False, text, ("refresh",))
    return Step(title, True, _("Sendcloud has accepted them."))


def _work() -> Step:
    title, age = _("Worker and schedule"), sweep_age()
    if age is not None and age < max(300.0, 10 * conf().SWEEP_SECONDS):
        return Step(title, True, _("They are running."))
    text = _("Nobody does the work yet. Let the shop's developer start a Celery worker and beat with our schedule.")
    return Step(title, False, text, watched=True)


def _webhook(integration: Integration, address: str) -> Step:
    title = _("Webhook")
    if is_registered(integration, address):
        return Step(title, True, _("Sendcloud reports parcels to this shop."))
    if not address:
        return Step(title, False, NO_ADDRESS)
    if integration.webhook_active and integration.webhook_url:
        text = gettext("Sendcloud reports parcels to another address, {other}. Let it report them to this shop: {url}")
    else:
        text = gettext("Let Sendcloud report what becomes of parcels to this shop: {url}")
    shown = format_html(text, other=_code(integration.webhook_url), url=_code(address))
    return Step(title, False, shown, ("register_webhook",), warnings=reachability(address))


def _code(address: str) -> SafeString:
    return format_html('<code class="sc-copy">{}</code>', address)


def _test(integration: Integration) -> Step:
    title = _("Test")
    if integration.last_webhook_at is not None:
        text = gettext("A webhook has arrived and was understood: {ago}.")
        return Step(title, True, format_html(text, ago=ago(integration.last_webhook_at)))
    if arrived := _newest_arrival(integration):
        text = gettext("A webhook has arrived ({ago}), and waits for a worker to read it.")
        return Step(title, False, format_html(text, ago=ago(arrived)), watched=True)
    text = gettext(
        "In Sendcloud's panel, under Settings > Integrations > Configure, press “Test API webhook”. Then look again "
        "here: what has arrived shows within seconds. Whether anybody answers at the address can be checked from here."
    )
    return Step(title, False, text, ("check_address",), watched=True)


def _newest_arrival(integration: Integration) -> dt.datetime | None:
    events = WebhookEvent.objects.using(conf().DATABASE).filter(integration=integration)
    return events.order_by("-received_at").values_list("received_at", flat=True).first()


def _order(integration: Integration) -> Step:
    title = _("First order")
    if integration.last_success_at is not None:
        return Step(title, True, _("Sendcloud has taken orders from this shop."))
    return Step(title, False, _("Save a paid order in the shop: it goes out by itself within seconds."), watched=True)
