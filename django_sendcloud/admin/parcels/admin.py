"""Admin of parcels: their state and their history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ...core.dates import date_and_time
from ...models import Integration, Parcel, ParcelStatus, Shipment
from ...models.carriers import carrier_name
from ...models.statuses import status_text
from ...parcels.cancel import is_cancellable
from ...parcels.matching import assign, order_ids, suggested
from ..actions.action import Rows
from ..actions.history import log
from ..base import SearchedAdmin
from ..explanations.statuses import advice_for
from ..lists.filters import CarrierFilter, MatchedFilter, age_filter
from ..lists.search import MAX_MATCHES, as_uuids, spellings
from ..permissions import Permissions
from ..ui.badges import PHASE_TONES, badge
from ..ui.cells import EMPTY, ago, link
from ..ui.humanize import format_number, when
from ..ui.pages import admin_page
from .cancelling import cancel_action, cancellable
from .labels import label_action, printable, ready_to_print
from .unmatched import dismiss_parcels, reopen_parcels

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    _ModelChoiceField = forms.ModelChoiceField[Shipment]
else:
    _ModelChoiceField = forms.ModelChoiceField

__all__ = ["ParcelAdmin", "phase_badge", "print_label", "timeline_of", "tracking_link"]


def phase_badge(parcel: Parcel) -> SafeString:
    """Return a parcel's phase as a badge; a return says so."""
    label = str(parcel.get_phase_display())
    return badge(
        _("return: %(phase)s") % {"phase": label} if parcel.is_return else label, PHASE_TONES.get(parcel.phase, "off")
    )


def timeline_of(parcel: Parcel) -> list[tuple[ParcelStatus, str]]:
    """Return a parcel's history, newest first, each step with its tone."""
    steps = sorted(parcel.timeline.all(), key=lambda step: (step.event_ms, step.status_id), reverse=True)
    for step in steps:
        vars(step)["text"] = status_text(step.status_id, step.message)
    return [(step, PHASE_TONES.get(step.phase, "off")) for step in steps]


