"""Parcels: where they are, and how they got there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django import forms
from django.apps import apps
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ..conf import conf
from ..models import Integration, Parcel, ParcelStatus, Shipment
from .actions import Rows, log
from .at_sendcloud import carrier_name
from .badges import PHASE_TONES, badge
from .base import EMPTY, SearchedAdmin, Sight, ago, link
from .filters import CarrierFilter, MatchedFilter, age_filter
from .printing import label_action
from .search import as_uuid, spellings

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

    _ModelChoiceField = forms.ModelChoiceField[Shipment]
else:
    _ModelChoiceField = forms.ModelChoiceField

__all__ = ["ParcelAdmin", "open_label", "phase_badge", "timeline_of", "tracking_link"]


def phase_badge(parcel: Parcel) -> SafeString:
    """Where a parcel is, in a word; a return says that it is one."""
    label = str(parcel.get_phase_display())
    return badge(
        _("return: %(phase)s") % {"phase": label} if parcel.is_return else label, PHASE_TONES.get(parcel.phase, "off")
    )


def timeline_of(parcel: Parcel) -> list[tuple[ParcelStatus, str]]:
    """The steps of a parcel's journey, newest first, each with the tone of its phase."""
    steps = sorted(parcel.timeline.all(), key=lambda step: (step.event_ms, step.status_id), reverse=True)
    return [(step, PHASE_TONES.get(step.phase, "off")) for step in steps]


def web_address(url: str) -> str:
    """The address if a browser may be sent there, else ``""``: what came from outside could be a script."""
    try:
        return url if urlsplit(url).scheme in ("http", "https") else ""
    except ValueError:
        return ""


def tracking_link(parcel: Parcel) -> Any:
    """The tracking number, as a link to where the carrier tells of it if that is known."""
    number = parcel.tracking_number or EMPTY
    if url := web_address(parcel.tracking_url):
        return format_html('<a href="{}" rel="noopener noreferrer" target="_blank">{}</a>', url, number)
    return number


def _with_labels(model_admin: ParcelAdmin, rows: Rows) -> QuerySet[Parcel]:
    return rows.exclude(labels={})


open_label = label_action(
    "open_label", _("Label"), _with_labels, belongs_to="pk", offered=lambda parcel: bool(parcel.labels)
)


class ShipmentChoice(_ModelChoiceField):
    """Shipments to choose from, each with what tells it from others of the same number."""

    sight: Sight

    def label_from_instance(self, obj: Any) -> Any:
        shipment: Shipment = obj
        known = [
            gettext("first told %(date)s")
            % {"date": date_format(timezone.localtime(shipment.created_at), "DATETIME_FORMAT")},
            shipment.get_status_display(),
            gettext("order key %(key)s") % {"key": shipment.order_pk},
        ]
        try:
            order_url = self.sight.url_by_key(apps.get_model(shipment.order_type), shipment.order_pk)
        except (LookupError, ValueError):
            order_url = ""
        links = [(self.sight.url(shipment), _("Show the shipment")), (order_url, _("Show the order"))]
        return format_html(
            "<strong>{}</strong> <small>{}</small> {}",
            shipment,
            ", ".join(str(each) for each in known),
            format_html_join(" ", '<a href="{}" target="_blank">{}</a>', [each for each in links if each[0]]),
        )


