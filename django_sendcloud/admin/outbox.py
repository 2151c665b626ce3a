"""The outbox: what Sendcloud still has to be told, and why it has not been."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..adapters import registry
from ..conf import conf
from ..models import EntryState, OutboxEntry, Shipment
from .actions import Question, Rows, action, asked, in_chunks, log, ring, tell
from .badges import ENTRY_TONES, badge, badge_with
from .base import EMPTY, Sight, in_time
from .explain import explain, explain_entry, fields_of
from .filters import EntryStateFilter, IntegrationFilter, ProblemFilter, age_filter
from .orders import OrderAdmin, attempts_of, know_numbers
from .search import spellings

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["OutboxAdmin", "ask_push_alike", "entry_badge", "entry_badge_with_problem", "retry"]

# What no correction of an order mends.
FOR_THE_DEVELOPER = frozenset({"adapter_error", "duplicate_shipment", "too_many_shipments"})


def retry(request: HttpRequest, rows: Rows) -> None:
    """Make these due at once, with all counters at zero; log it, wake the workers, and say how many they were."""
    number = 0
    for chunk in in_chunks(rows):
        entries = list(chunk)
        know_numbers(entries)
        number += OutboxEntry.objects.using(conf().DATABASE).filter(pk__in=[entry.pk for entry in entries]).retry()
        log(request, entries, _("Pushed again."))
    ring("outbox")
    sentence = ngettext("%(number)d order is being pushed.", "%(number)d orders are being pushed.", number)
    tell(request, number, sentence % {"number": number})


def _push_title(number: int) -> str:
    return ngettext("Push %(number)d order now", "Push %(number)d orders now", number) % {"number": number}


def _ask_push(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> Question:
    return Question(
        [
            _("They are sent as they are now, before what waits its turn."),
            _("Where the cause of a problem has not been mended, they come back with the same problem."),
        ],
        title=_push_title(rows.count()),
    )


@action(_("Push now"), permission="push", ask=_ask_push, asks_for_one=False)
def push_now(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> None:
    """Make these due at once, whatever they wait for."""
    retry(request, rows)


def ask_push_alike(codes: Collection[str]) -> Question:
    """Ask whether all orders with these problems are to be pushed again, and say how many have which."""
    alike = OutboxEntry.objects.using(conf().DATABASE).filter(error_code__in=codes)
    counts = list(alike.order_by("error_code").values_list("error_code").annotate(number=Count("pk")))
    consequences: list[StrOrPromise] = []
    for code, number in counts:
        sentence = ngettext(
            "%(number)d order has the problem “%(problem)s”. It is pushed now, selected or not.",
            "%(number)d orders have the problem “%(problem)s”. All of them are pushed now, selected or not.",
            number,
        )
        consequences.append(sentence % {"number": number, "problem": explain(code).title})
    if counts:
        consequences.append(_("Where the cause has not been mended, they come back with the same problem."))
    total = sum(number for _code, number in counts)
    return Question(consequences, rows=alike, title=_push_title(total), button=_("Push all"), criteria=sorted(codes))


def _ask_push_alike(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> Question:
    codes = asked(request) or rows.order_by().values_list("error_code", flat=True).distinct()
    return ask_push_alike(set(codes) - {""})


@action(
    _("Push all with the same problem…"),
    permission="push",
    ask=_ask_push_alike,
    offered=lambda entry: bool(entry.error_code),
    emphasis="quiet",
)
def push_all_alike(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> None:
    """Push everything again that has the problem of one of these."""
    retry(request, rows)


def entry_badge(entry: OutboxEntry) -> SafeString:
    """What an entry waits for, in a word or two."""
    if entry.state == EntryState.PENDING:
        if entry.is_leased:
            return badge(_("being pushed"), "busy")
        if entry.error_code and not explain(entry.error_code).heals:
            return badge(_("held up"), "bad")
        if entry.error_code:
            return badge(_("will be tried again"), "warn")
        if entry.gone:
            return badge(_("to be deleted"), "busy")
    if entry.state == EntryState.REJECTED and entry.error_code in FOR_THE_DEVELOPER:
        return badge(_("needs the developer"), "bad")
    return badge(entry.get_state_display(), ENTRY_TONES.get(entry.state, "off"))


def entry_badge_with_problem(entry: OutboxEntry) -> SafeString:
    """The same, with what is wrong below it: the problem, and the first of its fields."""
    if not entry.error_code:
        return entry_badge(entry)
    problems = fields_of(entry.error_fields)
    detail = ""
    if problems:
        detail = Truncator(f"{problems[0].label}: {' '.join(problems[0].messages)}").chars(120)
    if len(problems) > 1:
        detail += gettext(" (and %(number)d more)") % {"number": len(problems) - 1}
    # Of what was given up, the badge says so, and the problem why.
    return badge_with(entry_badge(entry), explain(entry.error_code).title, detail)


class OutboxAdmin(OrderAdmin[OutboxEntry]):
    """Read-only: an entry says only *look at this order again*, so there is nothing in it to edit."""

    list_display = ["entry", "state_and_problem", "due", "waits_for"]
    list_display_links = ["entry"]
    list_filter = [
        EntryStateFilter,
        ProblemFilter,
        ("integration", IntegrationFilter),
        age_filter("recorded_at", _("waiting since")),
    ]
    list_select_related = ["integration"]
    search_fields = ["order_number"]
    search_help_text = _("Search by order number or order key.")
    ordering = ["due_at", "pk"]
    actions = [push_now, push_all_alike]
    page_actions = (push_now, push_all_alike)
    panel_template = "admin/django_sendcloud/includes/outbox_panel.html"
    below_template = "admin/django_sendcloud/includes/attempts.html"
    readonly_fields = ["order_link", "state_badge", "waits_for", "due", "tries"]
    integration_column = "waits_for"
    counted_as = (_("outbox entry"), _("outbox entries"))
    nothing_yet = _(
        "Orders that changed stand here until Sendcloud knows of it: for seconds as a rule, and longer where something "
        "is wrong. It is empty because everything went out."
    )

    def get_fieldsets(self, request: HttpRequest, obj: OutboxEntry | None = None) -> Any:
        shown = ["order_link", "state_badge", "waits_for", "due"]
        if obj is not None and obj.state == EntryState.PENDING and self.tries(obj):
            shown.append("tries")
        return [
            (None, {"fields": shown}),
            (_("Times"), {"fields": ["recorded_at", "changed_at", "failing_since"]}),
        ]

    def complete(self, request: HttpRequest, rows: Sequence[OutboxEntry]) -> None:
        super().complete(request, rows)
        know_numbers(rows)

    def search_exactly(self, word: str, sight: Sight) -> Sequence[QuerySet[Any, Any]]:
        entries = OutboxEntry.objects.using(conf().DATABASE)
        numbers = spellings(word)
        told = Shipment.objects.using(conf().DATABASE).filter(order_number__in=numbers)
        keys: dict[str, set[str]] = {}
        for order_type, key in told.values_list("order_type", "order_pk")[:100]:
            keys.setdefault(order_type, set()).add(key)
        for adapter in registry:
            mine = keys.setdefault(str(adapter.model._meta.label_lower), set())
            mine |= {word, word.lower()}
            if adapter.number_field:
                orders = adapter.model._base_manager.filter(**{f"{adapter.number_field}__in": numbers})
                mine |= {str(pk) for pk in orders.values_list("pk", flat=True)[:100]}
        found = [entries.filter(order_number__in=numbers)]
        found += [entries.filter(order_type=order_type, order_pk__in=mine) for order_type, mine in keys.items()]
        return [each.values_list("pk", flat=True) for each in found]

    def search_within(self, word: str, sight: Sight) -> Q:
        # The number of an order may be known from its shipments alone.
        told = Shipment.objects.filter(order_number__icontains=word).values("order_pk")
        return Q(order_number__icontains=word) | Q(order_pk__icontains=word) | Q(order_pk__in=told)

    def panel(self, request: HttpRequest, obj: OutboxEntry) -> dict[str, Any]:
        return {
            "explanation": explain_entry(obj.state, obj.error_code) if obj.error_code else None,
            "fields": fields_of(obj.error_fields),
            "attempts": attempts_of(obj.order_type, obj.order_pk),
            "detail": obj.error_detail,
            "code": obj.error_code,
            "details_withheld": not self.has_payload_permission(request),
            "order_url": self.order_url(obj),
            "payload_url": self.url("payload", obj.pk),
        }

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("order"), ordering="order_number")
    def entry(self, row: OutboxEntry) -> str:
        return Truncator(row.order_number).chars(24)

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: OutboxEntry) -> SafeString:
        return entry_badge(row)

    @admin.display(description=_("state"), ordering="state")
    def state_and_problem(self, row: OutboxEntry) -> SafeString:
        return entry_badge_with_problem(row)

    @admin.display(description=_("waits for"), ordering="integration")
    def waits_for(self, row: OutboxEntry) -> Any:
        return row.integration or EMPTY

    @admin.display(description=_("due"), ordering="due_at")
    def due(self, row: OutboxEntry) -> Any:
        if row.state != EntryState.PENDING:
            return _("when it changes")
        if row.is_leased:
            return _("now")
        return in_time(max(row.due_at, row.not_before))

    @admin.display(description=_("failed attempts"), ordering="failures")
    def tries(self, row: OutboxEntry) -> int:
        return row.failures + max(0, row.attempts - 1)
