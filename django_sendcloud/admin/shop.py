"""Sendcloud in the shop's own order admin: one more base class, and nothing else to edit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern, reverse
from django.utils.decorators import method_decorator
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ..conf import conf
from ..labels import MOST
from ..models import EntryState, Integration, OutboxEntry, Parcel, Shipment, ShipmentStatus
from ..sync.fold import fold_all
from .actions import Action, Question, Rows, action, in_chunks, log, ring, tell
from .badges import SHIPMENT_TONES, badge
from .base import EMPTY, ModelT, _may, _ModelAdmin, admin_path, admin_url, ago, in_time
from .explain import ERRORS, Explanation, FieldProblem, explain_entry, explain_pause, fields_of
from .order_state import KIND_TONES, OrderState, OrderStateFilter, can_filter, order_type_of, states_of
from .orders import make_due
from .parcel import phase_badge, timeline_of, tracking_link
from .printing import is_printable, label_action, printable

if TYPE_CHECKING:
    from django.contrib.admin.views.main import ChangeList

__all__ = ["SendcloudOrderAdmin"]


def _ask_push(model_admin: SendcloudOrderAdmin[Any], request: HttpRequest, rows: Rows) -> Question:
    number = rows.count()
    title = ngettext("Push %(number)d order to Sendcloud", "Push %(number)d orders to Sendcloud", number)
    return Question(
        [_("Sendcloud is told of them now, as they are saved, also where nothing changed.")],
        title=title % {"number": number},
        button=_("Push now"),
    )


@action(_("Push to Sendcloud now"), permission="sendcloud_push", ask=_ask_push, asks_for_one=False)
def sendcloud_push(model_admin: SendcloudOrderAdmin[Any], request: HttpRequest, rows: Rows) -> None:
    """Tell Sendcloud of these orders now, also where nothing changed."""
    order_type = order_type_of(model_admin.model)
    number = 0
    for chunk in in_chunks(rows):
        orders = list(chunk)
        keys = [str(order.pk) for order in orders]
        # What Sendcloud is known to have would be skipped; forgetting its digest sends it all the same.
        told = Shipment.objects.using(conf().DATABASE).filter(order_type=order_type, order_pk__in=keys)
        told.filter(status=ShipmentStatus.SYNCED).update(digest="")
        make_due(order_type, keys)
        log(request, orders, _("Pushed to Sendcloud."))
        number += len(orders)
    ring("outbox")
    sentence = ngettext("%(number)d order is being pushed.", "%(number)d orders are being pushed.", number)
    tell(request, number, sentence % {"number": number})


def _has_label(state: OrderState) -> bool:
    return any(is_printable(parcel) for parcel in state.parcels)


def _parcels_of(model_admin: SendcloudOrderAdmin[Any], rows: Rows) -> models.QuerySet[Parcel]:
    parcels = printable(Parcel.objects.using(conf().DATABASE))
    found: list[int] = []
    for chunk in in_chunks(rows):
        mine: dict[str, Any] = {
            "shipment__order_type": order_type_of(model_admin.model),
            "shipment__order_pk__in": [str(order.pk) for order in chunk],
        }
        found += parcels.filter(**mine).values_list("pk", flat=True)
        if len(found) > MOST:
            break  # more than can be printed, whatever else there is
    return Parcel.objects.using(conf().DATABASE).filter(pk__in=found)


def _owners(model_admin: SendcloudOrderAdmin[Any], request: HttpRequest, parcels: list[Parcel]) -> models.QuerySet[Any]:
    shipments = Shipment.objects.using(conf().DATABASE).filter(pk__in={parcel.shipment_id for parcel in parcels})
    keys = list(shipments.values_list("order_pk", flat=True))
    return model_admin.get_queryset(request).filter(pk__in=keys)


PUSH = sendcloud_push
LABELS = label_action(
    "sendcloud_labels",
    _("Sendcloud labels"),
    _parcels_of,
    belongs_to="shipment__order_pk",
    owners=_owners,
    permission="sendcloud_print",
    offered=_has_label,
)
# The name of the button of the change form that saves an order and pushes it.
SAVE_AND_PUSH = "_sendcloud_push"


class _OrdersOnAPage:
    """The states of all orders of a page, looked up together when the first of them is shown."""

    def __init__(self, order_type: str, keys: list[str], *, with_parcels: bool) -> None:
        self._order_type, self._keys, self._with_parcels = order_type, keys, with_parcels

    @cached_property
    def states(self) -> dict[str, OrderState]:
        return states_of(self._order_type, self._keys, with_parcels=self._with_parcels)


class SendcloudOrderAdmin(_ModelAdmin[ModelT]):
    """Shows how the shop's orders stand with Sendcloud, in the admin class of the orders themselves::

        @admin.register(Order)
        class OrderAdmin(SendcloudOrderAdmin, admin.ModelAdmin):
            ...

    The list gets a column, a filter and actions; the change page gets a panel above its fields. Nothing of the
    class's own is replaced: its ``list_display``, ``list_filter``, ``actions``, ``fieldsets`` and templates stand, and
    so do its ``get_…`` methods as long as they call ``super()``.

    What is shown needs the permissions to view shipments and the outbox; tracking needs the one to view parcels.
    What can be done needs ``push_order`` and ``print_label``, and seeing the order.
    """

    sendcloud_actions: tuple[Action, ...] = (PUSH, LABELS)
    sendcloud_buttons: tuple[Action, ...] = (PUSH, LABELS)

    @property
    def media(self) -> forms.Media:
        return super().media + forms.Media(css={"all": ["django_sendcloud/admin.css"]})

    # -- who may do what ------------------------------------------------------------------------

    def has_sendcloud_view_permission(self, request: HttpRequest) -> bool:
        return _may(request, "view_shipment") and _may(request, "view_outboxentry")

    def has_sendcloud_parcel_permission(self, request: HttpRequest) -> bool:
        return self.has_sendcloud_view_permission(request) and _may(request, "view_parcel")

    def has_sendcloud_push_permission(self, request: HttpRequest) -> bool:
        return _may(request, "push_order")

    def has_sendcloud_print_permission(self, request: HttpRequest) -> bool:
        return self.has_sendcloud_parcel_permission(request) and _may(request, "print_label")

    def has_sendcloud_payload_permission(self, request: HttpRequest) -> bool:
        return self.has_sendcloud_view_permission(request) and _may(request, "view_payload")

    # -- the list -------------------------------------------------------------------------------

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = list(super().get_list_display(request))
        if not self.has_sendcloud_view_permission(request):
            return [column for column in columns if column != "sendcloud_state"]
        # Where it is seen: a list with many columns is cut off at its end.
        return columns if "sendcloud_state" in columns else [*columns[:1], "sendcloud_state", *columns[1:]]

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = list(super().get_list_filter(request))
        if not (self.has_sendcloud_view_permission(request) and can_filter(self.model)):
            return [each for each in filters if each is not OrderStateFilter]
        return filters if OrderStateFilter in filters else [*filters, OrderStateFilter]

    def get_actions(self, request: HttpRequest, action_location: Any = None) -> Any:
        # Django 6.1 has actions on change pages too, and says for which of both it asks.
        location = {} if action_location is None else {"action_location": action_location}
        actions = super().get_actions(request, **location)
        # As Django has it: a list without actions.
        if self.actions is None or IS_POPUP_VAR in request.GET or not order_type_of(self.model):
            return actions
        for each in self.sendcloud_actions:
            if each.is_allowed(self, request) and (found := self.get_action(each, **location)):
                actions.setdefault(each.name, found)
        return actions

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        fold_all()
        changes = super().get_changelist_instance(request)
        if "sendcloud_state" in changes.list_display:
            page = _OrdersOnAPage(
                order_type_of(self.model),
                [str(order.pk) for order in changes.result_list],
                with_parcels=self.has_sendcloud_parcel_permission(request),
            )
            for order in changes.result_list:
                vars(order)["_sendcloud"] = page
        return changes

    @admin.display(description="Sendcloud")
    def sendcloud_state(self, order: ModelT) -> Any:
        """The column: the state, and where the newest parcel can be followed."""
        page: _OrdersOnAPage | None = vars(order).get("_sendcloud")
        if page is None:
            return EMPTY
        state = page.states[str(order.pk)]
        parcel = state.newest_parcel
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
        state = self._state_of(request, obj)
        buttons = [
            each for each in self.sendcloud_buttons if each.is_allowed(self, request) and state and each.offered(state)
        ]
        response.context_data = {
            **(response.context_data or {}),
            # Whatever template the page has, ours extends it: neither has to know of the other.
            "sc_page": response.resolve_template(response.template_name),
            "sc_order": self._panel(request, state) if self.has_sendcloud_view_permission(request) else None,
            # What is pushed is what is saved. Who can edit the order saves it by the same button, so that nothing he
            # has just corrected is left behind.
            "sc_save_and_push": SAVE_AND_PUSH if PUSH in buttons and self._saves(request, obj) else "",
            "sc_actions": [
                (each, reverse(self._sendcloud_url_name, args=[quote(str(obj.pk)), each.name]))
                for each in buttons
                if each is not PUSH or not self._saves(request, obj)
            ],
        }
        response.template_name = "admin/django_sendcloud/order_change_form.html"
        return response

    def _saves(self, request: HttpRequest, order: ModelT) -> bool:
        """Whether the page has a form that this person can save."""
        return self.has_change_permission(request, order)

    def response_change(self, request: HttpRequest, obj: ModelT) -> HttpResponse:
        """After *Save and push*: the order is saved by now, and pushed; the page is shown again."""
        if SAVE_AND_PUSH not in request.POST:
            return super().response_change(request, obj)
        # As after "Save and continue editing", whatever other button the shop's own class knows.
        data = request.POST.copy()
        data["_continue"] = "1"
        request.POST = data  # type: ignore[assignment]
        response = super().response_change(request, obj)
        if PUSH.is_allowed(self, request) and order_type_of(self.model):
            PUSH.run(self, request, self.get_queryset(request).filter(pk=obj.pk))
        return response

    def _state_of(self, request: HttpRequest, order: ModelT) -> OrderState | None:
        """How one order stands, ``None`` where nothing can be known of it: no adapter is responsible."""
        order_type, key = order_type_of(self.model), str(order.pk)
        if not order_type:
            return None
        fold_all()
        return states_of(order_type, [key], with_parcels=self.has_sendcloud_parcel_permission(request))[key]

    def _panel(self, request: HttpRequest, state: OrderState | None) -> dict[str, Any]:
        if state is None:
            return {"problems": [_Problem(ERRORS["adapter_missing"])]}
        models.prefetch_related_objects(state.parcels, "timeline")
        paused = _paused_for(state)
        told_at = max((s.told_at for s in state.shipments if s.told_at), default=None)
        return {
            "badge": state.badge(),
            "tone": KIND_TONES[state.kind],
            "told": ago(told_at) if told_at else "",
            "due": _due(state.entry) if paused is None else "",
            "entry_url": self._url_of(state.entry),
            "problems": _problems_of(state, paused),
            "details_withheld": not self.has_sendcloud_payload_permission(request),
            "shipments": [
                (
                    shipment,
                    self._url_of(shipment),
                    badge(shipment.get_status_display(), SHIPMENT_TONES[shipment.status]),
                )
                for shipment in state.shipments
            ],
            "parcels": [
                (parcel, self._url_of(parcel), tracking_link(parcel), phase_badge(parcel), timeline_of(parcel))
                for parcel in state.parcels
            ],
            "payloads": self._payload_links(state) if self.has_sendcloud_payload_permission(request) else [],
        }

    def _payload_links(self, state: OrderState) -> list[tuple[str, str]]:
        """Where it stands what would be sent: beside what Sendcloud has, for each shipment it has been told of."""
        rows: list[OutboxEntry | Shipment] = [s for s in state.shipments if s.status != ShipmentStatus.DELETED]
        if not rows and state.entry is not None:
            rows = [state.entry]
        links = []
        for row in rows:
            label = gettext("What would be sent now")
            if len(rows) > 1:
                label = gettext("What would be sent now: %(shipment)s") % {"shipment": row}
            links.append((admin_url(self.admin_site, row._meta, row.pk, "payload"), label))
        return [(url, label) for url, label in links if url]

    def _url_of(self, obj: models.Model | None) -> str:
        return "" if obj is None else admin_url(self.admin_site, obj._meta, obj.pk)

    # -- addresses ------------------------------------------------------------------------------

    @property
    def _sendcloud_url_name(self) -> str:
        return f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_sendcloud"

    def get_urls(self) -> list[URLPattern]:
        route, view = "<path:object_id>/sendcloud/<slug:name>/", self.sendcloud_view
        return [admin_path(self, route, view, "sendcloud"), *super().get_urls()]

    # Labels are fetched from Sendcloud, and no transaction may be open meanwhile.
    @transaction.non_atomic_requests
    @method_decorator(csrf_protect)
    def sendcloud_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """A button of the panel was pressed."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        order = self._order_or_404(request, unquote(object_id))
        pressed = next((each for each in self.sendcloud_buttons if each.name == name), None)
        if pressed is None or not order_type_of(self.model):
            raise Http404
        response = pressed(self, request, self.get_queryset(request).filter(pk=order.pk), page_of=order)
        return response or HttpResponseRedirect(self._url_of(order))

    def _order_or_404(self, request: HttpRequest, object_id: str) -> ModelT:
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        order = self.get_object(request, object_id)
        if order is None:
            raise Http404
        if not self.has_view_or_change_permission(request, order):
            raise PermissionDenied
        return order


