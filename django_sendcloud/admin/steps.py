"""The way from nothing to green: what is done of connecting an integration, and what comes next."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import Integration
from ..sync.status import sweep_age

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Step", "steps"]


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One step of connecting.

    Args:
        title: What it is about.
        done: Whether it is behind us.
        text: What to do, or what is known.
        button: The name of the action that does it, if one does.
    """

    title: StrOrPromise
    done: bool
    text: StrOrPromise
    button: str = ""


def steps(integration: Integration, address: str) -> list[Step]:
    """What connecting this integration takes, in order. Empty once everything is done.

    Args:
        integration: Which one.
        address: Where this shop takes its webhooks; ``""`` where its URLs are not included.
    """
    age = sweep_age()
    runs = age is not None and age < max(300.0, 10 * conf().SWEEP_SECONDS)
    registered = bool(address) and integration.webhook_active and integration.webhook_url == address
    found = [
        Step(
            _("Keys"),
            integration.refreshed_at is not None,
            _("Sendcloud has accepted them.")
            if integration.refreshed_at
            else _("They are stored, but Sendcloud has not been asked yet whether they are right."),
            "refresh",
        ),
        Step(
            _("Worker and schedule"),
            runs,
            _("They are running.")
            if runs
            else _(
                "Nobody does the work yet. Let the shop's developer start a Celery worker and beat with our schedule."
            ),
        ),
        Step(
            _("Webhook"),
            registered,
            _("Sendcloud reports parcels to this shop.")
            if registered
            else _("Let Sendcloud report what becomes of parcels to this shop.")
            if address
            else _("The shop's URLs do not include django_sendcloud.urls. Let the shop's developer add it."),
            "register_webhook" if address else "",
        ),
        Step(
            _("First news"),
            integration.last_webhook_at is not None,
            _("A webhook has arrived and was understood.")
            if integration.last_webhook_at
            else _(
                "Send a test from Sendcloud's panel (Settings > Integrations > Configure > Test API webhook). "
                "It shows here as soon as it has arrived."
            ),
        ),
        Step(
            _("First order"),
            integration.last_success_at is not None,
            _("Sendcloud has taken orders from this shop.")
            if integration.last_success_at
            else _("Save a paid order in the shop: it goes out by itself within seconds."),
        ),
    ]
    return [] if all(step.done for step in found) else found
