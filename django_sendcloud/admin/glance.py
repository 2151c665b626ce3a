"""What the overview knows of everything, for one person: read once, in few statements, and only what he may see."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db import models
from django.db.models import Count, Min
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from ..conf import conf
from ..models import EventState, Integration, OutboxEntry, Parcel, Shipment, WebhookEvent
from ..sync.status import sweep_age
from .addresses import admin_url
from .health import Standing, standing
from .today import pushed_since

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .base import SendcloudAdmin

__all__ = ["Cure", "Glance", "Waiting"]


@dataclasses.dataclass(frozen=True, slots=True)
class Cure:
    """Something to press.

    Args:
        label: What it says.
        url: Where it leads, or is posted to.
        post: Whether it is posted.
        name: Of what is posted with it; ``""`` if nothing is.
        value: Of the same.
    """

    label: StrOrPromise
    url: str
    post: bool = False
    name: str = ""
    value: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """Webhooks in one state."""

    number: int
    oldest: dt.datetime


class Glance:
    """Everything at one moment, with the addresses at which this person finds it."""

    def __init__(self, model_admin: SendcloudAdmin[Any], request: HttpRequest) -> None:
        self.admin, self.request = model_admin, request
        self.now = timezone.now()
        self.sight = model_admin.sight(request)
        self.standing: Standing = standing()
        self.sees_orders = self.sight.may_see(OutboxEntry)
        self.sees_shipments = self.sight.may_see(Shipment)
        self.sees_parcels = self.sight.may_see(Parcel)
        self.sees_webhooks = self.sight.may_see(WebhookEvent)
        self.inbox: Mapping[tuple[int, str], Waiting] = _inbox() if self.sees_webhooks else {}
        self.pushed: Mapping[int, int] = pushed_since(midnight(self.now)) if self.sees_shipments else {}
        self.unmatched = Parcel.objects.using(conf().DATABASE).unmatched().count() if self.sees_parcels else 0
        self.sweep_age = sweep_age() if self.standing.in_use else 0.0

    def may(self, codename: str) -> bool:
        return self.request.user.has_perm(f"django_sendcloud.{codename}")

    def webhooks(self, state: EventState, integration: Integration | None = None) -> list[Waiting]:
        """Those in a state, of one integration or of all."""
        return [
            waiting
            for (key, found), waiting in self.inbox.items()
            if found == state and (integration is None or key == integration.pk)
        ]

    # -- where it is found ------------------------------------------------------------------------

    def page(self, integration: Integration, anchor: str = "") -> str:
        """The page of an integration; ``""`` where there is none for this person."""
        url = self.sight.url(integration)
        return f"{url}#{anchor}" if url and anchor else url

    def list(self, model: type[models.Model], **query: str | int) -> str:
        """The list of just these; ``""`` where there is none for this person."""
        url = admin_url(self.admin.admin_site, model._meta, None, "changelist") if self.sight.may_see(model) else ""
        return f"{url}?{urlencode(query)}" if url and query else url

    def of(self, integration: Integration, model: type[models.Model], **query: str | int) -> str:
        """The same, of one integration."""
        return self.list(model, integration__id__exact=integration.pk, **query)

    def action(self, integration: Integration, name: str) -> str:
        """Where a button of an integration's page is posted to."""
        try:
            return reverse(
                f"{self.admin.admin_site.name}:django_sendcloud_integration_action", args=[integration.pk, name]
            )
        except NoReverseMatch:
            return ""

    def connect(self) -> str:
        """Where an integration is connected; ``""`` where this person may not."""
        if not self.may("add_integration"):
            return ""
        return admin_url(self.admin.admin_site, Integration._meta, None, "add")


def midnight(now: dt.datetime) -> dt.datetime:
    """When today began, in the reader's time zone: as the lists filter by it."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def _inbox() -> dict[tuple[int, str], Waiting]:
    """What waits or failed in the inbox, by integration and state. One statement."""
    rows = (
        WebhookEvent.objects.using(conf().DATABASE)
        .filter(state__in=(EventState.RECEIVED, EventState.FAILED, EventState.UNHEARD))
        .order_by()
        .values_list("integration", "state")
        .annotate(number=Count("pk"), oldest=Min("received_at"))
    )
    return {(integration, state): Waiting(number, oldest) for integration, state, number, oldest in rows}
