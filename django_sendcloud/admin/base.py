"""What all our admin classes share."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_protect

from ..conf import conf
from ..models import Integration
from .actions import Action
from .health import PAUSED, overview

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

ModelT = TypeVar("ModelT", bound=models.Model)

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
else:

    class _ModelAdmin(admin.ModelAdmin):
        """Django's class cannot be subscripted when the code runs."""

        def __class_getitem__(cls, item):
            return cls


__all__ = ["EMPTY", "SendcloudAdmin", "admin_path", "admin_url", "ago", "in_time", "link"]

EMPTY = "–"


class SendcloudAdmin(_ModelAdmin[ModelT]):
    """Nothing can be added, changed or deleted unless a subclass says so: these rows mirror another system.

    What a person can do instead are actions, on the list and as buttons on an object's page.
    """

    page_actions: tuple[Action, ...] = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    view_on_site = False
    empty_value_display = EMPTY

    class Media:
        css = {"all": ["django_sendcloud/admin.css"]}

    # -- who may do what ------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ModelT | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelT | None = None) -> bool:
        return False

    def has_push_permission(self, request: HttpRequest) -> bool:
        return _may(request, "push_order")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return _may(request, "replay_webhookevent")

    def has_payload_permission(self, request: HttpRequest) -> bool:
        """Whether personal data may be seen: what is sent, and what webhooks said."""
        return _may(request, "view_payload")

    def has_print_permission(self, request: HttpRequest) -> bool:
        return _may(request, "print_label")

    def has_assign_permission(self, request: HttpRequest) -> bool:
        return _may(request, "assign_parcel")

    def has_test_permission(self, request: HttpRequest) -> bool:
        return _may(request, "test_integration")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return _may(request, "pause_integration")

    def has_delete_remote_permission(self, request: HttpRequest) -> bool:
        """Whether this model's rows may be deleted at Sendcloud."""
        return _may(request, f"delete_remote_{self.opts.model_name}")

    # -- what is shown --------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ModelT]:
        return super().get_queryset(request).using(conf().DATABASE)

    def panel(self, request: HttpRequest, obj: ModelT) -> dict[str, Any]:
        """What ``panel_template`` needs to show above an object's fields."""
        return {}

    panel_template = ""

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: ModelT | None = None,
    ) -> HttpResponse:
        if obj is not None and not add:
            buttons = [a for a in self.page_actions if a.is_allowed(self, request) and a.offered(obj)]
            context |= {
                "sc_actions": [(a, self.url("action", obj.pk, a.__name__)) for a in buttons],
                "sc_panel_template": self.panel_template,
                "sc_may_see_payload": self.has_payload_permission(request),
                **self.panel(request, obj),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        notices = self._notices(request) if request.method == "GET" else []
        return super().changelist_view(request, {"sc_notices": notices, **(extra_context or {})})

    def _notices(self, request: HttpRequest) -> list[dict[str, Any]]:
        """What is wrong with everything, to be said on every list. Two queries."""
        if not _may(request, "view_integration"):
            return []
        found = overview()
        if not any(integration.is_active for integration, _health in found):
            title = _("No Sendcloud integration is connected and in use")
            where = admin_url(self.admin_site, Integration._meta, None, "changelist" if found else "add")
            may = found or _may(request, "add_integration")
            return [{"title": title, "text": _("Orders are taken down and wait for one."), "url": where if may else ""}]
        return [
            {
                "title": f"{integration}: {health.explanation.title}",
                "text": health.explanation.cure,
                "url": self.url_of(integration),
            }
            for integration, health in found
            if health.state == PAUSED
        ]

    # -- addresses ------------------------------------------------------------------------------

    def url(self, name: str, *args: Any) -> str:
        """The address of one of this model's admin pages."""
        return reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}", args=[str(a) for a in args]
        )

    def url_of(self, obj: models.Model) -> str:
        """The address of any object's admin page, ``""`` where it has none on this site."""
        return admin_url(self.admin_site, obj._meta, obj.pk)

    def get_urls(self) -> list[URLPattern]:
        return [
            self.path("<path:object_id>/action/<slug:name>/", self.action_view, "action"),
            *super().get_urls(),
        ]

    def path(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """A page of our own, behind the same door as Django's."""
        return admin_path(self, route, view, name)

    def object_or_404(self, request: HttpRequest, object_id: str) -> ModelT:
        """The object, for who may see it.

        Raises:
            Http404: there is none.
            PermissionDenied: it may not be seen.
        """
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        obj = self.get_object(request, object_id)
        if obj is None:
            raise Http404
        if not self.has_view_or_change_permission(request, obj):
            raise PermissionDenied
        return obj

    # Requests to Sendcloud take seconds, and no transaction may be open meanwhile.
    @method_decorator(csrf_protect)
    def action_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """A button on an object's page was pressed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        obj = self.object_or_404(request, object_id)
        action = next((action for action in self.page_actions if action.__name__ == name), None)
        if action is None:
            raise Http404
        response = action(self, request, self.get_queryset(request).filter(pk=obj.pk))
        if response is not None:
            return response
        still_there = self.get_object(request, object_id) is not None
        return HttpResponseRedirect(self.url("change", obj.pk) if still_there else self.url("changelist"))

    transaction.non_atomic_requests(action_view)

    def report(self, request: HttpRequest, level: int, title: Any, *sentences: Any) -> None:
        """Tell the person something: in short, then in whole sentences."""
        text = format_html("<strong>{}</strong> {}", f"{title}.", " ".join(str(s) for s in sentences if s))
        messages.add_message(request, level, text if sentences else f"{title}.")


def _may(request: HttpRequest, codename: str) -> bool:
    return request.user.has_perm(f"django_sendcloud.{codename}")


# -- small things --------------------------------------------------------------------------------------


def link(url: str, text: object) -> SafeString:
    """A link, or only its text where there is nowhere to go."""
    return format_html('<a href="{}">{}</a>', url, text) if url else format_html("{}", text)


def admin_path(
    model_admin: admin.ModelAdmin[Any], route: str, view: Callable[..., HttpResponse], name: str
) -> URLPattern:
    """A page of a model's admin, behind the same door as Django's."""
    wrapped = functools.update_wrapper(functools.partial(model_admin.admin_site.admin_view(view)), view)
    return path(route, wrapped, name=f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{name}")


def admin_url(site: admin.AdminSite, opts: Any, pk: object | None, page: str = "change") -> str:
    """The address of an object's admin page, or without an object of its model's; ``""`` where the site has none."""
    try:
        args = [] if pk is None else [quote(str(pk))]
        return reverse(f"{site.name}:{opts.app_label}_{opts.model_name}_{page}", args=args)
    except NoReverseMatch:
        return ""


def ago(moment: dt.datetime | None) -> Any:
    """How long ago it was, with the time itself a hover away."""
    if moment is None:
        return EMPTY
    just_now = timezone.now() - moment < dt.timedelta(minutes=1)
    return _moment(moment, _("just now") if just_now else _("%(time)s ago") % {"time": timesince(moment, depth=1)})


def in_time(moment: dt.datetime) -> Any:
    """In how long it will be; *now* if it is past."""
    if moment <= timezone.now():
        return _("now")
    return _moment(moment, _("in %(time)s") % {"time": timeuntil(moment, depth=1)})


def _moment(moment: dt.datetime, text: str) -> SafeString:
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', local.isoformat(), f"{local:%Y-%m-%d %H:%M:%S}", text
    )
