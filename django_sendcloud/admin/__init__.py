"""The operator's pages in Django's admin.

Registered on the default site unless ``SENDCLOUD["ADMIN_REGISTER"]`` is ``False``; a shop with an
``AdminSite`` of its own, or classes of its own, calls ``register(site)`` or builds on these.

Django imports this package in every process, workers and commands included. The pages are imported with the admin's
URLs, or when its checks run.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, cast

from django.apps import apps
from django.contrib import admin
from django.utils.functional import SimpleLazyObject

from ..conf import SendcloudConfigurationError, conf
from ..models import Account, Integration, OutboxEntry, Overview, Parcel, Shipment, WebhookEvent
from ..signals import alerts_due
from .alerts.sidebar import count_in_sidebar, open_problems

if TYPE_CHECKING:
    from .accounts.admin import AccountAdmin
    from .base import SendcloudAdmin
    from .inbox.admin import WebhookEventAdmin
    from .integrations.admin import IntegrationAdmin
    from .orders.extend import extend_order_admin
    from .orders.mixin import SendcloudOrderAdmin
    from .outbox.admin import OutboxAdmin
    from .overview.admin import OverviewAdmin
    from .parcels.admin import ParcelAdmin
    from .shipments.admin import ShipmentAdmin

_LAZY_IMPORTS = {
    "AccountAdmin": ".accounts.admin",
    "IntegrationAdmin": ".integrations.admin",
    "OutboxAdmin": ".outbox.admin",
    "OverviewAdmin": ".overview.admin",
    "ParcelAdmin": ".parcels.admin",
    "SendcloudAdmin": ".base",
    "SendcloudOrderAdmin": ".orders.mixin",
    "ShipmentAdmin": ".shipments.admin",
    "WebhookEventAdmin": ".inbox.admin",
    "extend_order_admin": ".orders.extend",
}

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
    "extend_order_admin",
    "open_problems",
    "register",
]


def __getattr__(name: str) -> Any:
    if home := _LAZY_IMPORTS.get(name):
        value = getattr(importlib.import_module(home, __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY_IMPORTS])


def _on_demand(name: str) -> type[admin.ModelAdmin[Any]]:
    """Return a stand-in for one of our classes: what the site makes of it imports the class on first use."""

    def make(model: Any, site: admin.AdminSite) -> Any:
        def load() -> Any:
            page = __getattr__(name)(model, site)
            # The registry then holds the page itself, so that ``type()`` of it is its class.
            if site._registry.get(model) is stand_in:
                site._registry[model] = page
            return page

        stand_in: Any = SimpleLazyObject(load)
        return stand_in

    # The site only calls it, with the model and itself.
    return cast("type[admin.ModelAdmin[Any]]", make)


def register(site: admin.AdminSite) -> None:
    """Register all our pages on a site, and show incidents on its home unless it has a template of its own."""
    if site.index_template is None:
        site.index_template = "admin/django_sendcloud/index.html"
    count_in_sidebar(site)
    site.register(Overview, _on_demand("OverviewAdmin"))
    site.register(Integration, _on_demand("IntegrationAdmin"))
    site.register(OutboxEntry, _on_demand("OutboxAdmin"))
    site.register(Shipment, _on_demand("ShipmentAdmin"))
    site.register(Parcel, _on_demand("ParcelAdmin"))
    site.register(WebhookEvent, _on_demand("WebhookEventAdmin"))
    site.register(Account, _on_demand("AccountAdmin"))


def _mail_alerts(**kwargs: Any) -> None:
    from .alerts.mails import mail_alerts

    mail_alerts(**kwargs)


alerts_due.connect(_mail_alerts, dispatch_uid="django_sendcloud.mail_alerts")


def _wanted() -> bool:
    if not apps.is_installed("django.contrib.admin"):
        return False  # a page of another back office uses parts of this package
    try:
        return conf().ADMIN_REGISTER
    except SendcloudConfigurationError:
        return True  # the system checks say what is wrong with the settings


if _wanted():
    register(admin.site)
