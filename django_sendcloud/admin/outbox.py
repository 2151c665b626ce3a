"""The outbox: what Sendcloud still has to be told, and why it has not been."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..models import EntryState, OutboxEntry, Shipment
from .actions import Question, Rows, action, in_chunks, log, ring, tell
from .badges import ENTRY_TONES, badge, badge_with
from .base import EMPTY, in_time
from .explain import explain, fields_of
from .filters import EntryStateFilter, IntegrationFilter, ProblemFilter
from .orders import OrderAdmin, attempts_of

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["OutboxAdmin", "entry_badge", "retry"]


def retry(request: HttpRequest, rows: Rows) -> None:
    """Make these due at once, with all counters at zero; log it, wake the workers, and say how many they were."""
    number = 0
    for chunk in in_chunks(rows):
        entries = list(chunk)
        number += OutboxEntry.objects.using(conf().DATABASE).filter(pk__in=[entry.pk for entry in entries]).retry()
        log(request, entries, gettext("Pushed again."))
    ring("outbox")
    sentence = ngettext("%(number)d order is being pushed.", "%(number)d orders are being pushed.", number)
    tell(request, number, sentence % {"number": number})


@action(_("Push now"), permission="push")
def push_now(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> None:
    """Make these due at once, whatever they wait for."""
    retry(request, rows)


def _with_the_same_problem(rows: Rows) -> Rows:
    codes = set(rows.order_by().values_list("error_code", flat=True)) - {""}
    return OutboxEntry.objects.using(conf().DATABASE).filter(error_code__in=codes)


def _ask_retry_all(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> Question:
    affected = _with_the_same_problem(rows)
    codes = sorted(set(affected.order_by().values_list("error_code", flat=True)))
    return Question(
        [
            *(
                _("Every order with the problem “%(problem)s” is pushed again now, selected or not.")
                % {"problem": explain(code).title}
                for code in codes
            ),
            _("Where the cause has not been mended, they come back with the same problem."),
        ],
        rows=affected,
    )


@action(
    _("Push all with the same problem…"),
    permission="push",
    ask=_ask_retry_all,
    offered=lambda entry: bool(entry.error_code),
    emphasis="quiet",
)
def push_all_alike(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> None:
    """Push everything again that has the problem of one of these."""
    retry(request, _with_the_same_problem(rows))


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
    return badge(entry.get_state_display(), ENTRY_TONES.get(entry.state, "off"))


class OutboxAdmin(OrderAdmin[OutboxEntry]):
    """Read-only: an entry says only *look at this order again*, so there is nothing in it to edit."""

    list_display = ["entry", "state_and_problem", "due", "waits_for"]
    list_display_links = ["entry"]
    list_filter = [EntryStateFilter, ProblemFilter, ("integration", IntegrationFilter)]
    list_select_related = ["integration"]
    search_fields = ["order_pk"]
    search_help_text = _("Search by order number or order key.")
    ordering = ["due_at", "pk"]
    actions = [push_now, push_all_alike]
    page_actions = (push_now, push_all_alike)
    panel_template = "admin/django_sendcloud/includes/outbox_panel.html"
    readonly_fields = ["order_link", "state_badge", "waits_for", "due", "tries"]
    fieldsets = [
        (None, {"fields": ["order_link", "state_badge", "waits_for", "due", "tries"]}),
        (_("Times"), {"fields": ["recorded_at", "changed_at", "failing_since"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxEntry]:
        told = Shipment.objects.filter(order_type=OuterRef("order_type"), order_pk=OuterRef("order_pk"))
        return super().get_queryset(request).annotate(told_number=Subquery(told.values("order_number")[:1]))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[OutboxEntry], search_term: str
    ) -> tuple[QuerySet[OutboxEntry], bool]:
        for word in search_term.split():
            numbers = Q(order_number__icontains=word) | Q(told_number__icontains=word)
            queryset = queryset.filter(numbers | Q(order_pk__iexact=word))
        return queryset, False

    def panel(self, request: HttpRequest, obj: OutboxEntry) -> dict[str, Any]:
        return {
            "explanation": explain(obj.error_code) if obj.error_code else None,
            "fields": fields_of(obj.error_fields),
            "attempts": attempts_of(obj.order_type, obj.order_pk),
            "detail": obj.error_detail,
            "code": obj.error_code,
            "order_url": self.order_url(obj),
            "payload_url": self.url("payload", obj.pk),
        }

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("order"), ordering="order_pk")
    def entry(self, row: OutboxEntry) -> str:
        told_number: str | None = getattr(row, "told_number", None)
        return row.order_number or told_number or Truncator(row.order_pk).chars(13)

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: OutboxEntry) -> SafeString:
        return entry_badge(row)

    @admin.display(description=_("state"), ordering="state")
    def state_and_problem(self, row: OutboxEntry) -> SafeString:
        if not row.error_code:
            return self.state_badge(row)
        problems = fields_of(row.error_fields)
        detail = ""
        if problems:
            detail = Truncator(f"{problems[0].label}: {' '.join(problems[0].messages)}").chars(120)
        if len(problems) > 1:
            detail += gettext(" (and %(number)d more)") % {"number": len(problems) - 1}
        return badge_with(self.state_badge(row), explain(row.error_code).title, detail)

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