class AssignForm(forms.Form):
    """To which shipment a parcel belongs."""

    shipment = ShipmentChoice(Shipment.objects.none(), label=_("shipment"), empty_label=None, widget=forms.RadioSelect)

    def __init__(self, *args: Any, candidates: QuerySet[Shipment], sight: Sight, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["shipment"]
        field.sight, field.queryset = sight, candidates


class ParcelAdmin(SearchedAdmin[Parcel]):
    """Read-only: only Sendcloud knows where a parcel is."""

    list_display = ["parcel", "phase_badge", "status_message", "shipment_link", "since", "carried_by", "integration"]
    list_display_links = ["parcel"]
    list_filter = [
        "phase",
        CarrierFilter,
        MatchedFilter,
        "is_return",
        "integration",
        age_filter("status_at", _("last status"), never=_("no news yet")),
    ]
    list_select_related = ["shipment", "integration"]
    search_fields = ["tracking_number"]
    search_help_text = _("Search by tracking number, order number, external ids or Sendcloud's id.")
    ordering = ["-pk"]
    actions = [open_label]
    page_actions = (open_label,)
    panel_template = "admin/django_sendcloud/includes/parcel_panel.html"
    readonly_fields = [
        "phase_badge",
        "shipment_link",
        "tracking",
        "raw_status",
        "carried_by",
        "collo",
        "integration_link",
    ]
    fieldsets = [
        (None, {"fields": ["phase_badge", "raw_status", "status_at", "tracking", "carried_by", "weight", "collo"]}),
        (_("Belongs to"), {"fields": ["shipment_link", "order_number", "external_order_id", "external_shipment_id"]}),
        (_("At Sendcloud"), {"fields": ["remote_id", "shipment_uuid", "integration_link", "created_at", "updated_at"]}),
    ]
    nothing_yet = _(
        "Parcels stand here as soon as a label is made in Sendcloud and its webhook arrives: with their tracking "
        "number and all that happens to them."
    )

    # -- who may see and do what ----------------------------------------------------------------

    def has_assign_permission(self, request: HttpRequest) -> bool:
        """Whether parcels may be assigned: to do so, one looks at shipments."""
        return super().has_assign_permission(request) and self.sight(request).may_see(Shipment)

    # -- what belongs to a parcel ---------------------------------------------------------------

    def search_exactly(self, word: str, sight: Sight) -> Sequence[QuerySet[Any, Any]]:
        parcels = Parcel.objects.using(conf().DATABASE)
        numbers, uuid_ = spellings(word), as_uuid(word)
        integrations = list(Integration.objects.using(conf().DATABASE).values_list("pk", flat=True))
        found = [parcels.filter(tracking_number__in=numbers), parcels.filter(order_number__in=numbers)]
        if uuid_:
            found.append(parcels.filter(shipment_uuid=uuid_))
        if word.isdecimal() and len(word) < 19:
            found.append(parcels.filter(integration__in=integrations, remote_id=int(word)))
        shipments = Shipment.objects.using(conf().DATABASE).filter(
            integration__in=integrations, external_order_id__in=numbers
        )
        if keys := list(shipments.values_list("pk", flat=True)[:100]):
            found.append(parcels.filter(shipment__in=keys))
        return [each.values_list("pk", flat=True) for each in found]

    def search_within(self, word: str, sight: Sight) -> Q:
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
            "assign_url": self.url("assign", obj.pk) if assignable else "",
        }

    def get_urls(self) -> list[URLPattern]:
        return [self.path("<path:object_id>/assign/", self.assign_view, "assign"), *super().get_urls()]

    @method_decorator(csrf_protect)
    def assign_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Choose the shipment that a parcel belongs to: nobody guesses where several could be meant."""
        parcel = self.object_or_404(request, object_id)
        if not self.has_assign_permission(request):
            raise PermissionDenied
        if parcel.shipment_id is not None:
            return self._belongs_already(request, parcel)
        number = (request.POST.get("number") or request.GET.get("number") or parcel.order_number).strip()
        candidates = self._candidates(parcel, number)
        sight = self.sight(request)
        form = AssignForm(request.POST if request.method == "POST" else None, candidates=candidates, sight=sight)
        if request.method == "POST" and form.is_valid():
            shipment = form.cleaned_data["shipment"]
            unassigned = Parcel.objects.using(conf().DATABASE).filter(pk=parcel.pk, shipment__isnull=True)
            if not unassigned.update(shipment=shipment):
                return self._belongs_already(request, parcel)
            text = gettext("Assigned to the shipment %(shipment)s.") % {"shipment": shipment}
            log(request, [parcel], format_lazy(_("Assigned to the shipment {shipment}."), shipment=str(shipment)))
            messages.success(request, text)
            return HttpResponseRedirect(self.url("change", parcel.pk))
        vars(request)["current_app"] = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Assign the parcel %(parcel)s") % {"parcel": parcel},
            "opts": self.opts,
            "original": parcel,
            "form": form,
            "number": number,
            "found": list(candidates),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/django_sendcloud/assign.html", context)

    def _belongs_already(self, request: HttpRequest, parcel: Parcel) -> HttpResponse:
        """Nothing was assigned: somebody was faster, or news of it said whose it is."""
        messages.warning(request, gettext("This parcel belongs to a shipment already."))
        return HttpResponseRedirect(self.url("change", parcel.pk))

    def _candidates(self, parcel: Parcel, number: str) -> QuerySet[Shipment]:
        shipments = Shipment.objects.using(conf().DATABASE).filter(integration=parcel.integration)
        if not number:
            return shipments.none()
        numbers = spellings(number)
        found = shipments.filter(Q(order_number__in=numbers) | Q(external_order_id__in=numbers)).order_by("-pk")
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
            return format_html("{} {}", row.order_number, badge(_("unknown here"), "warn"))
        return link(self.seen_by(row).url(row.shipment), row.order_number or row.shipment)

    @admin.display(description=_("carrier"), ordering="carrier")
    def carried_by(self, row: Parcel) -> str:
        return carrier_name(row.carrier) or EMPTY

    @admin.display(description=_("since"), ordering="status_at")
    def since(self, row: Parcel) -> Any:
        return ago(row.status_at)

    @admin.display(description=_("Sendcloud's status"))
    def raw_status(self, row: Parcel) -> Any:
        if row.status_id is None:
            return EMPTY
        return format_html("{} <small>({})</small>", row.status_message or EMPTY, row.status_id)

    @admin.display(description=_("tracking"))
    def tracking(self, row: Parcel) -> Any:
        return tracking_link(row)

    @admin.display(description=_("collo"))
    def collo(self, row: Parcel) -> Any:
        if row.collo_nr is None or row.collo_count is None:
            return EMPTY
        # Sendcloud counts from zero.
        return _("%(number)d of %(count)d") % {"number": row.collo_nr + 1, "count": row.collo_count}
