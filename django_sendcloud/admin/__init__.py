"""The operator's pages in Django's admin.

Registered on the default site unless ``SENDCLOUD["ADMIN_REGISTER"]`` is ``False``; a shop with an
``AdminSite`` of its own, or classes of its own, calls ``register(site)`` or builds on these.
"""

from __future__ import annotations

from django.contrib import admin

from ..conf import SendcloudConfigurationError, conf
from ..models import Account, Integration, OutboxEntry, Overview, Parcel, Shipment, WebhookEvent
from .account import AccountAdmin
from .base import SendcloudAdmin
from .integration import IntegrationAdmin
from .outbox import OutboxAdmin
from .overview import OverviewAdmin
from .parcel import ParcelAdmin
from .shipment import ShipmentAdmin
from .shop import SendcloudOrderAdmin
from .webhook_event import WebhookEventAdmin

__all__ = [
    "AccountAdmin",
    "IntegrationAdmin",
    "OutboxAdmin",
    "OverviewAdmin",
    "ParcelAdmin",
    "SendcloudAdmin",
    "SendcloudOrderAdmin",
    "ShipmentAdmin",
    "WebhookEventAdmin",
    "register",
]


def register(site: admin.AdminSite) -> None:
    """Register all our pages on a site."""
    site.register(Overview, OverviewAdmin)
    site.register(Integration, IntegrationAdmin)
    site.register(OutboxEntry, OutboxAdmin)
    site.register(Shipment, ShipmentAdmin)
    site.register(Parcel, ParcelAdmin)
    site.register(WebhookEvent, WebhookEventAdmin)
    site.register(Account, AccountAdmin)


def _wanted() -> bool:
    try:
        return conf().ADMIN_REGISTER
    except SendcloudConfigurationError:
        return True  # the system checks say what is wrong with the settings


if _wanted():
    register(admin.site)
