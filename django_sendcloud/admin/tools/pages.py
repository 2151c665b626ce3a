"""Views of the tools, mounted below the overview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ...core.transactions import outside_transactions
from ...diagnostics.bundle import NAME, support_bundle
from ...diagnostics.doctor import Status, diagnose
from ...models import OutboxEntry
from ..ui.pages import admin_page
from .preflight import preflight_context

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from ..base import SendcloudAdmin

    _Base = SendcloudAdmin[Any]
else:
    _Base = object

__all__ = ["ToolPages"]

#: The gravest first, as the page shows them.
TONES = {Status.PROBLEM: "bad", Status.WARNING: "warn", Status.SKIPPED: "off", Status.OK: "good"}
LABELS = {
    Status.OK: _("in order"),
    Status.WARNING: _("warning"),
    Status.PROBLEM: _("problem"),
    Status.SKIPPED: _("not needed"),
}


class ToolPages(_Base):
    """Pages of the tools, for the admin of the overview."""

    def tool_urls(self) -> list[URLPattern]:
        """Return the routes of the tools."""
        return [
            self.path("preflight/", self.preflight_view, "preflight"),
            self.path("doctor/", self.doctor_view, "doctor"),
        ]

    def tools(self, request: HttpRequest) -> list[tuple[StrOrPromise, str]]:
        """Return labels and URLs of the tools that this operator may use."""
        found: list[tuple[StrOrPromise, str]] = []
        if self.permissions(request).may_see(OutboxEntry):
            found.append((_("Orders before they are sent"), self.url("preflight")))
        if self.has_test_permission(request):
            found.append((_("Doctor"), self.url("doctor")))
        return found

    @outside_transactions
    def preflight_view(self, request: HttpRequest) -> HttpResponse:
        """Show orders that would be rejected. Sends nothing."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        # The page names fields of orders, as the outbox does.
        if not self.has_view_permission(request) or not self.permissions(request).may_see(OutboxEntry):
            raise PermissionDenied
        context = preflight_context(self.admin_site, request)
        template = "admin/django_sendcloud/tools/preflight.html"
        return admin_page(self, request, template, _("Orders before they are sent"), context)

    # A request to Sendcloud takes seconds; no transaction may be open meanwhile.
    @outside_transactions
    @method_decorator(csrf_protect)
    def doctor_view(self, request: HttpRequest) -> HttpResponse:
        """Examine the installation after a press of a button, and hand out the support bundle."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if not self.has_view_permission(request) or not self.has_test_permission(request):
            raise PermissionDenied
        found = []
        if request.method == "POST":
            found = diagnose()
            if "bundle" in request.POST:
                answer = HttpResponse(support_bundle(found), content_type="application/zip")
                answer["Content-Disposition"] = f'attachment; filename="{NAME}"'
                answer["Cache-Control"] = "no-store"
                return answer
            if all(finding.status in (Status.OK, Status.SKIPPED) for finding in found):
                messages.success(request, _("Everything works."))
        weight = list(TONES).index
        first = sorted(found, key=lambda finding: weight(finding.status))
        rows = [(finding, LABELS[finding.status], TONES[finding.status]) for finding in first]
        return admin_page(self, request, "admin/django_sendcloud/tools/doctor.html", _("Doctor"), {"rows": rows})
