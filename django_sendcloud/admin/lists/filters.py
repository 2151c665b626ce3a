"""Filters of lists."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ...models import EntryState, Integration, OutboxEntry, Parcel, ShipmentStatus
from ...models.carriers import carrier_name
from ...models.delivery import PHASES
from ...models.outbox import claimed, due, later
from ...models.webhook_event import ACTIONS
from ...parcels.delivery_tasks import DeliveryTask, delivery_task
from ...sync.health import start_of_day
from ..explanations.causes import causes, with_causes

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = [
    "LABEL_CONFLICT",
    "TASK_LABELS",
    "ActionFilter",
    "CarrierFilter",
    "DeliveryFilter",
    "EntryStateFilter",
    "IntegrationFilter",
    "MatchedFilter",
    "ProblemFilter",
    "ShipmentStateFilter",
    "age_filter",
    "last_24_hours",
]


class EntryStateFilter(admin.SimpleListFilter):
    """Filter by state of an outbox entry, and by need of an operator."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        moments = [("due", _("Waiting: due now")), ("claimed", _("Sending")), ("later", _("Waiting: not due yet"))]
        return [("stuck", _("Fix needed or stopped")), *_states(), *moments]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == "stuck":
            return queryset.stuck()  # type: ignore[attr-defined,no-any-return]  # OutboxQuerySet
        if value is not None and value in MOMENTS:
            return queryset.filter(MOMENTS[value](timezone.now()))
        if value in dict(_states()):
            return queryset.filter(state=value)
        return queryset


#: Waiting entries by whether they could go now, as the overview counts them.
MOMENTS: Mapping[str, Callable[[dt.datetime], Q]] = {"due": due, "claimed": claimed, "later": later}


def _states() -> list[tuple[Any, Any]]:
    return list(OutboxEntry._meta.get_field("state").flatchoices)


