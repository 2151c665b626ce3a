"""Admin of shipments: orders as pushed, and Sendcloud's answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Exists, OuterRef, Prefetch, Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...enums import ApiGeneration
from ...exceptions import RateLimited
from ...models import Integration, OutboxEntry, Parcel, Shipment, ShipmentStatus
from ...parcels.delivery_tasks import any_task, task_of
from ...parcels.matching import order_ids
from ...parcels.poll import poll_shipment
from ...payloads import ShipmentPayload, v3
from ...sync.on_demand import Busy, look_up, withdraw
from ...sync.outcomes import reaction_to
from ..actions.action import Question, Rows, action, in_chunks, notify, report_count
from ..actions.history import log
from ..explanations.errors import ERRORS, explain_error, fields_of
from ..explanations.failures import FAILURES, RATE_LIMIT_REACHED
from ..explanations.labels import changed_fields, explain_conflict
from ..lists.filters import DeliveryFilter, ShipmentStateFilter, age_filter
from ..lists.search import as_uuids, spellings
from ..outbox.admin import (
    ask_push_all_with_problem,
    assume_integration,
    entry_badge,
    entry_badge_with_problem,
    explained,
    has_problem,
    in_use_of,
)
from ..outbox.order_rows import OrderRowAdmin, api_of, as_json, as_text, attempts_of, notes_on
from ..outbox.pushing import make_due, push_entries, push_orders
from ..parcels.admin import phase_badge, timeline_of
from ..parcels.cancelling import cancel_action, cancellable, keep_action
from ..parcels.labels import label_action, printable
from ..permissions import Permissions
from ..ui.badges import SHIPMENT_TONES, badge, badge_with
from ..ui.cells import EMPTY, ago, link
from .comparison import compare
from .panel_links import incoming_order

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["ShipmentAdmin"]

# Each of them costs a request while the operator waits.
MAX_REFRESHED = 20
# Parcels in a row of the list.
SHOWN = 5


def _orders_of(rows: Rows) -> int:
    return rows.order_by().values("order_type", "order_pk").distinct().count()


def _ask_push(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> Question:
    number = _orders_of(rows)
    title = ngettext("Push %(number)d order now", "Push %(number)d orders now", number)
    return Question(
        [
            _("Each is sent again, as it is now, even if nothing changed."),
            _("Orders that are still wrong will be rejected again."),
        ],
        title=title % {"number": number},
    )


@action(_("Push now"), permission="push", ask=_ask_push, asks_for_one=False)
def push_again(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Push the orders of these shipments again, also unchanged ones."""
    push_orders(request, rows, lambda shipment: shipment.ref, _("Pushed again."))


def _entries_of(rows: Sequence[Shipment]) -> QuerySet[OutboxEntry]:
    """Return the outbox entries of these shipments' orders, found by one index."""
    return OutboxEntry.objects.filter(
        order_type__in={row.order_type for row in rows}, order_pk__in={row.order_pk for row in rows}
    )


