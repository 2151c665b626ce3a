"""Shipments: what Sendcloud has been told, and has answered."""

from __future__ import annotations

import itertools
import uuid
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import Prefetch, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import OutboxEntry, Parcel, Shipment, ShipmentStatus
from ..payloads import ShipmentPayload
from ..sync.remote import Busy, look_up, withdraw
from .actions import Question, Rows, action, in_chunks, log, ring, tell
from .badges import SHIPMENT_TONES, badge, badge_with
from .base import EMPTY, ago, link
from .comparison import compare
from .connect import FAILURES
from .explain import ERRORS, explain, explain_error, fields_of
from .orders import OrderAdmin, as_json, as_text, attempts_of, make_due
from .parcel import phase_badge, timeline_of

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["ShipmentAdmin"]

# Sendcloud is asked for each of them, while a person waits.
AT_ONCE = 20


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
            make_due(order_type, pks)
        log(request, shipments, gettext("Pushed again."))
        orders.update(keys)
    ring("outbox")
    sentence = ngettext("%(number)d order is being pushed.", "%(number)d orders are being pushed.", len(orders))
    tell(request, len(orders), sentence % {"number": len(orders)})


def _too_many(request: HttpRequest, rows: Rows) -> bool:
    if rows.count() <= AT_ONCE:
        return False
    text = gettext("Sendcloud is asked for each of them: please choose at most %(number)d at once.")
    messages.error(request, text % {"number": AT_ONCE})
    return True


def _failed(model_admin: ShipmentAdmin, request: HttpRequest, shipment: Shipment, error: Exception) -> None:
    explanation = explain_error(error)
    title = f"{shipment}: {explanation.title}"
    model_admin.report(request, messages.ERROR, title, explanation.why, explanation.cure, f"({error})")


@action(_("Refresh from Sendcloud"), permission="push")
def refresh(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Look whether Sendcloud still has them as they were told, and tell anew what it has not."""
    if _too_many(request, rows):
        return
    alike = 0
    for shipment in rows.select_related("integration__account"):
        try:
            theirs = look_up(shipment)
        except FAILURES as error:
            _failed(model_admin, request, shipment, error)
            continue
        log(request, [shipment], gettext("Refreshed from Sendcloud."))
        gone = shipment.status == ShipmentStatus.DELETED
        at = theirs.shipment_updated_at if theirs else None
        same = at is not None and int(at.timestamp()) == shipment.stamp
        if (theirs is None) if gone else same:
            alike += 1
            continue
        Shipment.objects.using(conf().DATABASE).filter(pk=shipment.pk).update(digest="")
        if gone:
            text = gettext("%(shipment)s is there again, though it was deleted.")
            Shipment.objects.using(conf().DATABASE).filter(pk=shipment.pk).update(status=ShipmentStatus.PENDING)
        elif theirs is None:
            text = gettext("Sendcloud does not have %(shipment)s any more.")
        else:
            text = gettext("Sendcloud has another version of %(shipment)s.")
        make_due(shipment.order_type, [shipment.order_pk])
        follow = gettext("The order is pushed again as it is now.")
        messages.warning(request, f"{text % {'shipment': shipment}} {follow}")
    ring("outbox")
    if alike:
        sentence = ngettext("%(number)d is as it was told.", "%(number)d are as they were told.", alike)
        messages.success(request, sentence % {"number": alike})


def _ask_delete(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> Question:
    return Question(
        [_("They disappear from Sendcloud's list of incoming orders. Labels that were made stay valid.")],
        [
            _(
                "An order that is still to be shipped comes back as soon as it changes. To take it back for good, "
                "cancel it in the shop: then it is deleted at Sendcloud by itself."
            )
        ],
        rows.exclude(status=ShipmentStatus.DELETED),
    )


@action(
    _("Delete at Sendcloud…"),
    permission="delete_remote",
    ask=_ask_delete,
    offered=lambda shipment: shipment.status != ShipmentStatus.DELETED,
    emphasis="danger",
)
def delete_at_sendcloud(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Delete them there, whatever their orders say."""
    if _too_many(request, rows):
        return
    number = 0
    for shipment in rows.exclude(status=ShipmentStatus.DELETED).select_related("integration__account"):
        try:
            withdraw(shipment)
        except Busy:
            text = gettext("%(shipment)s is being pushed at the moment. Please try again in a minute.")
            messages.warning(request, text % {"shipment": shipment})
        except FAILURES as error:
            _failed(model_admin, request, shipment, error)
        else:
            log(request, [shipment], gettext("Deleted at Sendcloud."))
            number += 1
    ring("outbox")
    sentence = ngettext(
        "%(number)d shipment is deleted at Sendcloud.", "%(number)d shipments are deleted at Sendcloud.", number
    )
    tell(request, number, sentence % {"number": number})


class ShipmentAdmin(OrderAdmin[Shipment]):
    """Read-only: it mirrors what Sendcloud has. To change a shipment, change the order."""

    list_display = ["name", "status_and_problem", "parcel_badges", "told", "integration"]
    list_display_links = ["name"]
    list_filter = ["status", "integration"]
    list_select_related = ["integration"]
    search_fields = ["order_number"]
    search_help_text = _("Search by order number, external ids, shipment UUID or tracking number.")
    ordering = ["-pk"]
    actions = [push_again, refresh, delete_at_sendcloud]
    page_actions = (push_again, refresh, delete_at_sendcloud)
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
            "attempts": attempts_of(obj.order_type, obj.order_pk),
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

    # -- what would be sent ---------------------------------------------------------------------

    def previews(self, row: Shipment, payloads: list[ShipmentPayload]) -> dict[str, Any]:
        """This shipment beside what Sendcloud has of it now; the order's others as they are."""
        ours = next((payload for payload in payloads if payload.key == _key(row)), None)
        others = [as_text(payload) for payload in payloads if payload is not ours]
        if ours is None:
            gone = gettext("The order has no such shipment any more. What Sendcloud still has of it is deleted there.")
            return {"nothing": gone, "others": others}
        known = row.status == ShipmentStatus.SYNCED and row.digest == ours.digest()
        shown = {"payloads": [as_text(ours)], "others": others, "nothing_new": known}
        try:
            theirs = look_up(row)
        except FAILURES as error:
            return {**shown, "explanation": explain_error(error), "detail": str(error), "unread": True}
        if theirs is None:
            return {**shown, "nothing_new": False, "nothing_there": True}
        return {**shown, "comparison": compare(as_json(ours), theirs.raw)}

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


def _key(shipment: Shipment) -> tuple[str, str]:
    return shipment.external_order_id, shipment.external_shipment_id


def as_uuid(word: str) -> uuid.UUID | None:
    """The UUID that was typed, ``None`` if it is anything else."""
    try:
        return uuid.UUID(word)
    except ValueError:
        return None