class ProblemFilter(admin.SimpleListFilter):
    """Filter by cause of a problem, each with its number of orders. One query."""

    title = _("problem")
    parameter_name = "problem"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        found = causes(OutboxEntry.objects.all())
        return [(cause.key, f"{cause.title} ({number})") for cause, number in found.items()]

    def has_output(self) -> bool:
        return bool(self.lookup_choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return with_causes(queryset, [str(self.value())]) if self.value() else queryset


#: The value of the filter for labels whose orders were changed or cancelled.
LABEL_CONFLICT = "conflict"
#: Tasks of deliveries, as filters name them.
TASK_LABELS: Mapping[DeliveryTask, StrOrPromise] = {
    DeliveryTask.UNLABELLED: _("Too long without a parcel"),
    DeliveryTask.UNSCANNED: _("Label never scanned"),
    DeliveryTask.PICKUP: _("Pickup about to expire"),
    DeliveryTask.PROBLEM: _("Delivery problem, not handled"),
    DeliveryTask.RETURNED: _("Returned, not handled"),
}
#: Shipments that Sendcloud has not confirmed.


class ShipmentStateFilter(admin.SimpleListFilter):
    """Filter of shipments by their badge: pending changes of the order go before the shipment's own status.

    Every shipment is found by exactly one of the choices, the first aside, which finds all that need an operator.
    """

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("stuck", _("Fix needed or stopped")),
            ("waiting", _("Waiting")),
            ("fix_needed", _("Fix needed")),
            ("stopped", _("Stopped")),
            ("rejected", _("Rejected by Sendcloud")),
            ("synced", _("Sent")),
            ("deleted", _("Removed")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        entries = OutboxEntry.objects.filter(order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk"))
        settled = ~Q(Exists(entries))
        wanted: Mapping[str | None, Q] = {
            "stuck": Q(Exists(entries.stuck())) | settled & Q(status=ShipmentStatus.REJECTED),
            "waiting": Q(Exists(entries.pending()))
            | settled & Q(status__in=(ShipmentStatus.PENDING, ShipmentStatus.ACCEPTED)),
            "fix_needed": Q(Exists(entries.filter(state=EntryState.REJECTED))),
            "stopped": Q(Exists(entries.filter(state=EntryState.DEAD))),
            "rejected": settled & Q(status=ShipmentStatus.REJECTED),
            "synced": settled & Q(status=ShipmentStatus.SYNCED),
            "deleted": settled & Q(status=ShipmentStatus.DELETED),
        }
        return queryset.filter(wanted.get(self.value(), Q()))


class IntegrationFilter(admin.RelatedFieldListFilter):
    """Filter by integration.

    Entries without an integration count for the only one in use, and are found with it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = str(_("integration"))

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any] | None:
        if not self.lookup_val or self.lookup_val_isnull:
            return super().queryset(request, queryset)
        active = Integration.objects.active().values_list("pk", flat=True)[:2]
        if [str(pk) for pk in active] != [str(value) for value in self.lookup_val]:
            return super().queryset(request, queryset)
        return queryset.filter(Q(integration__in=list(active)) | Q(integration__isnull=True))


class DeliveryFilter(admin.SimpleListFilter):
    """Filter of shipments by delivery: first the tasks of an operator, then the phases of the least far parcel."""

    title = _("delivery")
    parameter_name = "delivery"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            (LABEL_CONFLICT, _("Label does not fit the order")),
            *((task.value, label) for task, label in TASK_LABELS.items()),
            *((f"phase:{phase}", label) for phase, label in PHASES),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = str(self.value())
        if value == LABEL_CONFLICT:
            return queryset.with_label_conflict()  # type: ignore[attr-defined,no-any-return]  # ShipmentQuerySet
        if value in DeliveryTask.values:
            return queryset.filter(delivery_task(DeliveryTask(value), timezone.now()))
        phase = value.removeprefix("phase:")
        return queryset.filter(delivery=phase) if value != phase and phase in dict(PHASES) else queryset


class MatchedFilter(admin.SimpleListFilter):
    """Filter of parcels by whether they belong to a known shipment."""

    title = _("order")
    parameter_name = "matched"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("yes", _("an order")),
            ("no", _("no order that is known here")),
            ("dismissed", _("no order, dismissed")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "yes":
                return queryset.filter(shipment__isnull=False)
            case "no":
                return queryset.needing_assignment()  # type: ignore[attr-defined,no-any-return]  # ParcelQuerySet
            case "dismissed":
                return queryset.filter(shipment__isnull=True, dismissed_at__isnull=False)
        return queryset


class CarrierFilter(admin.SimpleListFilter):
    """Filter by the carriers of the newest parcels: listing all would read the whole table."""

    title = _("carrier")
    parameter_name = "carrier"
    LATEST = 5000

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        latest = Parcel.objects.order_by("-pk").values("carrier")[: self.LATEST]
        found = {row["carrier"] for row in latest} - {""}
        if self.value():
            found.add(str(self.value()))
        return sorted(((code, carrier_name(code)) for code in found), key=lambda choice: choice[1].casefold())

    def has_output(self) -> bool:
        return len(self.lookup_choices) > 1 or bool(self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(carrier=self.value()) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    """Filter of webhooks by action."""

    title = _("action")
    parameter_name = "about"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*ACTIONS.items(), ("other", _("something else"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "other":
            return queryset.exclude(action__in=[*ACTIONS])
        return queryset.filter(action=self.value()) if self.value() in ACTIONS else queryset


def last_24_hours(field: str, now: dt.datetime) -> Q:
    """Return the condition of the last 24 hours, as lists and sparklines count them: the future is none of them."""
    return Q((f"{field}__gte", now - dt.timedelta(hours=24)), (f"{field}__lte", now))


class _AgeFilter(admin.SimpleListFilter):
    """Filter by age, in the shop's local days, as the overview counts."""

    parameter_name = "age"
    field = ""
    never: StrOrPromise = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        choices: list[tuple[str, Any]] = [
            ("today", _("today")),
            ("day", _("the last 24 hours")),
            ("week", _("the last 7 days")),
            ("month", _("the last 30 days")),
            ("older", _("longer ago")),
        ]
        return [*choices, ("never", self.never)] if self.never else choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        midnight = start_of_day(now)
        month = midnight - dt.timedelta(days=30)
        match self.value():
            case "today":
                return queryset.filter(**{f"{self.field}__gte": midnight})
            case "day":
                return queryset.filter(last_24_hours(self.field, now))
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
    """Return a filter by age.

    Args:
        field: Field of the model.
        title: Heading of the choices.
        never: Label of rows without a time. Not offered if empty.
    """
    return type("AgeFilter", (_AgeFilter,), {"field": field, "title": title, "never": never})
