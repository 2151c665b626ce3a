"""The inbox: every webhook as it came, and what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ..crypto import DecryptionError
from ..models import EventState, WebhookEvent
from ..webhooks import apply
from .actions import Question, Rows, action, in_chunks, log, ring, tell
from .badges import EVENT_TONES, badge, badge_with
from .base import EMPTY, SendcloudAdmin, ago, in_time, link
from .sentences import ACTIONS, in_words

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["WebhookEventAdmin"]


def _ask_replay(model_admin: WebhookEventAdmin, request: HttpRequest, rows: Rows) -> Question:
    return Question(
        [
            _("Each of these is applied again, and the shop is told of what it changes."),
            _("A parcel never goes back: old news only completes its history."),
            _("Webhooks whose content is not kept any more are left out."),
        ]
    )


@action(_("Replay…"), permission="replay", ask=_ask_replay)
def replay(model_admin: WebhookEventAdmin, request: HttpRequest, rows: Rows) -> None:
    """Apply these webhooks again."""
    replayed = asked = 0
    for chunk in in_chunks(rows):
        events = list(chunk.defer("body"))
        replayed += apply.replay(chunk)
        asked += len(events)
        log(request, events, gettext("Replayed."))
    ring("inbox")
    sentence = ngettext("%(number)d webhook is being replayed.", "%(number)d webhooks are being replayed.", replayed)
    parts = [sentence % {"number": replayed}]
    if left := asked - replayed:
        parts.append(
            ngettext(
                "%(number)d was left out: its content is not kept any more.",
                "%(number)d were left out: their content is not kept any more.",
                left,
            )
            % {"number": left}
        )
    tell(request, replayed, " ".join(parts))


class WebhookEventAdmin(SendcloudAdmin[WebhookEvent]):
    """Read-only: it is evidence. Its content is personal data, shown only to who may see that."""

    list_display = ["event", "state_and_problem", "parcel_link", "received", "integration"]
    list_display_links = ["event"]
    list_filter = ["state", "integration"]
    list_select_related = ["integration", "parcel"]
    search_fields = ["action"]
    search_help_text = _("Search by action, tracking number or order number.")
    ordering = ["-received_at", "-pk"]
    actions = [replay]
    page_actions = (replay,)
    panel_template = "admin/django_sendcloud/includes/webhook_panel.html"
    readonly_fields = ["state_badge", "parcel_link", "event_and_action"]
    fieldsets = [
        (None, {"fields": ["event_and_action", "state_badge", "attempts", "received_at", "processed_at"]}),
        (_("Belongs to"), {"fields": ["parcel_link", "integration"]}),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        # The body is large, encrypted, and hardly ever looked at.
        return super().get_queryset(request).defer("body")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[WebhookEvent], search_term: str
    ) -> tuple[QuerySet[WebhookEvent], bool]:
        for word in search_term.split():
            actions = [action for action, about in ACTIONS.items() if word.casefold() in str(about).casefold()]
            queryset = queryset.filter(
                Q(action__icontains=word)
                | Q(action__in=actions)
                | Q(parcel__tracking_number__iexact=word)
                | Q(parcel__order_number__icontains=word)
            )
        return queryset, False

    def panel(self, request: HttpRequest, obj: WebhookEvent) -> dict[str, Any]:
        context: dict[str, Any] = {
            "note": in_words(obj.error),
            "said": obj.error,
            "failed": obj.state == EventState.FAILED,
            "waiting": obj.state == EventState.RECEIVED,
            "again": in_time(obj.due_at),
        }
        if self.has_payload_permission(request):
            context |= _body(obj)
        return context

    # -- columns --------------------------------------------------------------------------------

    @admin.display(description=_("action"), ordering="action")
    def event(self, row: WebhookEvent) -> Any:
        return ACTIONS.get(row.action, row.action) or _("unreadable")

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
        return link(self.url_of(row.parcel), row.parcel) if row.parcel else EMPTY

    @admin.display(description=_("received"), ordering="received_at")
    def received(self, row: WebhookEvent) -> Any:
        return ago(row.received_at)


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
