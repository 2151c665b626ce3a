"""Overview: whether orders reach Sendcloud, and what to do if not."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ...models import EventState, OutboxEntry, Overview, WebhookEvent
from ..alerts.incidents import incidents
from ..base import SendcloudAdmin
from ..explanations.causes import with_causes
from ..inbox.admin import replay
from ..outbox.pushing import push_entries
from ..tools.pages import ToolPages
from ..ui.pages import admin_page
from .cards import cards
from .find import SearchResults, find, may_find
from .headline import headline
from .snapshot import Snapshot
from .sparklines import HEIGHT, WIDTH, last_day
from .todo import tasks

__all__ = ["OverviewAdmin"]


# A longer search text is no number, name or address, and no list of as many numbers as are shown.
MAX_CHARACTERS = 400


class OverviewAdmin(ToolPages, SendcloudAdmin[Overview]):
    """Admin of one page, with nothing to add, change or delete."""

    # -- permissions ----------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Overview | None = None) -> bool:
        return request.user.has_perm("django_sendcloud.view_integration")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.path("", self.changelist_view, "changelist"),
            self.path("find/", self.find_view, "find"),
            *self.tool_urls(),
        ]

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """Find orders, shipments and parcels, and open the only one."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if not may_find(self.admin_site, request):
            raise PermissionDenied
        words = " ".join(request.GET.get("q", "").replace("\0", "").split())
        if len(words) > MAX_CHARACTERS:
            # Half of a number may be another number.
            words = words[: MAX_CHARACTERS + 1].rpartition(" ")[0] or words[:MAX_CHARACTERS]
        findings = find(self.admin_site, request, words) if words else SearchResults([], "")
        if findings.only:
            return HttpResponseRedirect(findings.only)
        context = {
            "words": words,
            "groups": findings.groups,
            "is_found": any(group.rows for group in findings.groups),
        }
        template = "admin/django_sendcloud/overview/find.html"
        return admin_page(self, request, template, _("Find orders and parcels"), context)

    # -- the page -------------------------------------------------------------------------------

    @method_decorator(csrf_protect)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._press(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        snapshot = Snapshot(self, request)
        found = tasks(snapshot)
        context = {
            "sc_incidents": incidents(self.admin_site, request),
            "headline": headline(snapshot, found),
            "tasks": found,
            "cards": cards(snapshot),
            "day": last_day(snapshot),
            "tools": self.tools(request),
            "spark": {"width": WIDTH, "height": HEIGHT},
            **(extra_context or {}),
        }
        return admin_page(self, request, "admin/django_sendcloud/overview/overview.html", _("Overview"), context)

    def _press(self, request: HttpRequest) -> HttpResponse:
        """Run the button of a task."""
        if cause := request.POST.get("retry"):
            # All orders that need an operator for the same cause.
            if not self.has_push_permission(request) or not self.permissions(request).may_see(OutboxEntry):
                raise PermissionDenied
            push_entries(request, with_causes(OutboxEntry.objects.stuck(), [cause]))
        elif request.POST.get("replay") == EventState.FAILED:
            if not self.has_replay_permission(request) or not self.permissions(request).may_see(WebhookEvent):
                raise PermissionDenied
            failed = WebhookEvent.objects.filter(state=EventState.FAILED)
            replay.run(self, request, failed.exclude(body=""))
        else:
            raise PermissionDenied
        return HttpResponseRedirect(request.path)