def web_address(url: str) -> str:
    """Return the URL if it is a web address, else ``""``: external data could hold a script."""
    try:
        return url if urlsplit(url).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def tracking_link(parcel: Parcel) -> Any:
    """Return the tracking number, as a link if the carrier's page is known."""
    number = parcel.tracking_number or EMPTY
    if url := web_address(parcel.tracking_url):
        return format_html('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, number)
    return number


def _with_labels(model_admin: ParcelAdmin, rows: Rows) -> list[int]:
    if rows.count() == 1:
        # An operator who opens a single label has seen the parcel's page.
        return list(rows.filter(is_return=False).exclude(labels={}).values_list("pk", flat=True))
    return list(printable(rows).values_list("pk", flat=True))


def _returns(model_admin: ParcelAdmin, rows: Rows) -> list[int]:
    return list(rows.filter(is_return=True).exclude(labels={}).values_list("pk", flat=True))


def _without_returns(rows: Rows) -> tuple[int, str]:
    number = rows.filter(is_return=True).exclude(labels={}).count()
    sentence = ngettext(
        "%(number)d return label is left out. “Return labels” prints it alone.",
        "%(number)d return labels are left out. “Return labels” prints them alone.",
        number,
    )
    return number, sentence % {"number": number}


def _without_others(rows: Rows) -> tuple[int, str]:
    number = rows.filter(is_return=False).count()
    sentence = ngettext(
        "%(number)d is left out: it is not a return.", "%(number)d are left out: they are not returns.", number
    )
    return number, sentence % {"number": number}


print_label = label_action(
    "print_label",
    _("Label"),
    _with_labels,
    belongs_to="pk",
    offered=lambda parcel: bool(parcel.labels) and not parcel.is_return,
    left_out=_without_returns,
)
print_return_label = label_action(
    "print_return_label",
    _("Return labels"),
    _returns,
    belongs_to="pk",
    offered=lambda parcel: bool(parcel.labels) and parcel.is_return,
    left_out=_without_others,
)


def _cancellable(model_admin: ParcelAdmin, rows: Rows) -> QuerySet[Parcel]:
    return cancellable(rows)


cancel_label = cancel_action("cancel_label", _cancellable, offered=is_cancellable)


class ShipmentChoice(_ModelChoiceField):
    """Choice of shipments, each with the facts that distinguish it."""

    permissions: Permissions

    def label_from_instance(self, obj: Any) -> Any:
        shipment: Shipment = obj
        known = [
            gettext("first sent %(date)s") % {"date": date_and_time(shipment.created_at)},
            shipment.get_status_display(),
            gettext("order key %(key)s") % {"key": shipment.order_pk},
        ]
        order_url = self.permissions.order_url(shipment.ref)
        links = [(self.permissions.url(shipment), _("Show the shipment")), (order_url, _("Show the order"))]
        return format_html(
            "<strong>{}</strong> <small>{}</small> {}",
            shipment,
            ", ".join(str(each) for each in known),
            format_html_join(" ", '<a href="{}" target="_blank">{}</a>', [each for each in links if each[0]]),
        )


class AssignForm(forms.Form):
    """Form that assigns a parcel to a shipment."""

    shipment = ShipmentChoice(Shipment.objects.none(), label=_("shipment"), empty_label=None, widget=forms.RadioSelect)

    def __init__(self, *args: Any, candidates: QuerySet[Shipment], permissions: Permissions, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["shipment"]
        field.permissions, field.queryset = permissions, candidates


class PrintFilter(admin.SimpleListFilter):
    """Filter of parcels by whether their labels wait to be printed, with the number of those."""

    title = _("label")
    parameter_name = "printing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        number = ready_to_print(Parcel.objects.all()).count()
        ready = gettext("Ready to print (%(number)s)") % {"number": format_number(number)}
        return [("ready", ready), ("printed", _("Printed"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "ready":
            return ready_to_print(queryset)
        return queryset.filter(printed_at__isnull=False) if self.value() == "printed" else queryset


class ParcelAdmin(SearchedAdmin[Parcel]):
    """Admin of parcels. Read-only: only Sendcloud knows where a parcel is."""

    list_display = ["parcel", "phase_badge", "status", "shipment_link", "since", "carried_by"]
    list_display_links = ["parcel"]
    list_filter = [
        "phase",
        PrintFilter,
        CarrierFilter,
        MatchedFilter,
        "is_return",
        "integration",
        age_filter("status_at", _("last status"), never=_("no update yet")),
    ]
    list_select_related = ["shipment", "integration"]
    exported = (
        "tracking_number",
        "order_number",
        "carrier",
        "phase",
        "status_message",
        "status_at",
        "is_return",
        "weight",
        "tracking_url",
        "created_at",
        "dismissed_note",
    )
    search_fields = ["tracking_number"]
    search_help_text = _("Search by tracking number, order number, external ids or Sendcloud's id.")
    ordering = ["-pk"]
    actions = [print_label, print_return_label, cancel_label, dismiss_parcels, reopen_parcels]
    page_actions = (print_label, print_return_label, cancel_label, dismiss_parcels, reopen_parcels)
    panel_template = "admin/django_sendcloud/parcels/panel.html"
    readonly_fields = [
        "phase_badge",
        "shipment_link",
        "tracking",
        "raw_status",
        "carried_by",
        "collo",
        "printed",
        "integration_link",
    ]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "phase_badge",
                    "raw_status",
                    "status_at",
                    "tracking",
                    "carried_by",
                    "weight",
                    "collo",
                    "printed",
                ]
            },
        ),
        (_("Belongs to"), {"fields": ["shipment_link", "order_number", "external_order_id", "external_shipment_id"]}),
        (_("At Sendcloud"), {"fields": ["remote_id", "shipment_uuid", "integration_link", "created_at", "updated_at"]}),
    ]
    empty_text = _(
        "Parcels appear here as soon as a label is made in Sendcloud and its webhook arrives: with their tracking "
        "number and all that happens to them."
    )

    # -- permissions ----------------------------------------------------------------------------

    def has_assign_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may assign parcels, which shows shipments."""
        return super().has_assign_permission(request) and self.permissions(request).may_see(Shipment)

    # -- related rows ---------------------------------------------------------------------------

    def search_exactly(self, words: Sequence[str], permissions: Permissions) -> Sequence[QuerySet[Any, Any]]:
        parcels = Parcel.objects
        numbers, uuids = spellings(*words), as_uuids(words)
        integrations = list(Integration.objects.values_list("pk", flat=True))
        found = [parcels.filter(tracking_number__in=numbers), parcels.filter(order_number__in=numbers)]
        if uuids:
            found.append(parcels.filter(shipment_uuid__in=uuids))
        if remote_ids := [int(word) for word in words if word.isdecimal() and len(word) < 19]:
            found.append(parcels.filter(integration__in=integrations, remote_id__in=remote_ids))
        ids = {order_id for each in numbers for order_id in order_ids(each)}
        shipments = Shipment.objects.filter(integration__in=integrations, external_order_id__in=ids)
        if keys := list(shipments.values_list("pk", flat=True)[:MAX_MATCHES]):
            found.append(parcels.filter(shipment__in=keys))
        return [each.values_list("pk", flat=True) for each in found]

    def search_within(self, word: str, permissions: Permissions) -> Q:
        return (
            Q(tracking_number__icontains=word)
            | Q(order_number__icontains=word)
            | Q(external_order_id__icontains=word)
            | Q(external_shipment_id__icontains=word)
        )

    def panel(self, request: HttpRequest, obj: Parcel) -> dict[str, Any]:
        assignable = obj.shipment_id is None and self.has_assign_permission(request)
        return {
            "timeline": timeline_of(obj),
            "unknown_here": obj.shipment_id is None,
            "dismissed": obj.shipment_id is None and obj.dismissed_at is not None,
            "suggestions": suggested(obj) if assignable and obj.dismissed_at is None else [],
            "advice": advice_for(obj),
            "tracking_url": web_address(obj.tracking_url),
            "assign_url": self.url("assign", obj.pk) if assignable else "",
        }

    def get_urls(self) -> list[URLPattern]:
        return [self.path("<path:object_id>/assign/", self.assign_view, "assign"), *super().get_urls()]

    @method_decorator(csrf_protect)
    def assign_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Let the operator choose the shipment of a parcel, without guessing."""
        parcel = self.object_or_404(request, object_id)
        if not self.has_assign_permission(request):
            raise PermissionDenied
        if parcel.shipment_id is not None:
            return self._belongs_already(request, parcel)
        number = (request.POST.get("number") or request.GET.get("number") or parcel.order_number).strip()
        candidates = self._candidates(parcel, number)
        permissions = self.permissions(request)
        form = AssignForm(
            request.POST if request.method == "POST" else None, candidates=candidates, permissions=permissions
        )
        if request.method == "POST" and form.is_valid():
            shipment = form.cleaned_data["shipment"]
            if not assign(parcel, shipment):
                return self._belongs_already(request, parcel)
            text = gettext("Assigned to the shipment %(shipment)s.") % {"shipment": shipment}
            log(request, [parcel], _("Assigned to the shipment %(shipment)s."), shipment=str(shipment))
            messages.success(request, text)
            return HttpResponseRedirect(self.url("change", parcel.pk))
        title = gettext("Assign the parcel %(parcel)s") % {"parcel": parcel}
        context = {"form": form, "number": number, "found": list(candidates)}
        return admin_page(self, request, "admin/django_sendcloud/parcels/assign.html", title, context, parcel)

    def _belongs_already(self, request: HttpRequest, parcel: Parcel) -> HttpResponse:
        """Report that the parcel was assigned meanwhile, by an operator or an update."""
        messages.warning(request, gettext("This parcel belongs to a shipment already."))
        return HttpResponseRedirect(self.url("change", parcel.pk))

    def _candidates(self, parcel: Parcel, number: str) -> QuerySet[Shipment]:
        shipments = Shipment.objects.filter(integration=parcel.integration)
        if not number:
            return shipments.none()
        numbers = spellings(number)
        ids = {order_id for each in numbers for order_id in order_ids(each)}
        found = shipments.filter(Q(order_number__in=numbers) | Q(external_order_id__in=ids)).order_by("-pk")
        return found.filter(pk__in=list(found.values_list("pk", flat=True)[:50]))

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("tracking number"), ordering="tracking_number")
    def parcel(self, row: Parcel) -> str:
        return str(row)

    @admin.display(description=_("phase"), ordering="phase")
    def phase_badge(self, row: Parcel) -> SafeString:
        return phase_badge(row)

    @admin.display(description=_("shipment"), ordering="shipment")
    def shipment_link(self, row: Parcel) -> Any:
        if row.shipment is None:
            known = badge(_("dismissed"), "off") if row.dismissed_at is not None else badge(_("unknown here"), "warn")
            return format_html("{} {}", row.order_number, known)
        return link(self.permissions_of(row).url(row.shipment), row.order_number or row.shipment)

    @admin.display(description=_("carrier"), ordering="carrier")
    def carried_by(self, row: Parcel) -> str:
        return carrier_name(row.carrier) or EMPTY

    @admin.display(description=_("since"), ordering="status_at")
    def since(self, row: Parcel) -> Any:
        return ago(row.status_at)

    @admin.display(description=_("status"), ordering="status_message")
    def status(self, row: Parcel) -> str:
        return status_text(row.status_id, row.status_message) or EMPTY

    @admin.display(description=_("Sendcloud's status"))
    def raw_status(self, row: Parcel) -> Any:
        if row.status_id is None:
            return EMPTY
        return format_html(
            "{} <small>({})</small>", status_text(row.status_id, row.status_message) or EMPTY, row.status_id
        )

    @admin.display(description=_("tracking"))
    def tracking(self, row: Parcel) -> Any:
        return tracking_link(row)

    @admin.display(description=_("printed"))
    def printed(self, row: Parcel) -> Any:
        if row.printed_at is None:
            return EMPTY
        return format_html(gettext("{time}, by {user}"), time=when(row.printed_at), user=row.printed_by)

    @admin.display(description=_("collo"))
    def collo(self, row: Parcel) -> Any:
        if row.collo_nr is None or row.collo_count is None:
            return EMPTY
        # Sendcloud counts from zero.
        return _("%(number)d of %(count)d") % {"number": row.collo_nr + 1, "count": row.collo_count}
