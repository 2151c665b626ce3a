"""Admin of accounts: the rate limit that integrations share, and what is left of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...conf import conf
from ...models import Account, ClosedReason, Integration
from ...sync import breaker, limiter
from ..base import SendcloudAdmin
from ..ui.badges import badge
from ..ui.cells import EMPTY, link, time_until
from ..ui.links import admin_url

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["AccountAdmin"]


class AccountAdmin(SendcloudAdmin[Account]):
    """Page of an account: its name can be edited, the rest reports the rate limit."""

    list_display = ["name", "integrations", "speed"]
    exported = ("name", "integrations", "speed")
    search_fields = ["name"]
    ordering = ["name"]
    fields = ["name"]
    readonly_fields = ["shared_by", "speed", "writes_left", "reads_left", "trouble"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Account]:
        return super().get_queryset(request).annotate(number_of_integrations=Count("integrations"))

    def get_fieldsets(self, request: HttpRequest, obj: Account | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ["name"]})]
        shares = ["shared_by"] if request.user.has_perm("django_sendcloud.view_integration") else []
        description = _(
            "Sendcloud counts the requests of all integrations of one account together, and allows 100 writes and "
            "1,000 reads in any minute. This shop stays below that."
        )
        limit = ["speed", "writes_left", "reads_left", "trouble"]
        return [
            (None, {"fields": ["name", *shares]}),
            (_("Sending speed"), {"fields": limit, "description": description}),
        ]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:
        """Return whether the account may be deleted: from its own page, and without integrations."""
        if obj is None or vars(obj).get("number_of_integrations", 1):
            return False
        return admin.ModelAdmin.has_delete_permission(self, request, obj)

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        # Workers move the limiter all the time, so only the edited field is saved.
        obj.save(using=conf().DATABASE, update_fields=["name"] if change else None)

    @admin.display(description=_("integrations"), ordering="number_of_integrations")
    def integrations(self, row: Account) -> int:
        return int(vars(row)["number_of_integrations"])

    @admin.display(description=_("shared by"))
    def shared_by(self, row: Account) -> SafeString | str:
        found = Integration.objects.filter(account=row).order_by("pk")
        links = [(link(admin_url(self.admin_site, each._meta, each.pk), each),) for each in found]
        return format_html_join(", ", "{}", links) or EMPTY

    @admin.display(description=_("speed"))
    def speed(self, row: Account) -> SafeString | str:
        now = timezone.now()
        if until := breaker.closed_until(row, now):
            asked = row.closed_reason == ClosedReason.RATE_LIMITED
            words = (
                _("Sendcloud asked to wait; continues %(time)s")
                if asked
                else _("Sendcloud has trouble; next try %(time)s")
            )
            return badge(words % {"time": time_until(until)}, "warn")
        return badge(_("as fast as Sendcloud allows"), "good")

    @admin.display(description=_("writes"))
    def writes_left(self, row: Account) -> SafeString:
        return _left(_room(row)["unsafe"], conf().UNSAFE_BURST, conf().UNSAFE_REQUESTS_PER_MINUTE)

    @admin.display(description=_("reads"))
    def reads_left(self, row: Account) -> SafeString:
        return _left(_room(row)["safe"], conf().SAFE_BURST, conf().SAFE_REQUESTS_PER_MINUTE)

    @admin.display(description=_("failures"))
    def trouble(self, row: Account) -> str:
        if not row.failures:
            return gettext("The last request went through.")
        number = -(-row.failures // breaker.POINTS_PER_FAILURE)
        text = ngettext(
            "The last request failed. After %(most)d in a row, nothing is sent for a little while.",
            "The last %(number)d requests failed. After %(most)d in a row, nothing is sent for a little while.",
            number,
        )
        return text % {"number": number, "most": breaker.POINTS_TO_OPEN // breaker.POINTS_PER_FAILURE}


def _room(row: Account) -> dict[limiter.Kind, int]:
    """Return what is left of the limit; read once a page."""
    known = vars(row)
    if "room" not in known:
        known["room"] = limiter.left(row.pk)
    found: dict[limiter.Kind, int] = known["room"]
    return found


def _left(left: int, burst: int, per_minute: float) -> SafeString:
    """Describe the requests that are free now, and the rate after them."""
    if left >= burst:
        state = badge(_("free"), "good")
    elif left:
        state = badge(_("in use"), "busy")
    else:
        state = badge(_("used up"), "warn")
    text = gettext("%(left)d of %(burst)d requests may go out immediately, then %(steady)d a minute.")
    return format_html("{} {}", state, text % {"left": left, "burst": burst, "steady": int(per_minute)})
