"""Filters of the lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import EntryState, Integration, OutboxEntry, Parcel, ShipmentStatus
from ..models.webhook_event import ACTIONS
from .explain import explain
from .health import due, in_hand, later

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = [
    "ActionFilter",
    "CarrierFilter",
    "EntryStateFilter",
    "IntegrationFilter",
    "MatchedFilter",
    "ProblemFilter",
    "ShipmentStateFilter",
    "age_filter",
]


class EntryStateFilter(admin.SimpleListFilter):
    """The states of an outbox entry, and those that need a person."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        moments = [("due", _("due now")), ("in_hand", _("being pushed")), ("later", _("not due yet"))]
        return [("stuck", _("needs a person")), *_states(), *moments]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == "stuck":
            return queryset.stuck()  # type: ignore[attr-defined,no-any-return]  # OutboxQuerySet
        if value is not None and value in MOMENTS:
            return queryset.filter(MOMENTS[value](timezone.now()))
        if value in dict(_states()):
            return queryset.filter(state=value)
        return queryset


#: What waits, by whether it could go now: as the overview counts it.
MOMENTS: Mapping[str, Callable[[dt.datetime], Q]] = {"due": due, "in_hand": in_hand, "later": later}


def _states() -> list[tuple[Any, Any]]:
    return list(OutboxEntry._meta.get_field("state").flatchoices)


class ProblemFilter(admin.SimpleListFilter):
    """The problems there are now, in human words, with how many orders have each. One query."""

    title = _("problem")
    parameter_name = "problem"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        rows = (
            OutboxEntry.objects.using(conf().DATABASE)
            .exclude(error_code="")
            .order_by()
            .values_list("error_code")
            .annotate(number=Count("pk"))
        )
        counts = sorted(rows, key=lambda row: -row[1])
        return [(code, f"{explain(code).title} ({number})") for code, number in counts]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(error_code=self.value()) if self.value() else queryset


class ShipmentStateFilter(admin.SimpleListFilter):
    """Shipments by what their rows say: what still has to be told of the order goes before what was told.

    Every shipment is found by exactly one of the choices, the first aside: that is all of them a person has to look at.
    """

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("stuck", _("needs a person")),
            ("waiting", _("waiting")),
            ("correction", _("needs a correction")),
            ("given_up", _("given up")),
            ("refused", _("refused")),
            ("synced", _("at Sendcloud")),
            ("deleted", _("deleted at Sendcloud")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        entries = OutboxEntry.objects.filter(order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk"))
        settled = ~Q(Exists(entries))
        wanted: Mapping[str | None, Q] = {
            "stuck": Q(Exists(entries.stuck())) | settled & Q(status=ShipmentStatus.REJECTED),
            "waiting": Q(Exists(entries.pending())) | settled & Q(status=ShipmentStatus.PENDING),
            "correction": Q(Exists(entries.filter(state=EntryState.REJECTED))),
            "given_up": Q(Exists(entries.filter(state=EntryState.DEAD))),
            "refused": settled & Q(status=ShipmentStatus.REJECTED),
            "synced": settled & Q(status=ShipmentStatus.SYNCED),
            "deleted": settled & Q(status=ShipmentStatus.DELETED),
        }
        return queryset.filter(wanted.get(self.value(), Q()))


class IntegrationFilter(admin.RelatedFieldListFilter):
    """By integration, whatever the relation to it is called.

    What waits and does not know for whom yet is the concern of the only integration in use: it is counted for it, and
    found with it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = str(_("integration"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        if not self.lookup_val or self.lookup_val_isnull:
            return super().queryset(request, queryset)
        active = Integration.objects.using(conf().DATABASE).active().values_list("pk", flat=True)[:2]
        if [str(pk) for pk in active] != [str(value) for value in self.lookup_val]:
            return super().queryset(request, queryset)
        return queryset.filter(Q(integration__in=list(active)) | Q(integration__isnull=True))


class MatchedFilter(admin.SimpleListFilter):
    """Parcels that belong to a shipment we know, and those that do not."""

    title = _("belongs to")
    parameter_name = "matched"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("an order")), ("no", _("no order that is known here"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(shipment__isnull=self.value() == "no")
        return queryset


class CarrierFilter(admin.SimpleListFilter):
    """The carriers of the newest parcels: to name all there ever were would read all parcels there ever were."""

    title = _("carrier")
    parameter_name = "carrier"
    LATEST = 5000

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        from .at_sendcloud import carrier_name

        latest = Parcel.objects.using(conf().DATABASE).order_by("-pk").values("carrier")[: self.LATEST]
        found = {row["carrier"] for row in latest} - {""}
        if self.value():
            found.add(str(self.value()))
        return sorted(((code, carrier_name(code)) for code in found), key=lambda choice: choice[1].casefold())

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1 or bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(carrier=self.value()) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    """Webhooks by what they are about."""

    title = _("action")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*ACTIONS.items(), ("other", _("something else"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "other":
            return queryset.exclude(action__in=[*ACTIONS])
        return queryset.filter(action=self.value()) if self.value() in ACTIONS else queryset


class _AgeFilter(admin.SimpleListFilter):
    """How long ago something was, in days of the reader's time zone."""

    parameter_name = "age"
    field = ""
    never: StrOrPromise = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        choices: list[tuple[str, Any]] = [
            ("today", _("today")),
            ("week", _("the last 7 days")),
            ("month", _("the last 30 days")),
            ("older", _("longer ago")),
        ]
        return [*choices, ("never", self.never)] if self.never else choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
        month = midnight - dt.timedelta(days=30)
        match self.value():
            case "today":
                return queryset.filter(**{f"{self.field}__gte": midnight})
            case "week":
                return queryset.filter(**{f"{self.field}__gte": midnight - dt.timedelta(days=7)})
            case "month":
                return queryset.filter(**{f"{self.field}__gte": month})
            case "older":
                return queryset.filter(**{f"{self.field}__lt": month})
            case "never" if self.never:
                return queryset.filter(**{f"{self.field}__isnull": True})
        return queryset


def age_filter(field: str, title: StrOrPromise, *, never: StrOrPromise = "") -> type[admin.SimpleListFilter]:
    """A filter by how long ago something was.

    Args:
        field: Of the model.
        title: Above the choices.
        never: What rows are called that have no such time. Not offered without.
    """
    return type("AgeFilter", (_AgeFilter,), {"field": field, "title": title, "never": never})
