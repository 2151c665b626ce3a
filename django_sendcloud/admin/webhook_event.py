"""The inbox: every webhook as it came, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..crypto import DecryptionError
from ..models import EventState, Parcel, WebhookEvent
from ..models.webhook_event import ACTIONS
from ..webhooks import apply
from .actions import Question, Rows, action, in_chunks, log, ring, tell
from .badges import EVENT_TONES, badge, badge_with
from .base import EMPTY, SearchedAdmin, Sight, ago, in_time, link
from .filters import ActionFilter, age_filter
from .search import spellings
from .sentences import in_words

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["WebhookEventAdmin"]


def _ask_replay(model_admin: WebhookEventAdmin, request: HttpRequest, rows: Rows) -> Question:
    kept = rows.exclude(body="")
    number, bare = kept.count(), rows.filter(body="").count()
    consequences: list[StrOrPromise] = []
    if number:
        consequences = [
            _("Each of these is applied again. A parcel never goes back: old news only completes its history."),
            _("The shop is told of what that changes."),
        ]
    if kept.filter(state=EventState.UNHEARD).exists():
        consequences.append(
            _(
                "Where the shop's own code had failed, the shop is told once more. What it had done the first time is "
                "done a second time, an e-mail to a buyer for instance."
            )
        )
    left_out = ngettext(
        "%(number)d is left out: its content is not kept any more.",
        "%(number)d are left out: their content is not kept any more.",
        bare,
    )
    title = ngettext("Replay %(number)d webhook", "Replay %(number)d webhooks", number)
    return Question(
        consequences,
        [left_out % {"number": bare}] if bare else [],
        rows=kept,
        title=title % {"number": number} if number else "",
    )


@action(_("Replay…"), permission="replay", ask=_ask_replay, offered=lambda event: _is_kept(event))
def replay(model_admin: WebhookEventAdmin, request: HttpRequest, rows: Rows) -> None:
    """Apply these webhooks again."""
    replayed = 0
    for chunk in in_chunks(rows):
        events = list(chunk.defer("body"))
        replayed += apply.replay(chunk)
        log(request, events, _("Replayed."))
    ring("inbox")
    sentence = ngettext("%(number)d webhook is being replayed.", "%(number)d webhooks are being replayed.", replayed)
    tell(request, replayed, sentence % {"number": replayed})


class WebhookEventAdmin(SearchedAdmin[WebhookEvent]):
    """Read-only: it is evidence. Its content is personal data, shown only to who may see that."""

    list_display = ["event", "state_and_problem", "parcel_link", "received", "integration"]
    list_display_links = ["event"]
    list_filter = ["state", ActionFilter, "integration", age_filter("received_at", _("received"))]
    list_select_related = ["integration", "parcel"]
    search_fields = ["action"]
    search_help_text = _("Search by action, tracking number or order number.")
    ordering = ["-received_at", "-pk"]
    actions = [replay]
    page_actions = (replay,)
    panel_template = "admin/django_sendcloud/includes/webhook_panel.html"
    below_template = "admin/django_sendcloud/includes/webhook_below.html"
    readonly_fields = ["state_badge", "parcel_link", "event_and_action", "integration_link"]
    counted_as = (_("webhook"), _("webhooks"))
    nothing_yet = _("What Sendcloud reports by webhook stands here as it came, with what became of it.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        # The body is large, encrypted, and hardly ever looked at.
        return super().get_queryset(request).defer("body")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> WebhookEvent | None:
        event = super().get_object(request, object_id, from_field)
        if event is not None:
            kept = WebhookEvent.objects.using(conf().DATABASE).filter(pk=event.pk).exclude(body="")
            vars(event)["_is_kept"] = kept.exists()
        return event

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if self.sight(request).may_see(Parcel):
            return columns
        return [column for column in columns if column != "parcel_link"]

    def get_fieldsets(self, request: HttpRequest, obj: WebhookEvent | None = None) -> Any:
        belongs = ["parcel_link", "integration_link"] if self.sight(request).may_see(Parcel) else ["integration_link"]
        what = ["event_and_action", "state_badge", "attempts", "received_at", "processed_at"]
        return [(None, {"fields": what}), (_("Belongs to"), {"fields": belongs})]

    def search_exactly(self, word: str, sight: Sight) -> Sequence[QuerySet[Any, Any]]:
        if not sight.may_see(Parcel):
            return []
        numbers = spellings(word)
        parcels = Parcel.objects.using(conf().DATABASE)
        found = [parcels.filter(tracking_number__in=numbers), parcels.filter(order_number__in=numbers)]
        keys = [pk for each in found for pk in each.values_list("pk", flat=True)[:100]]
        events = WebhookEvent.objects.using(conf().DATABASE)
        return [events.filter(parcel__in=keys).values_list("pk", flat=True)] if keys else []

    def search_within(self, word: str, sight: Sight) -> Q:
        about = [action for action, words in ACTIONS.items() if word.casefold() in str(words).casefold()]
        found = Q(action__icontains=word) | Q(action__in=about)
        if sight.may_see(Parcel):
            found |= Q(parcel__tracking_number__icontains=word) | Q(parcel__order_number__icontains=word)
        return found

    def panel(self, request: HttpRequest, obj: WebhookEvent) -> dict[str, Any]:
        context: dict[str, Any] = {
            "note": in_words(obj.error),
            "said": obj.error,
            "failed": obj.state == EventState.FAILED,
            "unheard": obj.state == EventState.UNHEARD,
            "waiting": obj.state == EventState.RECEIVED,
            "kept": _is_kept(obj),
            "again": in_time(obj.due_at),
        }
        if self.has_payload_permission(request):
            context |= _body(obj)
        return context

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("action"), ordering="action")
    def event(self, row: WebhookEvent) -> Any:
        return row.about

    @admin.display(description=_("action"))
    def event_and_action(self, row: WebhookEvent) -> Any:
        about = self.event(row)
        return format_html("{} <code>{}</code>", about, row.action) if row.action in ACTIONS else about

    @admin.display(description=_("state"), ordering="state")
    def state_badge(self, row: WebhookEvent) -> SafeString:
        return badge(row.get_state_display(), EVENT_TONES.get(row.state, "off"))

    @admin.display(description=_("state"), ordering="state")
    def state_and_problem(self, row: WebhookEvent) -> SafeString:
        return badge_with(self.state_badge(row), "", Truncator(in_words(row.error)).chars(120))

    @admin.display(description=_("parcel"))
    def parcel_link(self, row: WebhookEvent) -> Any:
        return link(self.seen_by(row).url(row.parcel), row.parcel) if row.parcel else EMPTY

    @admin.display(description=_("received"), ordering="received_at")
    def received(self, row: WebhookEvent) -> Any:
        return ago(row.received_at)


def _is_kept(event: WebhookEvent) -> bool:
    """Whether its content is still there: looked up with the event, without reading it."""
    return bool(vars(event).get("_is_kept"))


def _body(event: WebhookEvent) -> dict[str, Any]:
    """The event's content, laid out if it is JSON."""
    try:
        text = event.body.reveal() if event.body else ""
    except DecryptionError as error:
        return {"body_problem": str(error)}
    if not text:
        return {"body_problem": gettext("It is not kept any more: it was applied, or its time is over.")}
    try:
        return {"body": json.dumps(json.loads(text), indent=2, ensure_ascii=False)}
    except (ValueError, RecursionError):
        return {"body": text.encode("utf-8", "replace").decode()}
