"""Facts of the overview, for one operator: read once, in few statements, and only what the operator may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db import models
from django.db.models import Exists
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from ...models import EventState, Integration, OutboxEntry, Parcel, Preference, Shipment, WebhookEvent
from ...models.base import count_in_one_statement
from ...models.preference import PRINTING
from ...parcels.delivery_tasks import DeliveryTask, delivery_task
from ...sync.health import Health, Inbox, inbox, pushed_since, start_of_day
from ..explanations.causes import Cause
from ..health import health_of
from ..outbox.fixing import fix_url
from ..parcels.labels import ready_to_print
from ..ui.links import admin_url

if TYPE_CHECKING:
    from ..base import SendcloudAdmin

__all__ = ["Snapshot"]


class Snapshot:
    """All facts at one moment, with the URLs this operator may open."""

    def __init__(self, model_admin: SendcloudAdmin[Any], request: HttpRequest) -> None:
        self.admin, self.request = model_admin, request
        self.now = timezone.now()
        self.permissions = model_admin.permissions(request)
        self.health: Health = health_of(request)
        self.sees_orders = self.permissions.may_see(OutboxEntry)
        self.sees_shipments = self.permissions.may_see(Shipment)
        self.sees_parcels = self.permissions.may_see(Parcel)
        self.sees_webhooks = self.permissions.may_see(WebhookEvent)
        self.inbox: Mapping[tuple[int, str], Inbox] = inbox() if self.sees_webhooks else {}
        self.pushed: Mapping[int, int] = pushed_since(start_of_day(self.now)) if self.sees_shipments else {}
        counts = count_in_one_statement(self._counted())
        self.deliveries = {task: counts.get(task.value, 0) for task in DeliveryTask}
        self.ready_to_print = counts.get("ready_to_print", 0)
        self.label_conflicts = counts.get("label_conflicts", 0)
        self.unmatched = counts.get("unmatched", 0)

    def _counted(self) -> dict[str, models.QuerySet[Any]]:
        """Return the rows to count that this operator may see, by name."""
        found: dict[str, models.QuerySet[Any]] = {}
        if self.sees_parcels:
            if self.may("print_label"):
                # Of shops that print here, and not in Sendcloud's panel.
                found["ready_to_print"] = ready_to_print(
                    Parcel.objects.filter(Exists(Preference.objects.filter(name=PRINTING)))
                )
            found["unmatched"] = Parcel.objects.needing_assignment()
        if self.sees_parcels and self.sees_shipments:
            found["label_conflicts"] = Shipment.objects.with_label_conflict()
            found |= {task.value: Shipment.objects.filter(delivery_task(task, self.now)) for task in DeliveryTask}
        return found

    def may(self, codename: str) -> bool:
        return self.request.user.has_perm(f"django_sendcloud.{codename}")

    def webhooks(self, state: EventState, integration: Integration | None = None) -> list[Inbox]:
        """Return the webhooks in a state, of one integration or of all."""
        return [
            waiting
            for (key, found), waiting in self.inbox.items()
            if found == state and (integration is None or key == integration.pk)
        ]

    # -- addresses --------------------------------------------------------------------------------

    def page(self, integration: Integration, anchor: str = "") -> str:
        """Return an integration's page; ``""`` if the operator may not open it."""
        url = self.permissions.url(integration)
        return f"{url}#{anchor}" if url and anchor else url

    def list(self, model: type[models.Model], **query: str | int) -> str:
        """Return the list of these rows; ``""`` if the operator may not open it."""
        url = (
            admin_url(self.admin.admin_site, model._meta, None, "changelist") if self.permissions.may_see(model) else ""
        )
        return f"{url}?{urlencode(query)}" if url and query else url

    def of(self, integration: Integration, model: type[models.Model], **query: str | int) -> str:
        """Return the list of one integration's rows."""
        return self.list(model, integration__id__exact=integration.pk, **query)

    def fix(self, cause: Cause) -> str:
        """Return the page where orders with a cause are fixed; ``""`` if the operator may not open it."""
        return fix_url(self.admin.admin_site, cause, self.request.path) if self.sees_orders else ""

    def action(self, integration: Integration, name: str) -> str:
        """Return the URL of an action on an integration's page."""
        try:
            return reverse(
                f"{self.admin.admin_site.name}:django_sendcloud_integration_action", args=[integration.pk, name]
            )
        except NoReverseMatch:
            return ""

    def connect(self) -> str:
        """Return the page that connects an integration; ``""`` if the operator may not."""
        if not self.may("add_integration"):
            return ""
        return admin_url(self.admin.admin_site, Integration._meta, None, "add")
