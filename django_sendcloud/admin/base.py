"""Base classes of all admin pages."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ..core.transactions import outside_transactions
from .actions.action import Action
from .actions.atomic import take_actions_outside
from .actions.history import render_history
from .alerts.incidents import incidents
from .alerts.misconfigured import explain_misconfiguration
from .health import fold_once, health_of
from .lists.export import export_view
from .lists.saved_filters import saved_filters, saved_filters_view
from .lists.search import search
from .permissions import Permissions, may
from .ui.cells import EMPTY, link
from .ui.links import page_url

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

ModelT = TypeVar("ModelT", bound=models.Model)

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
else:

    class _ModelAdmin(admin.ModelAdmin):
        """Django's ModelAdmin, made subscriptable at run time."""

        def __class_getitem__(cls, item):
            return cls


__all__ = ["STYLES", "SearchedAdmin", "SendcloudAdmin", "admin_path"]

#: Stylesheets of our pages: of the parts that a panel on any page has, and of the rest.
STYLES: dict[str, Sequence[str]] = {"all": ["django_sendcloud/panel.css", "django_sendcloud/admin.css"]}


class SendcloudAdmin(_ModelAdmin[ModelT]):
    """Read-only admin of rows that mirror another system; subclasses may allow more.

    Operators use actions instead, on the list and as buttons on an object's page.
    """

    page_actions: tuple[Action, ...] = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 200
    view_on_site = False
    empty_value_display = EMPTY
    #: Names for one and many rows, if the list's name differs: an outbox holds entries.
    count_nouns: tuple[StrOrPromise, StrOrPromise] | None = None
    #: Explanation of an empty list.
    empty_text: StrOrPromise = ""

    #: Fields and methods that a CSV export of the list holds; empty if it has none.
    exported: tuple[str, ...] = ()

    class Media:
        css = STYLES
        js = ["django_sendcloud/refresh.js", "django_sendcloud/copy.js"]

    # -- permissions ----------------------------------------------------------------------------

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ModelT | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: ModelT | None = None) -> bool:
        return False

    def has_push_permission(self, request: HttpRequest) -> bool:
        return may(request, "push_order")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return may(request, "replay_webhookevent")

    def has_payload_permission(self, request: HttpRequest) -> bool:
        """Return whether payloads and webhook bodies, which hold personal data, may be seen."""
        return may(request, "view_payload")

    def has_print_permission(self, request: HttpRequest) -> bool:
        return may(request, "print_label")

    def has_cancel_label_permission(self, request: HttpRequest) -> bool:
        """Return whether labels may be cancelled, or kept for a changed order."""
        return may(request, "cancel_label")

    def has_assign_permission(self, request: HttpRequest) -> bool:
        return may(request, "assign_parcel")

    def has_test_permission(self, request: HttpRequest) -> bool:
        return may(request, "test_integration")

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return may(request, "pause_integration")

    def has_delete_remote_permission(self, request: HttpRequest) -> bool:
        """Return whether this model's rows may be deleted at Sendcloud."""
        return may(request, f"delete_remote_{self.opts.model_name}")

    # -- pages ----------------------------------------------------------------------------------

    def panel(self, request: HttpRequest, obj: ModelT) -> dict[str, Any]:
        """Return the context of ``panel_template``, shown above an object's fields."""
        return {}

    panel_template = ""
    #: Template below the buttons, for facts rather than actions.
    below_template = ""

    def permissions(self, request: HttpRequest) -> Permissions:
        """Return this operator's permissions."""
        return Permissions.of(self.admin_site, request)

    def complete(self, request: HttpRequest, rows: Sequence[ModelT]) -> None:
        """Load what the columns show from other tables, for all rows together."""
        permissions = self.permissions(request)
        for row in rows:
            vars(row)["_permissions"] = permissions

    def permissions_of(self, row: ModelT) -> Permissions:
        """Return the permissions of the operator who sees this row: a column gets no request."""
        return Permissions.of_row(row)

    def named(self, request: HttpRequest, rows: Sequence[ModelT]) -> list[tuple[Any, str]]:
        """Return these objects for a confirmation page, each with its URL."""
        self.complete(request, rows)
        return [(row, self.permissions(request).url(row)) for row in rows]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ModelT | None:
        fold_once(request)
        obj: ModelT | None = super().get_object(request, object_id, from_field)
        if obj is not None:
            self.complete(request, [obj])
        return obj

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changes = super().get_changelist_instance(request)
        self.complete(request, changes.result_list)
        # Templates count this copy under the name of its rows.
        vars(changes)["counted"] = copy.copy(changes)
        if self.count_nouns:
            changes.counted.opts = _Counted(self.opts, *self.count_nouns)  # type: ignore[attr-defined]
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
        if request.method != "GET":
            fold_once(request)
        else:
            found = incidents(self.admin_site, request)
            export = f"{self.url('export')}?{request.GET.urlencode()}" if self.get_exported(request) else ""
            context = {"sc_incidents": found, "sc_empty_text": self.empty_text, "sc_export_url": export}
            extra_context = {**context, **(extra_context or {})}
        return super().changelist_view(request, extra_context)

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Render histories in the reader's language."""
        return render_history(super().history_view(request, object_id, extra_context))

    # -- addresses ------------------------------------------------------------------------------

    def url(self, name: str, *args: Any) -> str:
        """Return the URL of one of this model's admin pages."""
        return page_url(self, name, *args)

    @property
    def urls(self) -> list[URLPattern]:
        pages = super().urls
        for page in pages:
            page.callback = explain_misconfiguration(self, page.callback)
        return pages

    def get_urls(self) -> list[URLPattern]:
        pages = super().get_urls()
        take_actions_outside(pages, ("_changelist",), lambda: {each.name for each in self.page_actions})
        return [
            self.path("<path:object_id>/action/<slug:name>/", self.action_view, "action"),
            self.path("export/", self.export_view, "export"),
            *pages,
        ]

    def get_exported(self, request: HttpRequest) -> Sequence[str]:
        """Return the columns of a CSV export for this operator."""
        return self.exported

    def export_view(self, request: HttpRequest) -> Any:
        """Return the list as filtered, as a CSV file."""
        columns = self.get_exported(request)
        if not columns:
            raise Http404
        return export_view(self, request, columns, self.complete)

    def path(self, route: str, view: Callable[..., HttpResponse], name: str) -> URLPattern:
        """Return the route of a page of ours, protected as Django's."""
        return admin_path(self, route, view, name)

    def object_or_404(self, request: HttpRequest, object_id: str) -> ModelT:
        """Return the object if the operator may see it.

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

    # Requests to Sendcloud take seconds; no transaction may be open meanwhile.
    @method_decorator(csrf_protect)
    def action_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Run the action of a pressed button on an object's page."""
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

    outside_transactions(action_view)

    def report(self, request: HttpRequest, level: int, title: Any, *sentences: Any) -> None:
        """Show a message: a short title, then whole sentences."""
        text = format_html("<strong>{}</strong> {}", f"{title}.", " ".join(str(s) for s in sentences if s))
        messages.add_message(request, level, text if sentences else f"{title}.")


