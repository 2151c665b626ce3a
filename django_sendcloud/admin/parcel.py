"""Parcels: where they are, and how they got there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ..conf import conf
from ..labels import MOST, Labels, MergingNotInstalled, fetch
from ..models import Parcel, ParcelStatus, Shipment
from .actions import Action, Rows, action, log
from .badges import PHASE_TONES, badge
from .base import EMPTY, SendcloudAdmin, ago, link
from .filters import MatchedFilter

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["SHEETS", "ParcelAdmin", "open_label", "phase_badge", "timeline_of", "tracking_link"]


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


def _labels_of(model_admin: Any, request: HttpRequest, rows: Rows, make: Callable[[Labels], bytes]) -> Any:
    """Answer with a document, or say why there is none."""
    number = rows.count()
    if number > MOST:
        text = gettext("At most %(most)d labels can be printed at once; %(number)d are selected.")
        messages.error(request, text % {"most": MOST, "number": number})
        return None
    parcels = list(rows.select_related("integration__account").order_by("pk"))
    labels = fetch(parcels)
    for parcel, why in labels.failed:
        messages.warning(request, gettext("No label for %(parcel)s: %(why)s") % {"parcel": parcel, "why": why})
    if not labels.pdfs:
        return None
    try:
        document = make(labels)
    except MergingNotInstalled as error:
        messages.error(request, gettext("Several labels cannot be merged here. %(how)s") % {"how": error})
        return None
    log(request, parcels, gettext("Opened the label."))
    answer = HttpResponse(document, content_type="application/pdf")
    answer["Content-Disposition"] = 'inline; filename="labels.pdf"'
    answer["Cache-Control"] = "private, no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@action(_("Label"), permission="print", offered=lambda parcel: bool(parcel.labels))
def open_label(model_admin: ParcelAdmin, request: HttpRequest, rows: Rows) -> Any:
    """Open the labels as they are: one a page, for a label printer."""
    return _labels_of(model_admin, request, rows, Labels.a6)


def _sheet(position: int) -> Action:
    def print_sheet(model_admin: ParcelAdmin, request: HttpRequest, rows: Rows) -> Any:
        return _labels_of(model_admin, request, rows, lambda labels: labels.a4(position))

    print_sheet.__name__ = f"labels_a4_{position}"
    places = [_("upper left"), _("upper right"), _("lower left"), _("lower right")]
    label = format_lazy(_("Labels on A4, beginning {place}"), place=places[position - 1])
    return action(label, permission="print")(print_sheet)


SHEETS = [_sheet(position) for position in (1, 2, 3, 4)]


class AssignForm(forms.Form):
    """To which shipment a parcel belongs."""

    shipment = forms.ModelChoiceField(
        Shipment.objects.none(), label=_("shipment"), empty_label=None, widget=forms.RadioSelect
    )

    def __init__(self, *args: Any, candidates: QuerySet[Shipment], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["shipment"].queryset = candidates  # type: ignore[attr-defined]


class ParcelAdmin(SendcloudAdmin[Parcel]):
    """Read-only: only Sendcloud knows where a parcel is."""

    list_display = ["parcel", "phase_badge", "status_message", "shipment_link", "since", "carrier"]
    list_display_links = ["parcel"]
    list_filter = ["phase", "is_return", MatchedFilter, "integration"]
    list_select_related = ["shipment", "integration"]
    search_fields = ["tracking_number"]
    search_help_text = _("Search by tracking number, order number, external ids or Sendcloud's id.")
    ordering = ["-pk"]
    actions = [open_label, *SHEETS]
    page_actions = (open_label,)
    panel_template = "admin/django_sendcloud/includes/parcel_panel.html"
    readonly_fields = ["phase_badge", "shipment_link", "tracking", "raw_status", "collo"]
    fieldsets = [
        (None, {"fields": ["phase_badge", "raw_status", "status_at", "tracking", "carrier", "weight", "collo"]}),
        (_("Belongs to"), {"fields": ["shipment_link", "order_number", "external_order_id", "external_shipment_id"]}),
        (_("At Sendcloud"), {"fields": ["remote_id", "shipment_uuid", "integration", "created_at", "updated_at"]}),
    ]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Parcel], search_term: str
    ) -> tuple[QuerySet[Parcel], bool]:
        from .shipment import as_uuid

        for word in search_term.split():
            match = (
                Q(tracking_number__icontains=word)
                | Q(order_number__icontains=word)
                | Q(external_order_id__icontains=word)
                | Q(external_shipment_id__icontains=word)
            )
            if word.isdecimal() and len(word) < 19:
                match |= Q(remote_id=int(word))
            if uuid_ := as_uuid(word):
                match |= Q(shipment_uuid=uuid_)
            queryset = queryset.filter(match)
        return queryset, False

    def panel(self, request: HttpRequest, obj: Parcel) -> dict[str, Any]:
        assignable = obj.shipment_id is None and self.has_assign_permission(request)
        return {"timeline": timeline_of(obj), "assign_url": self.url("assign", obj.pk) if assignable else ""}

    def get_urls(self) -> list[URLPattern]:
        return [self.path("<path:object_id>/assign/", self.assign_view, "assign"), *super().get_urls()]

    @method_decorator(csrf_protect)
    def assign_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Choose the shipment that a parcel belongs to: nobody guesses where several could be meant."""
        parcel = self.object_or_404(request, object_id)
        if not self.has_assign_permission(request):
            raise PermissionDenied
        if parcel.shipment_id is not None:
            messages.warning(request, gettext("This parcel belongs to a shipment already."))
            return HttpResponseRedirect(self.url("change", parcel.pk))
        number = (request.POST.get("number") or request.GET.get("number") or parcel.order_number).strip()
        candidates = self._candidates(parcel, number)
        form = AssignForm(request.POST if request.method == "POST" else None, candidates=candidates)
        if request.method == "POST" and form.is_valid():
            shipment = form.cleaned_data["shipment"]
            Parcel.objects.using(conf().DATABASE).filter(pk=parcel.pk, shipment__isnull=True).update(shipment=shipment)
            text = gettext("Assigned to the shipment %(shipment)s.") % {"shipment": shipment}
            log(request, [parcel], text)
            messages.success(request, text)
            return HttpResponseRedirect(self.url("change", parcel.pk))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Assign the parcel %(parcel)s") % {"parcel": parcel},
            "opts": self.opts,
            "original": parcel,
            "form": form,
            "number": number,
            "found": list(candidates),
            "media": self.media,
        }
        return TemplateResponse(request, "admin/django_sendcloud/assign.html", context)

    def _candidates(self, parcel: Parcel, number: str) -> QuerySet[Shipment]:
        shipments = Shipment.objects.using(conf().DATABASE).filter(integration=parcel.integration)
        if not number:
            return shipments.none()
        found = shipments.filter(Q(order_number=number) | Q(external_order_id=number)).order_by("-pk")
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
            return format_html("{} {}", row.order_number, badge(_("unknown here"), "off"))
        return link(self.url_of(row.shipment), row.order_number or row.shipment)

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
