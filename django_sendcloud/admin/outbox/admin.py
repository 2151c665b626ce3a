"""Admin of the outbox: orders with changes that have not been pushed, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.csrf import csrf_protect

from ...core.hide_post import hide_post
from ...models import EntryState, Integration, OutboxEntry, Shipment
from ...orders import OrderRef
from ...registry import registry
from ...sync.health import TRANSIENT, is_pushed_again
from ...sync.problems import UNASSIGNED
from ..actions.action import Question, Rows, action, confirmed_criteria
from ..explanations.causes import cause_of, causes, with_causes
from ..explanations.errors import explain, explain_entry, fields_of
from ..explanations.health import explain_hold, holds_orders
from ..health import health_of
from ..lists.filters import EntryStateFilter, IntegrationFilter, ProblemFilter, age_filter
from ..lists.search import MAX_MATCHES, spellings, with_numbers
from ..permissions import ORDER, Permissions
from ..ui.badges import ENTRY_TONES, badge, badge_with
from ..ui.cells import EMPTY, time_until
from ..ui.humanize import clock_time, without_double_stop
from .fixing import fix_url, fix_view
from .order_rows import OrderRowAdmin, attempts_of, set_order_numbers
from .pushing import push_entries

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = [
    "OutboxAdmin",
    "ask_push_all_with_problem",
    "assume_integration",
    "due_of",
    "entry_badge",
    "entry_badge_with_problem",
    "explained",
    "has_problem",
    "in_use_of",
    "is_moving",
    "is_on_hold",
]


def _push_title(number: int) -> str:
    return ngettext("Push %(number)d order now", "Push %(number)d orders now", number) % {"number": number}


def _ask_push(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> Question:
    return Question(
        [
            _("They are sent as they are now, before other waiting orders."),
            _("Orders that are still wrong will be rejected again."),
        ],
        title=_push_title(rows.count()),
    )


@action(_("Push now"), permission="push", ask=_ask_push, asks_for_one=False)
def push_now(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> None:
    """Make these due immediately, whatever they wait for."""
    push_entries(request, rows)


def ask_push_all_with_problem(request: HttpRequest, selected: QuerySet[OutboxEntry]) -> Question:
    """Ask before all orders with the problems of these are pushed again, with the number of each problem."""
    keys = confirmed_criteria(request) or [cause.key for cause in causes(selected)]
    alike = with_causes(OutboxEntry.objects.all(), keys)
    consequences: list[StrOrPromise] = []
    total = 0
    for cause, number in causes(alike).items():
        sentence = ngettext(
            "%(number)d order has the problem “%(problem)s”. It is pushed now, selected or not.",
            "%(number)d orders have the problem “%(problem)s”. All of them are pushed now, selected or not.",
            number,
        )
        consequences.append(sentence % {"number": number, "problem": cause.title})
        total += number
    if consequences:
        consequences.append(_("Orders that are still wrong will be rejected again."))
    return Question(consequences, rows=alike, title=_push_title(total), button=_("Push all"), criteria=keys)


def has_problem(entry: OutboxEntry) -> bool:
    """Return whether an entry has a problem that its order has not changed since."""
    return bool(entry.error_code) and not is_pushed_again(entry)


@action(
    _("Push all with the same problem…"),
    permission="push",
    ask=lambda model_admin, request, rows: ask_push_all_with_problem(request, rows),
    offered=has_problem,
    emphasis="quiet",
)
def push_all_with_problem(model_admin: OutboxAdmin, request: HttpRequest, rows: Rows) -> None:
    """Push all orders again that share a problem with these."""
    push_entries(request, rows)


def assume_integration(entries: Iterable[OutboxEntry], in_use: Callable[[], Sequence[Integration]]) -> None:
    """Give entries without an integration the only one in use, which takes them. Not saved."""
    without = [entry for entry in entries if entry.integration_id is None and entry.error_code not in UNASSIGNED]
    found = in_use() if without else []
    if len(found) == 1:
        for entry in without:
            entry.integration = found[0]


def in_use_of(request: HttpRequest) -> Callable[[], Sequence[Integration]]:
    """Return a function that returns the integrations in use, from the health that the request has read."""
    return lambda: [each.integration for each in health_of(request).in_use]


def is_on_hold(entry: OutboxEntry) -> bool:
    """Return whether a waiting entry cannot go out without an operator or the developer."""
    if entry.state != EntryState.PENDING or entry.is_leased:
        return False
    integration = entry.integration if OutboxEntry.integration.is_cached(entry) else None
    if integration is not None and holds_orders(integration):
        return True
    return has_problem(entry) and entry.error_code not in TRANSIENT


def due_of(entry: OutboxEntry) -> Any:
    """Return when a waiting entry goes out; ``""`` if it waits for more than its time."""
    if entry.is_leased:
        return _("now")
    at = max(entry.due_at, entry.not_before)
    integration = entry.integration
    if is_on_hold(entry) and (at <= timezone.now() or (integration is not None and holds_orders(integration))):
        return ""
    return time_until(at)


def is_moving(entry: OutboxEntry | None) -> bool:
    """Return whether an entry is likely to be sent within seconds, so that its page refreshes itself."""
    if entry is None or entry.state != EntryState.PENDING or is_on_hold(entry):
        return False
    return entry.is_leased or not has_problem(entry)


def sent_again(entry: OutboxEntry) -> StrOrPromise:
    """Return the words for an entry that is pushed again after a problem; ``""`` for any other."""
    if not is_pushed_again(entry) or is_on_hold(entry):
        return ""
    return _("Sending again…") if entry.is_leased else _("To be sent again")


def entry_badge(entry: OutboxEntry) -> SafeString:
    """Return the state of an entry as a badge."""
    if entry.state == EntryState.PENDING:
        if is_on_hold(entry):
            return badge(_("On hold"), "bad")
        if entry.is_leased:
            return badge(_("Sending"), "busy")
        if has_problem(entry):
            return badge(_("Waiting"), "warn")
    return badge(entry.get_state_display(), ENTRY_TONES.get(entry.state, "off"))


def entry_badge_with_problem(entry: OutboxEntry) -> SafeString:
    """Return the badge with its problem and the first field below."""
    if again := sent_again(entry):
        return badge_with(entry_badge(entry), again)
    if not has_problem(entry):
        return badge_with(entry_badge(entry), _("Will be deleted at Sendcloud") if entry.is_deletion else "")
    problems = fields_of(entry.error_fields)
    detail = ""
    if problems:
        detail = Truncator(f"{problems[0].label}: {' '.join(problems[0].messages)}").chars(120)
    if len(problems) > 1:
        detail += gettext(" (and %(number)d more)") % {"number": len(problems) - 1}
    # A dead-lettered entry's badge says so, and the problem why.
    return badge_with(entry_badge(entry), explain(entry.error_code).title, detail)


def explained(entry: OutboxEntry) -> dict[str, Any]:
    """Return the context that explains an entry on a page; empty if it only waits its turn."""
    if has_problem(entry):
        return {
            "explanation": explain_entry(entry.state, entry.error_code),
            "fields": fields_of(entry.error_fields),
            "detail": entry.error_detail,
            "code": entry.error_code,
        }
    if entry.integration is not None and is_on_hold(entry):
        return {"explanation": explain_hold(entry.integration)}
    return {}


class OutboxChangeList(ChangeList):
    """List whose links still lead to the order after the entry was sent."""

    def url_for_result(self, result: Any) -> str:
        order = urlencode({ORDER: f"{result.order_type}:{result.order_pk}"})
        return f"{super().url_for_result(result)}?{order}"


class OutboxAdmin(OrderRowAdmin[OutboxEntry]):
    """Admin of outbox entries. Read-only: an entry only says *push this order*."""

    list_display = ["entry", "state_and_problem", "due", "waits_for"]
    list_display_links = ["entry"]
    list_filter = [
        EntryStateFilter,
        ProblemFilter,
        ("integration", IntegrationFilter),
        age_filter("recorded_at", _("waiting since")),
    ]
    exported = (
        "order_number",
        "state",
        "problem",
        "wrong_fields",
        "integration",
        "recorded_at",
        "changed_at",
        "due_at",
        "failures",
    )
    list_select_related = ["integration"]
    search_fields = ["order_number"]
    search_help_text = _("Search by order number or order key.")
    ordering = ["due_at", "pk"]
    actions = [push_now, push_all_with_problem]
    page_actions = (push_now, push_all_with_problem)
    panel_template = "admin/django_sendcloud/outbox/panel.html"
    below_template = "admin/django_sendcloud/outbox/attempts.html"
    readonly_fields = ["order_link", "state_badge", "waits_for", "due", "tries"]
    integration_column = "waits_for"
    count_nouns = (_("outbox entry"), _("outbox entries"))
    empty_text = _(
        "Changed orders are listed here until Sendcloud has them: usually for seconds, longer if something is wrong. "
        "The list is empty because everything was sent."
    )

    def get_urls(self) -> list[URLPattern]:
        fix = self.path("fix/", self.fix_view, "fix")
        fix.callback = hide_post(fix.callback)
        return [fix, *super().get_urls()]

    @method_decorator(csrf_protect)
    def fix_view(self, request: HttpRequest) -> HttpResponse:
        """Show the orders of one problem together, each with its wrong field."""
        return fix_view(self, request)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OutboxChangeList

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
        set_order_numbers(rows)
        assume_integration(rows, in_use_of(request))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Redirect from an entry that was sent to its order."""
        if request.method == "GET" and self.get_object(request, unquote(object_id)) is None:
            url = self._order_of_sent(request, unquote(object_id))
            if url:
                return HttpResponseRedirect(url)
        return super().change_view(request, object_id, form_url, extra_context)

    def _order_of_sent(self, request: HttpRequest, key: str) -> str:
        """Return the page of the order behind an entry that is gone, known by its link or by the log.

        An order that needed no push has no shipment; its page says why it is not sent.
        """
        if not self.has_view_or_change_permission(request):
            return ""
        order_type, _sep, order_pk = request.GET.get(ORDER, "").replace("\0", "").partition(":")
        shipments = Shipment.objects.filter(order_type=order_type, order_pk=order_pk)
        if not order_pk:
            # Imported here, because its app need not be installed to import this module.
            from django.contrib.admin.models import LogEntry

            mine = {"content_type__app_label": self.opts.app_label, "content_type__model": self.opts.model_name}
            logged = LogEntry.objects.filter(**mine, object_id=key).first()
            number = logged.object_repr if logged is not None else ""
            shipments = Shipment.objects.filter(order_number=number) if number else Shipment.objects.none()
        shipment = shipments.order_by("-last_pushed_at", "-pk").first()
        if shipment is None:
            ref = OrderRef.stored(order_type, order_pk)
            return self.permissions(request).order_url(ref) if ref.load() is not None else ""
        vars(shipment)["_permissions"] = self.permissions(request)
        url = self.order_url(shipment) or self.permissions(request).url(shipment)
        if url and shipment.deleted_at is not None:
            text = gettext("%(order)s was removed at Sendcloud (%(time)s).")
            values = {"order": shipment, "time": clock_time(shipment.deleted_at)}
            messages.success(request, without_double_stop(text % values))
        elif url and shipment.last_pushed_at is not None:
            text = gettext("%(order)s was sent (%(time)s).")
            values = {"order": shipment, "time": clock_time(shipment.last_pushed_at)}
            messages.success(request, without_double_stop(text % values))
        return url

    def search_exactly(self, words: Sequence[str], permissions: Permissions) -> Sequence[QuerySet[Any, Any]]:
        entries = OutboxEntry.objects
        numbers = spellings(*words)
        pushed = Shipment.objects.filter(order_number__in=numbers)
        keys: dict[str, set[str]] = {}
        for order_type, key in pushed.values_list("order_type", "order_pk")[:MAX_MATCHES]:
            keys.setdefault(order_type, set()).add(key)
        for adapter in registry:
            mine = keys.setdefault(str(adapter.model._meta.label_lower), set())
            mine |= {*words, *map(str.lower, words)}
            if adapter.number_field:
                orders = with_numbers(adapter.model._base_manager.all(), adapter.number_field, numbers)
                mine |= {str(pk) for pk in orders.values_list("pk", flat=True)[:MAX_MATCHES]}
        found = [entries.filter(order_number__in=numbers)]
        found += [entries.filter(order_type=order_type, order_pk__in=mine) for order_type, mine in keys.items()]
        return [each.values_list("pk", flat=True) for each in found]

    def search_within(self, word: str, permissions: Permissions) -> Q:
        # An order's number may be known from its shipments alone.
        pushed = Shipment.objects.filter(order_number__icontains=word).values("order_pk")
        return Q(order_number__icontains=word) | Q(order_pk__icontains=word) | Q(order_pk__in=pushed)

    def panel(self, request: HttpRequest, obj: OutboxEntry) -> dict[str, Any]:
        return {
            **explained(obj),
            "sent_again": sent_again(obj),
            "is_moving": is_moving(obj),
            "attempts": attempts_of(obj.order_type, obj.order_pk),
            "details_withheld": not self.has_payload_permission(request),
            "order_url": self.order_url(obj),
            "payload_url": self.url("payload", obj.pk),
            "sc_links": self._links(request, obj),
        }

    def _links(self, request: HttpRequest, entry: OutboxEntry) -> list[tuple[str, Any]]:
        """Return the link to the page where all orders with this problem are fixed."""
        if entry.state == EntryState.PENDING or not entry.error_code:
            return []
        cause = cause_of(entry)
        if not cause.field:
            return []
        return [(fix_url(self.admin_site, cause, request.get_full_path()), _("Fix all with this problem"))]

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("order"), ordering="order_number")
    def entry(self, row: OutboxEntry) -> str:
        return Truncator(row.order_number).chars(24)

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: OutboxEntry) -> SafeString:
        return entry_badge(row)

    @admin.display(description=_("state"), ordering="state")
    def state_and_problem(self, row: OutboxEntry) -> SafeString:
        shown = entry_badge_with_problem(row)
        if not is_moving(row):
            return shown
        # An entry that was sent disappears.
        return format_html(
            '<div id="sc-entry-{}" data-sc-refresh="5" data-sc-gone="{}">{}</div>', row.pk, _("Sent"), shown
        )

    @admin.display(description=_("problem"))
    def problem(self, row: OutboxEntry) -> Any:
        return cause_of(row).title if row.error_code else ""

    @admin.display(description=_("fields"))
    def wrong_fields(self, row: OutboxEntry) -> str:
        return " ".join(f"{field.label}: {' '.join(field.messages)}" for field in fields_of(row.error_fields))

    @admin.display(description=_("waits for"), ordering="integration")
    def waits_for(self, row: OutboxEntry) -> Any:
        return row.integration or EMPTY

    @admin.display(description=_("due"), ordering="due_at")
    def due(self, row: OutboxEntry) -> Any:
        return _("when it changes") if row.state != EntryState.PENDING else due_of(row) or EMPTY

    @admin.display(description=_("failed attempts"), ordering="failures")
    def tries(self, row: OutboxEntry) -> int:
        return row.failures + max(0, row.attempts - 1)
