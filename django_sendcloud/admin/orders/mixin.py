"""Mixin for the shop's own order admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.views.decorators.csrf import csrf_protect

from ...core.transactions import outside_transactions
from ...orders import OrderRef, keys_by_type
from ...registry import registry
from ..actions.action import Action
from ..actions.atomic import take_actions_outside
from ..actions.history import render_history
from ..base import STYLES, ModelT, _ModelAdmin, admin_path
from ..health import fold_once
from ..lists.search import listed, spellings, with_numbers
from ..parcels.admin import tracking_link
from ..ui.cells import EMPTY
from ..ui.links import admin_url
from .actions import CANCEL_LABEL, KEEP_LABEL, LABELS, PUSH, OrderPermissions
from .delivery import OrderDeliveryFilter
from .panel import buttons_of, panel_of, state_of
from .state import OrderState, OrderStateFilter, can_filter, order_type_of, ref_of, states_of

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

__all__ = ["SendcloudOrderAdmin"]


# Name of the button that saves an order and pushes it.
SAVE_AND_PUSH = "_sendcloud_push"


class _OrdersOnAPage:
    """States of all orders of a page, loaded together when the first is shown."""

    def __init__(self, orders: Iterable[models.Model], *, with_parcels: bool) -> None:
        self._keys, self._with_parcels = keys_by_type(map(ref_of, orders)), with_parcels

    @cached_property
    def states(self) -> dict[OrderRef, OrderState]:
        return {
            OrderRef.stored(order_type, key): state
            for order_type, keys in self._keys.items()
            for key, state in states_of(order_type, keys, with_parcels=self._with_parcels).items()
        }


class SendcloudOrderAdmin(OrderPermissions, _ModelAdmin[ModelT]):
    """Mixin that shows the state of the shop's orders at Sendcloud, in their own admin class::

        @admin.register(Order)
        class OrderAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
            ...

    The list gets a column, a filter and actions; the change page gets a panel above its fields. The class's own
    ``list_display``, ``list_filter``, ``actions``, ``fieldsets`` and templates stay, and so do its ``get_…`` methods
    if they call ``super()``.

    Showing needs the permissions to view shipments and the outbox; tracking needs the one to view parcels.
    Acting needs ``push_order`` and ``print_label``, and access to the order.
    """

    sendcloud_actions: tuple[Action, ...] = (PUSH, LABELS)
    sendcloud_buttons: tuple[Action, ...] = (PUSH, LABELS, KEEP_LABEL, CANCEL_LABEL)

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(css=STYLES, js=["django_sendcloud/refresh.js", "django_sendcloud/copy.js"])

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return render_history(super().history_view(request, object_id, extra_context))

    # -- the list -------------------------------------------------------------------------------

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = list(super().get_list_display(request))
        if not self.has_sendcloud_view_permission(request):
            return [column for column in columns if column != "sendcloud_state"]
        # Near the front: a list with many columns is cut off at its end.
        return columns if "sendcloud_state" in columns else [*columns[:1], "sendcloud_state", *columns[1:]]

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = list(super().get_list_filter(request))
        allowed: list[Any] = []
        if self.has_sendcloud_view_permission(request) and can_filter(self.model):
            allowed.append(OrderStateFilter)
            if self.has_sendcloud_parcel_permission(request):
                allowed.append(OrderDeliveryFilter)
        kept = [each for each in filters if each not in (OrderStateFilter, OrderDeliveryFilter) or each in allowed]
        return [*kept, *(each for each in allowed if each not in kept)]

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        # Django 6.1 has actions on change pages, too, and passes the location.
        location = {} if action_location is None else {"action_location": action_location}
        actions = super().get_actions(request, **location)
        # Django reads ``None`` as a list without actions.
        if self.actions is None or IS_POPUP_VAR in request.GET or not order_type_of(self.model):
            return actions
        for each in self.sendcloud_actions:
            if each.is_allowed(self, request) and (found := self.get_action(each, **location)):
                actions.setdefault(each.name, found)
        return actions

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None) or {}
        if isinstance(response, SimpleTemplateResponse) and not response.is_rendered and "cl" in context:
            # Our template extends the list's own, whichever that is.
            context["sc_page"] = response.resolve_template(response.template_name)
            response.template_name = "admin/django_sendcloud/orders/change_list.html"
        return response

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        fold_once(request)
        changes = super().get_changelist_instance(request)
        if "sendcloud_state" in changes.list_display:
            page = _OrdersOnAPage(changes.result_list, with_parcels=self.has_sendcloud_parcel_permission(request))
            for order in changes.result_list:
                vars(order)["_sendcloud"] = page
        return changes

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[ModelT], search_term: str
    ) -> tuple[models.QuerySet[ModelT], bool]:
        """Return the orders of a list of order numbers; Django would search for one order with all of them."""
        adapter, numbers = registry.for_model(self.model), listed(search_term)
        if numbers and adapter is not None and adapter.number_field and self.get_search_fields(request):
            orders = with_numbers(queryset, adapter.number_field, spellings(search_term.strip(), *numbers))
            if orders.exists():
                return orders, False
        return super().get_search_results(request, queryset, search_term)

    @admin.display(description="Sendcloud")
    def sendcloud_state(self, order: ModelT) -> Any:
        """Return the column: the state, and the tracking link of the parcel that it speaks of."""
        page: _OrdersOnAPage | None = vars(order).get("_sendcloud")
        if page is None:
            return EMPTY
        state = page.states[ref_of(order)]
        parcel = state.parcel
        if parcel is None:
            return state.badge()
        return format_html("{} <div>{}</div>", state.badge(), tracking_link(parcel))

    # -- the change page ------------------------------------------------------------------------

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: ModelT | None = None,
    ) -> HttpResponse:
        response = super().render_change_form(request, context, add, change, form_url, obj)
        if add or obj is None or not isinstance(response, SimpleTemplateResponse) or response.is_rendered:
            return response
        state = state_of(self, request, obj)
        buttons = buttons_of(self, request, state)
        response.context_data = {
            **(response.context_data or {}),
            # Our template extends the page's own, whichever that is.
            "sc_page": response.resolve_template(response.template_name),
            "sc_order": panel_of(self, request, obj, state),
            # A push sends the saved order, so operators who can edit it save with the same button.
            "sc_save_and_push": SAVE_AND_PUSH if PUSH in buttons and self._saves(request, obj) else "",
            "sc_actions": [
                (each, reverse(self._sendcloud_url_name, args=[quote(str(obj.pk)), each.name]))
                for each in buttons
                if each is not PUSH or not self._saves(request, obj)
            ],
        }
        response.template_name = "admin/django_sendcloud/orders/change_form.html"
        return response

    def _saves(self, request: HttpRequest, order: ModelT) -> bool:
        """Return whether the page has a form this operator can save."""
        return self.has_change_permission(request, order)

    def response_change(self, request: HttpRequest, obj: ModelT) -> HttpResponse:
        """Push the saved order after *Save and push*, and show the page again."""
        if SAVE_AND_PUSH not in request.POST:
            return super().response_change(request, obj)
        # Behave as after "Save and continue editing".
        data = request.POST.copy()
        data["_continue"] = "1"
        request.POST = data  # type: ignore[assignment]
        response = super().response_change(request, obj)
        if PUSH.is_allowed(self, request) and order_type_of(self.model):
            PUSH.run(self, request, self.get_queryset(request).filter(pk=obj.pk))
        return response

    # -- addresses ------------------------------------------------------------------------------

    @property
    def _sendcloud_url_name(self) -> str:
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_sendcloud"

    def get_urls(self) -> list[URLPattern]:
        route, view = "<path:object_id>/sendcloud/<slug:name>/", self.sendcloud_view
        pages = super().get_urls()
        # (Django 6.1 has actions on the page of an object, too.)
        take_actions_outside(pages, ("_changelist", "_change"), lambda: {each.name for each in self.sendcloud_actions})
        return [admin_path(self, route, view, "sendcloud"), *pages]

    # Fetching labels takes seconds; no transaction may be open meanwhile.
    @outside_transactions
    @method_decorator(csrf_protect)
    def sendcloud_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Run the action of a pressed button."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        order = self._order_or_404(request, unquote(object_id))
        pressed = next((each for each in self.sendcloud_buttons if each.name == name), None)
        if pressed is None or not order_type_of(self.model):
            raise Http404
        response = pressed(self, request, self.get_queryset(request).filter(pk=order.pk), page_of=order)
        return response or HttpResponseRedirect(admin_url(self.admin_site, self.opts, order.pk))

    def _order_or_404(self, request: HttpRequest, object_id: str) -> ModelT:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        order = self.get_object(request, object_id)
        if order is None:
            raise Http404
        if not self.has_view_or_change_permission(request, order):
            raise PermissionDenied
        return order
