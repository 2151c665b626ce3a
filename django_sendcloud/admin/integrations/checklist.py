"""Checklist of connecting an integration: done steps, and the next one."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING

from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...conf import conf
from ...models import Integration, PauseReason, WebhookEvent
from ...sync.health import sweep_age
from ...webhooks.address import reachability
from ..explanations.health import START_WORKER
from ..ui.cells import ago
from .webhook import NO_ADDRESS, is_registered

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["Step", "steps"]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of connecting.

    Args:
        title: Subject.
        done: Whether it is done.
        text: Instruction or result.
        actions: Names of the actions that help.
        needs_keys: Whether entering keys completes it.
        watched: Whether it happens elsewhere, so that the page is reloaded.
        warnings: Possible obstacles.
    """

    title: StrOrPromise
    done: bool
    text: StrOrPromise
    actions: tuple[str, ...] = ()
    needs_keys: bool = False
    watched: bool = False
    warnings: Sequence[StrOrPromise] = ()


def steps(integration: Integration, address: str) -> list[Step]:
    """Return the steps of connecting an integration, in order. Empty once all are done.

    Args:
        integration: The integration.
        address: URL of this shop's webhook; ``""`` if its URLs are not included.
    """
    found = [_keys(integration), _work(), _webhook(integration, address), _test(integration), _order(integration)]
    return [] if all(step.done for step in found) else found


def _keys(integration: Integration) -> Step:
    title = _("Keys")
    if not (integration.public_key and integration.secret_key):
        return Step(title, False, _("Enter both keys of Sendcloud's panel below."), needs_keys=True)
    if integration.paused_reason == PauseReason.CREDENTIALS:
        return Step(title, False, _("Sendcloud rejects them now. Enter them again below."), needs_keys=True)
    if integration.refreshed_at is None:
        text = _("They are stored, but Sendcloud has not been asked yet whether they are right.")
        return Step(title, False, text, ("refresh",))
    return Step(title, True, _("Sendcloud has accepted them."))


def _work() -> Step:
    title, age = _("Worker and schedule"), sweep_age()
    if age is not None and age < max(300.0, 10 * conf().SWEEP_SECONDS):
        return Step(title, True, _("They are running."))
    text = format_lazy("{} {}", _("No worker is running."), START_WORKER)
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
        text = gettext("Register the webhook, so that Sendcloud sends parcel updates to {url}")
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
        "In Sendcloud's panel, under Settings > Integrations > Configure, press “Test API webhook”. The "
        "test shows here within seconds. You can check the webhook address from here, too."
    )
    return Step(title, False, text, ("check_address",), watched=True)


def _newest_arrival(integration: Integration) -> dt.datetime | None:
    events = WebhookEvent.objects.filter(integration=integration)
    return events.order_by("-received_at").values_list("received_at", flat=True).first()


def _order(integration: Integration) -> Step:
    title = _("First order")
    if integration.last_success_at is not None:
        return Step(title, True, _("Sendcloud has accepted orders from this shop."))
    text = _(
        "Send a test order: it is made at Sendcloud, seen there and deleted again. Or save a paid order in the shop: "
        "it goes out automatically within seconds."
    )
    return Step(title, False, text, ("test_order",), watched=True)