def _ask_push_all_with_problem(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> Question:
    of_these = Exists(rows.filter(order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk")))
    return ask_push_all_with_problem(request, OutboxEntry.objects.filter(of_these))


@action(
    _("Push all with the same problem…"),
    permission="retry",
    ask=_ask_push_all_with_problem,
    offered=lambda shipment: (entry := _entry_of(shipment)) is not None and has_problem(entry),
    emphasis="quiet",
)
def push_all_with_problem(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Push all orders again that share a problem with these."""
    for chunk in in_chunks(rows):
        # Entries disappear on success; the shipments keep the history.
        orders = set(chunk.values_list("order_type", "order_pk"))
        types, keys = zip(*orders, strict=True)
        found = Shipment.objects.filter(order_type__in=set(types), order_pk__in=keys)
        log(request, [each for each in found if (each.order_type, each.order_pk) in orders], _("Pushed again."))
    push_entries(request, rows)


def _failed(model_admin: ShipmentAdmin, request: HttpRequest, shipment: Shipment, error: Exception, doing: Any) -> None:
    """Report the failure and record the attempt: a broken request may have arrived."""
    if isinstance(error, RateLimited):
        messages.warning(request, f"{shipment}: {RATE_LIMIT_REACHED}")
        return
    explanation = explain_error(error)
    title = f"{shipment}: {explanation.title}"
    model_admin.report(request, messages.ERROR, title, explanation.why, explanation.advice, f"({error})")
    log(request, [shipment], doing)


def _ask_refresh(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> Question:
    number = rows.count()
    title = ngettext(
        "Refresh %(number)d shipment from Sendcloud", "Refresh %(number)d shipments from Sendcloud", number
    )
    return Question(
        [
            _("Sendcloud is asked for their current data and the state of their parcels."),
            _("Updates of their parcels are taken over."),
            _("Orders that Sendcloud lost, or has in another version, are sent again as they are now."),
        ],
        title=title % {"number": number},
        button=_("Refresh"),
    )


@action(_("Refresh from Sendcloud…"), permission="push", ask=_ask_refresh, most=MAX_REFRESHED, emphasis="quiet")
def refresh(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Compare these with Sendcloud, push what is missing or differs, and take over parcels."""
    alike = updates = 0
    for shipment in rows.select_related("integration__account"):
        try:
            theirs = look_up(shipment)
            updates += poll_shipment(shipment)
        except FAILURES as error:
            _failed(model_admin, request, shipment, error, _("Refreshing from Sendcloud failed."))
            continue
        log(request, [shipment], _("Refreshed from Sendcloud."))
        gone = shipment.status == ShipmentStatus.DELETED
        at = theirs.shipment_updated_at if theirs else None
        same = at is not None and int(at.timestamp()) == shipment.stamp
        if (theirs is None) if gone else same:
            alike += 1
            continue
        if theirs is None and not _was_accepted(shipment):
            text = gettext("Sendcloud does not have %(shipment)s yet: it has never accepted it.")
            messages.warning(request, text % {"shipment": shipment})
            continue
        Shipment.objects.filter(pk=shipment.pk).update(digest="")
        if gone:
            text = gettext("%(shipment)s is there again, though it was deleted.")
            Shipment.objects.filter(pk=shipment.pk).update(status=ShipmentStatus.PENDING)
        elif theirs is None:
            text = gettext("Sendcloud does not have %(shipment)s any more.")
        else:
            text = gettext("Sendcloud has another version of %(shipment)s.")
        make_due(shipment.order_type, [shipment.order_pk])
        follow = gettext("The order is pushed again as it is now.")
        messages.warning(request, f"{text % {'shipment': shipment}} {follow}")
    notify("outbox")
    if alike:
        sentence = ngettext("%(number)d is unchanged at Sendcloud.", "%(number)d are unchanged at Sendcloud.", alike)
        messages.success(request, sentence % {"number": alike})
    if updates:
        sentence = ngettext("%(number)d parcel has an update.", "%(number)d parcels have updates.", updates)
        messages.success(request, sentence % {"number": updates})


def _was_accepted(shipment: Shipment) -> bool:
    """Return whether Sendcloud ever accepted it: accepted shipments have an id."""
    return shipment.uuid is not None or bool(shipment.digest)


def _is_there(shipment: Shipment) -> bool:
    return shipment.status != ShipmentStatus.DELETED


def _ask_delete(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> Question:
    there = rows.exclude(status=ShipmentStatus.DELETED)
    number = there.count()
    left = rows.count() - number
    title = ngettext("Delete %(number)d shipment at Sendcloud", "Delete %(number)d shipments at Sendcloud", number)
    comes_back = _(
        "An order that is still to be shipped comes back as soon as it changes. To remove it for good, "
        "cancel it in the shop: it is then deleted at Sendcloud automatically."
    )
    left_out = ngettext(
        "%(number)d is left out: it is deleted at Sendcloud already.",
        "%(number)d are left out: they are deleted at Sendcloud already.",
        left,
    )
    gone = _("They disappear from Sendcloud's list of incoming orders. Labels that were made stay valid.")
    return Question(
        [gone] if number else [],
        [*([comes_back] if number else []), *([left_out % {"number": left}] if left else [])],
        rows=there,
        title=title % {"number": number} if number else "",
        button=_("Delete at Sendcloud"),
    )


@action(
    _("Delete at Sendcloud…"),
    permission="delete_remote",
    ask=_ask_delete,
    offered=_is_there,
    emphasis="danger",
    most=MAX_REFRESHED,
)
def delete_at_sendcloud(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Delete these at Sendcloud, whatever the orders say."""
    number = 0
    for shipment in rows.select_related("integration__account"):
        try:
            withdraw(shipment)
        except Busy:
            text = gettext("%(shipment)s is being pushed at the moment. Please try again in a minute.")
            messages.warning(request, text % {"shipment": shipment})
        except FAILURES as error:
            unknown = _("Deleting at Sendcloud was interrupted: Sendcloud may have received it.")
            doing = unknown if reaction_to(error).unknown else _("Deleting at Sendcloud failed.")
            _failed(model_admin, request, shipment, error, doing)
        else:
            log(request, [shipment], _("Deleted at Sendcloud."))
            number += 1
    notify("outbox")
    sentence = ngettext(
        "%(number)d shipment is deleted at Sendcloud.", "%(number)d shipments are deleted at Sendcloud.", number
    )
    report_count(request, number, sentence % {"number": number})


def _parcels_of(model_admin: ShipmentAdmin, rows: Rows) -> list[int]:
    place = {pk: number for number, pk in enumerate(rows.values_list("pk", flat=True))}
    found = printable(Parcel.objects.filter(shipment__in=rows.order_by().values("pk")))
    keys = found.values_list("pk", "shipment")
    return [pk for pk, _shipment in sorted(keys, key=lambda row: (place.get(row[1] or 0, 0), row[0]))]


def _owners(model_admin: ShipmentAdmin, request: HttpRequest, parcels: list[Parcel]) -> QuerySet[Shipment]:
    return Shipment.objects.filter(pk__in={parcel.shipment_id for parcel in parcels})


print_labels = label_action(
    "print_labels",
    _("Labels"),
    _parcels_of,
    belongs_to="shipment",
    owners=_owners,
    offered=lambda shipment: printable(shipment.parcels.all()).exists(),
)


def _cancellable(model_admin: ShipmentAdmin, rows: Rows) -> QuerySet[Parcel]:
    return cancellable(Parcel.objects.filter(shipment__in=rows.order_by().values("pk")))


def _in_conflict(model_admin: ShipmentAdmin, rows: Rows) -> QuerySet[Shipment]:
    found: QuerySet[Shipment] = rows.with_label_conflict()  # type: ignore[attr-defined]  # ShipmentQuerySet
    return found


cancel_label = cancel_action(
    "cancel_label", _cancellable, owners=_owners, offered=lambda shipment: cancellable(shipment.parcels.all()).exists()
)
keep = keep_action("keep_label", _in_conflict, offered=lambda shipment: bool(shipment.label_conflict))


def _is_open(shipment: Shipment) -> bool:
    return task_of(shipment, timezone.now()) is not None


def _ask_handled(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> Question:
    # Marked early, a delivery would not become a task later.
    tasks = rows.filter(any_task(timezone.now()))
    number = tasks.count()
    left = rows.count() - number
    title = ngettext(
        "Mark the delivery of %(number)d shipment as handled",
        "Mark the deliveries of %(number)d shipments as handled",
        number,
    )
    left_out = ngettext(
        "%(number)d is left out: its delivery is not a task.",
        "%(number)d are left out: their deliveries are not tasks.",
        left,
    )
    return Question(
        [_("They are not counted as tasks any more, until the state of their parcels changes.")] if number else [],
        [left_out % {"number": left}] if left else [],
        rows=tasks,
        title=title % {"number": number} if number else "",
    )


@action(
    _("Mark as handled"), permission="push", ask=_ask_handled, asks_for_one=False, offered=_is_open, emphasis="quiet"
)
def mark_handled(model_admin: ShipmentAdmin, request: HttpRequest, rows: Rows) -> None:
    """Take the deliveries of these shipments off the overview."""
    number = 0
    for chunk in in_chunks(rows):
        number += chunk.update(delivery_handled=True)
        log(request, chunk, _("Marked the delivery as handled."))
    sentence = ngettext(
        "%(number)d delivery is marked as handled.", "%(number)d deliveries are marked as handled.", number
    )
    report_count(request, number, sentence % {"number": number})


def _entry_of(shipment: Shipment) -> OutboxEntry | None:
    """Return the order's outbox entry, loaded with the row; ``None`` if the operator may not see it."""
    entry: OutboxEntry | None = vars(shipment).get("_entry")
    return entry


class ShipmentAdmin(OrderRowAdmin[Shipment]):
    """Admin of shipments. Read-only: it mirrors Sendcloud. To change a shipment, change the order."""

    list_display = ["name", "state_and_problem", "parcel_badges", "last_pushed", "integration"]
    list_display_links = ["name"]
    list_filter = [
        ShipmentStateFilter,
        DeliveryFilter,
        "integration",
        age_filter("last_pushed_at", _("last sent"), never=_("not sent")),
    ]
    exported = (
        "order_number",
        "external_order_id",
        "external_shipment_id",
        "status",
        "delivery",
        "integration",
        "last_pushed_at",
        "deleted_at",
        "created_at",
    )
    list_select_related = ["integration"]
    search_fields = ["order_number"]
    search_help_text = _("Search by order number, external ids, shipment UUID or tracking number.")
    ordering = ["-pk"]
    actions = [
        push_again,
        push_all_with_problem,
        refresh,
        print_labels,
        keep,
        cancel_label,
        mark_handled,
        delete_at_sendcloud,
    ]
    page_actions = (
        push_again,
        push_all_with_problem,
        print_labels,
        keep,
        cancel_label,
        mark_handled,
        refresh,
        delete_at_sendcloud,
    )
    panel_template = "admin/django_sendcloud/shipments/panel.html"
    below_template = "admin/django_sendcloud/shipments/below.html"
    readonly_fields = ["order_link", "state_badge", "integration_link"]
    fieldsets = [
        (
            None,
            {"fields": ["order_link", "state_badge", "integration_link", "last_pushed_at", "deleted_at", "created_at"]},
        ),
        (_("Ids"), {"fields": ["order_number", "external_order_id", "external_shipment_id", "uuid"]}),
    ]
    empty_text = _("Orders sent to Sendcloud are listed here, with its answers and their parcels.")

    # -- permissions ----------------------------------------------------------------------------

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Return whether the operator may push orders by problem, which shows the outbox."""
        return self.has_push_permission(request) and self.permissions(request).may_see(OutboxEntry)

    def has_print_permission(self, request: HttpRequest) -> bool:
        return super().has_print_permission(request) and self.permissions(request).may_see(Parcel)

    def has_cancel_label_permission(self, request: HttpRequest) -> bool:
        return super().has_cancel_label_permission(request) and self.permissions(request).may_see(Parcel)

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if self.permissions(request).may_see(Parcel):
            return columns
        return [column for column in columns if column != "parcel_badges"]

    def get_list_filter(self, request: HttpRequest) -> Any:
        filters = super().get_list_filter(request)
        if not self.permissions(request).may_see(Parcel):
            filters = [each for each in filters if each is not DeliveryFilter]
        if self.permissions(request).may_see(OutboxEntry):
            return filters
        # Without the outbox, the shipment's own status is all the operator sees.
        return ["status" if each is ShipmentStateFilter else each for each in filters]

    # -- related rows ---------------------------------------------------------------------------

    def complete(self, request: HttpRequest, rows: Sequence[Shipment]) -> None:
        super().complete(request, rows)
        if rows and self.permissions(request).may_see(OutboxEntry):
            found = _entries_of(rows).select_related("integration")
            entries = {(entry.order_type, entry.order_pk): entry for entry in found}
            assume_integration(entries.values(), in_use_of(request))
            for row in rows:
                vars(row)["_entry"] = entries.get((row.order_type, row.order_pk))

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changes = super().get_changelist_instance(request)
        if "parcel_badges" in changes.list_display:
            prefetch_related_objects(list(changes.result_list), "parcels")
        return changes

    def search_exactly(self, words: Sequence[str], permissions: Permissions) -> Sequence[QuerySet[Any, Any]]:
        shipments = Shipment.objects
        numbers, uuids = spellings(*words), as_uuids(words)
        ids = {order_id for each in numbers for order_id in order_ids(each)}
        # The ids are unique within an integration, so their index begins with it.
        integrations = list(Integration.objects.values_list("pk", flat=True))
        found = [
            shipments.filter(order_number__in=numbers),
            shipments.filter(integration__in=integrations, external_order_id__in=ids),
            shipments.filter(order_pk__in=[*words, *map(str, uuids)]),
        ]
        if uuids:
            found.append(shipments.filter(uuid__in=uuids))
        keys = [each.values_list("pk", flat=True) for each in found]
        if permissions.may_see(Parcel):
            parcels = Parcel.objects.filter(tracking_number__in=numbers)
            keys.append(parcels.filter(shipment__isnull=False).values_list("shipment", flat=True))  # type: ignore[arg-type]
        return keys

    def search_within(self, word: str, permissions: Permissions) -> Q:
        return (
            Q(order_number__icontains=word)
            | Q(external_order_id__icontains=word)
            | Q(external_shipment_id__icontains=word)
        )

    def panel(self, request: HttpRequest, obj: Shipment) -> dict[str, Any]:
        permissions, entry = self.permissions(request), _entry_of(obj)
        context: dict[str, Any] = {
            "order_url": self.order_url(obj),
            "payload_url": self.url("payload", obj.pk),
            "details_withheld": not self.has_payload_permission(request),
        }
        if entry is not None:
            context |= {"entry_waits": True, **explained(entry)}
        elif obj.status == ShipmentStatus.REJECTED:
            context |= {"explanation": ERRORS["rejected"], "fields": fields_of(obj.errors), "code": "rejected"}
        context["sc_links"] = self._links(obj, permissions.url(entry))
        if permissions.may_see(OutboxEntry):
            context["attempts"] = attempts_of(obj.order_type, obj.order_pk)
        if permissions.may_see(Parcel):
            parcels = obj.parcels.prefetch_related(Prefetch("timeline")).order_by("is_return", "pk")
            if obj.label_conflict:
                context["conflict"] = explain_conflict(obj, list(parcels))
                context["conflict_fields"] = changed_fields(obj)
            context["parcels"] = [
                (parcel, permissions.url(parcel), phase_badge(parcel), timeline_of(parcel)) for parcel in parcels
            ]
        return context

    def _links(self, shipment: Shipment, entry_url: str) -> list[tuple[str, Any]]:
        there = _is_there(shipment) and _was_accepted(shipment)
        links = [
            (entry_url, _("Show it in the outbox")),
            (incoming_order(shipment) if there else "", _("Open in Sendcloud's panel")),
        ]
        return [(url, label) for url, label in links if url]

    # -- payload --------------------------------------------------------------------------------

    def previews(self, row: Shipment, payloads: list[ShipmentPayload]) -> dict[str, Any]:
        """Return this shipment compared with Sendcloud's, and the order's others as they are."""
        ours = next((payload for payload in payloads if payload.key == _key(row)), None)
        others = [as_text(payload, row.integration) for payload in payloads if payload is not ours]
        if ours is None:
            gone = gettext("The order has no such shipment any more. What Sendcloud still has of it is deleted there.")
            return {"nothing": gone, "others": others}
        api = api_of(row.integration)
        known = row.status == ShipmentStatus.SYNCED and row.digest == ours.digest(api)
        shown = {
            "payloads": [as_text(ours, row.integration)],
            "others": others,
            "nothing_new": known,
            "notes": notes_on([ours], row.integration),
        }
        try:
            theirs = look_up(row)
        except FAILURES as error:
            return {**shown, "explanation": explain_error(error), "detail": str(error), "unread": True}
        if theirs is None:
            return {**shown, "nothing_new": False, "nothing_there": True}
        mine, other = as_json(ours, row.integration), theirs.raw
        if api is ApiGeneration.V3:
            mine, other = v3.read(mine), v3.read(other)
        return {**shown, "comparison": compare(mine, other)}

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("order"), ordering="order_number")
    def name(self, row: Shipment) -> str:
        number = row.order_number or row.external_order_id
        return (
            number
            if row.external_shipment_id in ("", row.external_order_id)
            else f"{number} / {row.external_shipment_id}"
        )

    @admin.display(description=_("state"), ordering="status")
    def state_badge(self, row: Shipment) -> SafeString:
        entry = _entry_of(row)
        if entry is not None:
            return entry_badge(entry)
        return badge(row.get_status_display(), SHIPMENT_TONES.get(row.status, "off"))

    @admin.display(description=_("state"), ordering="status")
    def state_and_problem(self, row: Shipment) -> SafeString:
        entry = _entry_of(row)
        if entry is not None:
            return entry_badge_with_problem(entry)
        if row.status != ShipmentStatus.REJECTED:
            return self.state_badge(row)
        problems = [f"{field.label}: {' '.join(field.messages)}" for field in fields_of(row.errors)]
        return badge_with(self.state_badge(row), "", Truncator(" ".join(problems)).chars(160))

    @admin.display(description=_("parcels"))
    def parcel_badges(self, row: Shipment) -> Any:
        parcels = sorted(row.parcels.all(), key=lambda parcel: parcel.pk)
        permissions = self.permissions_of(row)
        badges = format_html_join(
            " ", "{}", ((link(permissions.url(parcel), phase_badge(parcel)),) for parcel in parcels[:SHOWN])
        )
        if len(parcels) > SHOWN:
            more = len(parcels) - SHOWN
            text = ngettext("and %(number)d more", "and %(number)d more", more) % {"number": more}
            return format_html("{} <small>{}</small>", badges, text)
        return badges or EMPTY

    @admin.display(description=_("last sent"), ordering="last_pushed_at")
    def last_pushed(self, row: Shipment) -> Any:
        return ago(row.last_pushed_at)


def _key(shipment: Shipment) -> tuple[str, str]:
    return shipment.external_order_id, shipment.external_shipment_id
