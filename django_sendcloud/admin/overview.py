"""The first page: is everything going out, and if not, what is to be done?"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ..conf import conf
from ..models import EventState, OutboxEntry, Overview, WebhookEvent
from ..sync.fold import fold_all
from .answer import answer
from .base import SendcloudAdmin
from .cards import cards
from .glance import Glance
from .outbox import retry
from .tasks import tasks
from .today import HEIGHT, HOURS, last_day
from .webhook_event import replay

__all__ = ["OverviewAdmin"]


class OverviewAdmin(SendcloudAdmin[Overview]):
    """One page, and nothing to add, change or delete."""

    # -- who may see it -------------------------------------------------------------------------

    def has_view_permission(self, request: HttpRequest, obj: Overview | None = None) -> bool:
        return request.user.has_perm("django_sendcloud.view_integration")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        return [self.path("", self.changelist_view, "changelist")]

    # -- the page -------------------------------------------------------------------------------

    @method_decorator(csrf_protect)
    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._press(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        fold_all()
        glance = Glance(self, request)
        found = tasks(glance)
        day = last_day(
            glance.now, pushes=glance.sees_shipments, refusals=glance.sees_orders, parcels=glance.sees_parcels
        )
        context = {
            **self.admin_site.each_context(request),
            "title": _("Overview"),
            "opts": self.opts,
            "media": self.media,
            "answer": answer(glance, found),
            "tasks": found,
            "cards": cards(glance),
            "day": day,
            "hours": HOURS,
            "height": HEIGHT,
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/django_sendcloud/overview.html", context)

    def _press(self, request: HttpRequest) -> HttpResponse:
        """Somebody pressed the button of a task."""
        if code := request.POST.get("retry"):
            # All orders that need a person because of the same problem.
            if not self.has_push_permission(request) or not self.sight(request).may_see(OutboxEntry):
                raise PermissionDenied
            retry(request, OutboxEntry.objects.using(conf().DATABASE).stuck().filter(error_code=code))
        elif request.POST.get("replay") == EventState.FAILED:
            if not self.has_replay_permission(request) or not self.sight(request).may_see(WebhookEvent):
                raise PermissionDenied
            failed = WebhookEvent.objects.using(conf().DATABASE).filter(state=EventState.FAILED)
            replay.run(self, request, failed.exclude(body=""))
        else:
            raise PermissionDenied
        return HttpResponseRedirect(request.path)
