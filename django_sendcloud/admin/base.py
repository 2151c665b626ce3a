"""What all our admin classes share."""

from __future__ import annotations

import copy
import datetime as dt
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.csrf import csrf_protect

from ..conf import conf
from ..models import Integration
from ..sync.fold import fold_all
from .actions import Action
from .addresses import admin_url
from .health import PAUSED, overview
from .search import search

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

ModelT = TypeVar("ModelT", bound=models.Model)

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
else:

    class _ModelAdmin(admin.ModelAdmin):
        """Django's class cannot be subscripted when the code runs."""

        def __class_getitem__(cls, item):
            return cls


__all__ = ["EMPTY", "SearchedAdmin", "SendcloudAdmin", "Sight", "admin_path", "admin_url", "ago", "in_time", "link"]

EMPTY = "–"


class Sight:
    """What the person who asked for a page may see: nothing is shown beside a row that he may not open."""

    def __init__(self, site: admin.AdminSite, request: HttpRequest) -> None:
        self._site, self._request = site, request
        self._known: dict[type[models.Model], bool] = {}

    @classmethod
    def of(cls, site: admin.AdminSite, request: HttpRequest) -> Sight:
        """The one of this request."""
        found: Sight | None = vars(request).get("sendcloud_sight")
        if found is None:
            found = vars(request)["sendcloud_sight"] = cls(site, request)
        return found

    def may_see(self, model: type[models.Model]) -> bool:
        if model not in self._known:
            self._known[model] = self._ask(model)
        return self._known[model]

    def url(self, obj: models.Model | None, page: str = "change") -> str:
        """The address of an object's page, ``""`` where there is none, or none for this person."""
        return "" if obj is None else self.url_by_key(type(obj), obj.pk, page)

    def url_by_key(self, model: type[models.Model], pk: object, page: str = "change") -> str:
        return admin_url(self._site, model._meta, pk, page) if self.may_see(model) else ""

    def _ask(self, model: type[models.Model]) -> bool:
        try:
            return self._site.get_model_admin(model).has_view_or_change_permission(self._request)
        except NotRegistered:
            opts = model._meta
            return self._request.user.has_perm(f"{opts.app_label}.{get_permission_codename('view', opts)}")


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
    #: How rows are counted, one and many, where the list is called otherwise: an outbox holds entries.
    counted_as: tuple[StrOrPromise, StrOrPromise] | None = None
    #: What will stand in the list, said while it is empty.
    nothing_yet: StrOrPromise = ""

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
    #: The same, below the buttons: what is looked at rather than acted on.
    below_template = ""

    def sight(self, request: HttpRequest) -> Sight:
        """What this person may see."""
        return Sight.of(self.admin_site, request)

    def complete(self, request: HttpRequest, rows: Sequence[ModelT]) -> None:
        """Look up what is shown of rows and stands elsewhere, for all of them at once."""
        sight = self.sight(request)
        for row in rows:
            vars(row)["_sight"] = sight

    def seen_by(self, row: ModelT) -> Sight:
        """What who looks at this row may see: a column is not told by whom it is looked at."""
        sight: Sight = vars(row)["_sight"]
        return sight

    def named(self, request: HttpRequest, rows: Sequence[ModelT]) -> list[tuple[Any, str]]:
        """These objects as a confirmation page lists them: each with its address."""
        self.complete(request, rows)
        return [(row, self.sight(request).url(row)) for row in rows]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ModelT | None:
        fold_all()
        obj: ModelT | None = super().get_object(request, object_id, from_field)
        if obj is not None:
            self.complete(request, [obj])
        return obj

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changes = super().get_changelist_instance(request)
        self.complete(request, changes.result_list)
        # The same list to whoever counts it, under the name of what it holds.
        vars(changes)["counted"] = copy.copy(changes)
        if self.counted_as:
            changes.counted.opts = _Counted(self.opts, *self.counted_as)  # type: ignore[attr-defined]
        return changes

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
                "sc_below_template": self.below_template,
                "sc_may_see_payload": self.has_payload_permission(request),
                **self.panel(request, obj),
            }
        return super().render_change_form(request, context, add, change, form_url, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        fold_all()
        notices = self._notices(request) if request.method == "GET" else []
        context = {"sc_notices": notices, "sc_nothing_yet": self.nothing_yet, **(extra_context or {})}
        return super().changelist_view(request, context)

    def _notices(self, request: HttpRequest) -> list[dict[str, Any]]:
        """What is wrong with everything, to be said on every list. Two queries."""
        if not _may(request, "view_integration"):
            return []
        found = overview()
        vars(request)["sendcloud_integrations"] = len(found)
        if not any(integration.is_active for integration, _health in found):
            title = _("No Sendcloud integration is connected and in use")
            page = "changelist" if found or not _may(request, "add_integration") else "add"
            url = admin_url(self.admin_site, Integration._meta, None, page)
            return [{"title": title, "text": _("Orders are taken down and wait for one."), "url": url}]
        return [
            {
                "title": f"{integration}: {health.explanation.title}",
                "text": health.explanation.cure,
                "url": self.url_of(integration),
            }
            for integration, health in found
            if health.state == PAUSED
        ]

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What was written down in English is read in the language of whoever looks."""
        response = super().history_view(request, object_id, extra_context)
        context = getattr(response, "context_data", None) or {}
        for entry in context.get("action_list", ()):
            entry.change_message = _(entry.change_message) if entry.change_message else ""
        return response

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
        response = action(self, request, self.get_queryset(request).filter(pk=obj.pk), page_of=obj)
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


class SearchedAdmin(SendcloudAdmin[ModelT]):
    """For lists that grow with the shop: what a person has in hand is found by its index."""

    #: Left out where there is only one.
    integration_column = "integration"

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if self._integrations(request) > 1:
            return columns
        # It would say the same in every row.
        return [column for column in columns if column != self.integration_column]

    def _integrations(self, request: HttpRequest) -> int:
        """How many there are. One query, unless the notices have counted them."""
        known: int | None = vars(request).get("sendcloud_integrations")
        if known is None:
            known = vars(request)["sendcloud_integrations"] = Integration.objects.using(conf().DATABASE).count()
        return known

    @admin.display(description=gettext_lazy("integration"))
    def integration_link(self, row: Any) -> Any:
        return link(self.seen_by(row).url(row.integration), row.integration)

    def search_exactly(self, word: str, sight: Sight) -> Sequence[models.QuerySet[Any, Any]]:
        """The keys of the rows that a word names exactly: querysets of one column, each served by an index."""
        raise NotImplementedError

    def search_within(self, word: str, sight: Sight) -> models.Q:
        """Where else a word may stand."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[ModelT], search_term: str
    ) -> tuple[models.QuerySet[ModelT], bool]:
        sight = self.sight(request)
        rows, exact = search(
            queryset,
            search_term,
            lambda word: self.search_exactly(word, sight),
            lambda word: self.search_within(word, sight),
        )
        vars(request)["sendcloud_exact"] = exact
        return rows, False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        exact: list[str] = vars(request).get("sendcloud_exact", [])
        if exact and isinstance(response, SimpleTemplateResponse) and response.context_data:
            changes: ChangeList = response.context_data["cl"]
            wider = " ".join(f"*{word}*" for word in exact)
            response.context_data |= {
                "sc_exact": ", ".join(exact),
                "sc_wider_url": changes.get_query_string({SEARCH_VAR: wider}),
            }
        return response


class _Counted:
    """A model's ``_meta``, with other words for one and many."""

    def __init__(self, opts: Any, one: StrOrPromise, many: StrOrPromise) -> None:
        self._opts, self.verbose_name, self.verbose_name_plural = opts, one, many

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opts, name)


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
    if moment - timezone.now() < dt.timedelta(minutes=1):
        return _moment(moment, _("in less than a minute"))
    return _moment(moment, _("in %(time)s") % {"time": timeuntil(moment, depth=1)})


def _moment(moment: dt.datetime, text: str) -> SafeString:
    local = timezone.localtime(moment)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', local.isoformat(), date_format(local, "DATETIME_FORMAT"), text
    )
