"""Shipments: what Sendcloud has been told, and has answered."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import OutboxEntry, Parcel, Shipment, ShipmentStatus
from ..sync.record import record
from .actions import Rows, action, in_chunks, log, ring, tell
from .badges import SHIPMENT_TONES, badge, badge_with
from .base import EMPTY, ago, link
from .explain import ERRORS, explain, fields_of
from .orders import OrderAdmin
from .parcel import phase_badge, timeline_of

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["ShipmentAdmin"]


@action(_("Push again"), permission="push")
def push_again(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Tell Sendcloud anew of the orders behind these shipments, also where nothing changed."""
    orders: set[tuple[str, str]] = set()
    for chunk in in_chunks(rows):
        shipments = list(chunk)
        keys = sorted({(shipment.order_type, shipment.order_pk) for shipment in shipments} - orders)
        # What Sendcloud is known to have would be skipped; forgetting its digest sends it all the same.
        chunk.filter(status=ShipmentStatus.SYNCED).update(digest="")
        for order_type, group in itertools.groupby(keys, lambda key: key[0]):
            pks = [pk for _, pk in group]
            record(order_type, pks, ring=False)
            OutboxEntry.objects.using(conf().DATABASE).filter(order_type=order_type, order_pk__in=pks).retry()
        log(request, shipments, gettext("Pushed again."))
        orders.update(keys)
    ring("outbox")
    sentence = ngettext("%(number)d order is being pushed.", "%(number)d orders are being pushed.", len(orders))
    tell(request, len(orders), sentence % {"number": len(orders)})


class ShipmentAdmin(OrderAdmin[Shipment]):
    """Read-only: it mirrors what Sendcloud has. To change a shipment, change the order."""

    list_display = ["name", "status_and_problem", "parcel_badges", "told", "integration"]
    list_display_links = ["name"]
    list_filter = ["status", "integration"]
    list_select_related = ["integration"]
    search_fields = ["order_number"]
    search_help_text = _("Search by order number, external ids, shipment UUID or tracking number.")
    ordering = ["-pk"]
    actions = [push_again]
    page_actions = (push_again,)
    panel_template = "admin/django_sendcloud/includes/shipment_panel.html"
    readonly_fields = ["order_link", "status_badge"]
    fieldsets = [
        (None, {"fields": ["order_link", "status_badge", "integration", "told_at", "deleted_at", "created_at"]}),
        (_("Ids"), {"fields": ["order_number", "external_order_id", "external_shipment_id", "uuid"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Shipment]:
        return super().get_queryset(request).prefetch_related("parcels")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Shipment], search_term: str
    ) -> tuple[QuerySet[Shipment], bool]:
        for word in search_term.split():
            parcels = Parcel.objects.filter(tracking_number__iexact=word, shipment__isnull=False)
            match = (
                Q(order_number__icontains=word)
                | Q(external_order_id__icontains=word)
                | Q(external_shipment_id__icontains=word)
                | Q(order_pk=word)
                | Q(pk__in=parcels.values("shipment"))
            )
            if uuid_ := as_uuid(word):
                match |= Q(uuid=uuid_)
            queryset = queryset.filter(match)
        return queryset, False

    def panel(self, request: HttpRequest, obj: Shipment) -> dict[str, Any]:
        entry = (
            OutboxEntry.objects.using(conf().DATABASE).filter(order_type=obj.order_type, order_pk=obj.order_pk).first()
        )
        may_see_parcels = request.user.has_perm("django_sendcloud.view_parcel")
        may_see_outbox = request.user.has_perm("django_sendcloud.view_outboxentry")
        return {
            "explanation": ERRORS["rejected"] if obj.status == ShipmentStatus.REJECTED else None,
            "fields": fields_of(obj.errors),
            "code": "rejected",
            "order_url": self.order_url(obj),
            "payload_url": self.url("payload", obj.pk),
            "entry": entry if may_see_outbox else None,
            "entry_problem": explain(entry.error_code).title if entry and entry.error_code else "",
            "entry_url": self.url_of(entry) if entry else "",
            "parcels": [
                (parcel, self.url_of(parcel), phase_badge(parcel), timeline_of(parcel))
                for parcel in obj.parcels.prefetch_related(Prefetch("timeline")).order_by("is_return", "pk")
            ]
            if may_see_parcels
            else None,
        }

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("order"), ordering="order_number")
    def name(self, row: Shipment) -> str:
        number = row.order_number or row.external_order_id
        return (
            number
            if row.external_shipment_id in ("", row.external_order_id)
            else f"{number} / {row.external_shipment_id}"
        )

    @admin.display(description=_("status"), ordering="status")
    def status_badge(self, row: Shipment) -> SafeString:
        return badge(row.get_status_display(), SHIPMENT_TONES.get(row.status, "off"))

    @admin.display(description=_("status"), ordering="status")
    def status_and_problem(self, row: Shipment) -> SafeString:
        if row.status != ShipmentStatus.REJECTED:
            return self.status_badge(row)
        problems = [f"{field.label}: {' '.join(field.messages)}" for field in fields_of(row.errors)]
        return badge_with(self.status_badge(row), "", Truncator(" ".join(problems)).chars(160))

    @admin.display(description=_("parcels"))
    def parcel_badges(self, row: Shipment) -> Any:
        parcels = sorted(row.parcels.all(), key=lambda parcel: parcel.pk)
        badges = format_html_join(
            " ", "{}", ((link(self.url_of(parcel), phase_badge(parcel)),) for parcel in parcels[:5])
        )
        return badges or EMPTY

    @admin.display(description=_("last told"), ordering="told_at")
    def told(self, row: Shipment) -> Any:
        return ago(row.told_at)


def as_uuid(word: str) -> uuid.UUID | None:
    """The UUID that was typed, ``None`` if it is anything else."""
    try:
        return uuid.UUID(word)
    except ValueError:
        return None