class SearchedAdmin(SendcloudAdmin[ModelT]):
    """Admin of lists that grow with the shop: exact searches use an index."""

    #: Column to leave out if there is only one integration.
    integration_column = "integration"

    def get_urls(self) -> list[URLPattern]:
        return [self.path("filters/", self.filters_view, "filters"), *super().get_urls()]

    @method_decorator(csrf_protect)
    def filters_view(self, request: HttpRequest) -> HttpResponse:
        """Save or remove a filter of this list, for the operator who asks."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        return saved_filters_view(self, request)

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if len(health_of(request).integrations) > 1:
            return columns
        # It would repeat the same text in every row.
        return [column for column in columns if column != self.integration_column]

    @admin.display(description=_("integration"))
    def integration_link(self, row: Any) -> Any:
        return link(self.permissions_of(row).url(row.integration), row.integration)

    def search_exactly(self, words: Sequence[str], permissions: Permissions) -> Sequence[models.QuerySet[Any, Any]]:
        """Return the keys of rows that any word names exactly: querysets of one column, each served by an index."""
        raise NotImplementedError

    def search_within(self, word: str, permissions: Permissions) -> models.Q:
        """Return the condition for a word within other fields."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[ModelT], search_term: str
    ) -> tuple[models.QuerySet[ModelT], bool]:
        permissions = self.permissions(request)
        rows, exact = search(
            queryset,
            search_term,
            lambda words: self.search_exactly(words, permissions),
            lambda word: self.search_within(word, permissions),
        )
        vars(request)["sendcloud_exact"] = exact
        return rows, False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        # Without the permission, the list answers before anything is shown.
        may_see = request.method == "GET" and self.has_view_or_change_permission(request)
        saved = saved_filters(self, request) if may_see else {}
        response = super().changelist_view(request, {**saved, **(extra_context or {})})
        exact: list[str] = vars(request).get("sendcloud_exact", [])
        if exact and isinstance(response, SimpleTemplateResponse) and response.context_data:
            changes: ChangeList = response.context_data["cl"]
            wider = " ".join(f"*{word.strip('*')}*" for word in changes.query.split())
            response.context_data |= {
                "sc_exact": ", ".join(exact),
                # Nothing has several numbers within one.
                "sc_wider_url": changes.get_query_string({SEARCH_VAR: wider}) if len(exact) == 1 else "",
            }
        return response


class _Counted:
    """A model's ``_meta`` with other names for one and many."""

    def __init__(self, opts: Any, one: StrOrPromise, many: StrOrPromise) -> None:
        self._opts, self.verbose_name, self.verbose_name_plural = opts, one, many

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opts, name)


def admin_path(
    model_admin: admin.ModelAdmin[Any], route: str, view: Callable[..., HttpResponse], name: str
) -> URLPattern:
    """Return the route of a page of a model's admin, protected as Django's."""
    wrapped = functools.update_wrapper(functools.partial(model_admin.admin_site.admin_view(view)), view)
    return path(route, wrapped, name=f"{model_admin.opts.app_label}_{model_admin.opts.model_name}_{name}")
