"""Filters of the lists."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import OutboxEntry
from .explain import explain

__all__ = ["EntryStateFilter", "IntegrationFilter", "MatchedFilter", "ProblemFilter"]


class EntryStateFilter(admin.SimpleListFilter):
    """The states of an outbox entry, and those that need a person."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("stuck", _("needs a person")), *_states()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value == "stuck":
            return queryset.stuck()  # type: ignore[attr-defined,no-any-return]  # OutboxQuerySet
        if value in dict(_states()):
            return queryset.filter(state=value)
        return queryset


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


class IntegrationFilter(admin.RelatedFieldListFilter):
    """By integration, whatever the relation to it is called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = str(_("integration"))


class MatchedFilter(admin.SimpleListFilter):
    """Parcels that belong to a shipment we know, and those that do not."""

    title = _("shipment")
    parameter_name = "matched"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("known here")), ("no", _("unknown here"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() in ("yes", "no"):
            return queryset.filter(shipment__isnull=self.value() == "no")
        return queryset
