"""Accounts: which integrations share Sendcloud's rate limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import Account
from .badges import badge
from .base import SendcloudAdmin, in_time

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["AccountAdmin"]


class AccountAdmin(SendcloudAdmin[Account]):
    """Only its name is a person's business; the rest is how fast may be sent now."""

    list_display = ["name", "integrations", "speed"]
    search_fields = ["name"]
    ordering = ["name"]
    fields = ["name", "speed", "failures"]
    readonly_fields = ["speed", "failures"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return super().get_queryset(request).annotate(number_of_integrations=Count("integrations"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        """Only from its own page, and only while nothing belongs to it."""
        if obj is None or vars(obj).get("number_of_integrations", 1):
            return False
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        # Workers move the limiter all the time; what a person did not touch is not written back.
        obj.save(using=conf().DATABASE, update_fields=["name"] if change else None)

    @admin.display(description=_("integrations"), ordering="number_of_integrations")
    def integrations(self, row: Account) -> int:
        return int(vars(row)["number_of_integrations"])

    @admin.display(description=_("speed"))
    def speed(self, row: Account) -> SafeString | str:
        now = timezone.now()
        for until, words in (
            (row.blocked_until, _("asked to wait; goes on %(time)s")),
            (row.open_until, _("Sendcloud has trouble; tried again %(time)s")),
        ):
            if until and until > now:
                return badge(words % {"time": in_time(until)}, "warn")
        return badge(_("as fast as Sendcloud allows"), "good")