class _Problem:
    """What is wrong with an order or one of its shipments, as ``includes/explanation.html`` shows it."""

    def __init__(
        self, explanation: Explanation, fields: list[FieldProblem] | None = None, *, detail: str = "", code: str = ""
    ) -> None:
        self.explanation, self.fields, self.detail, self.code = explanation, fields or [], detail, code


def _problems_of(state: OrderState, paused: Integration | None) -> list[_Problem]:
    entry = state.entry
    if entry is not None and entry.error_code:
        code, fields = entry.error_code, fields_of(entry.error_fields)
        return [_Problem(explain_entry(entry.state, code), fields, detail=entry.error_detail, code=code)]
    if paused is not None:
        why = explain_pause(paused.paused_reason)
        return [_Problem(dataclasses.replace(why, title=f"{paused}: {why.title}"))]
    if entry is not None:
        return []
    refused = [shipment for shipment in state.shipments if shipment.status == ShipmentStatus.REJECTED]
    return [_Problem(ERRORS["rejected"], fields_of(shipment.errors), code="rejected") for shipment in refused]


def _paused_for(state: OrderState) -> Integration | None:
    """The integration that an order waits for, if that is paused. One query at most."""
    if state.entry is None or state.entry.state != EntryState.PENDING:
        return None
    integration = state.entry.integration
    if integration is None:
        # It does not know yet for whom it waits: for the only one in use, most likely.
        active = list(Integration.objects.using(conf().DATABASE).filter(is_active=True)[:2])
        integration = active[0] if len(active) == 1 else None
    return integration if integration is not None and integration.is_paused else None


def _due(entry: OutboxEntry | None) -> Any:
    if entry is None or entry.state != EntryState.PENDING or entry.is_leased:
        return ""
    return in_time(max(entry.due_at, entry.not_before))
