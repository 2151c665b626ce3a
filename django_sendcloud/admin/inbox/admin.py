"""Admin of the inbox: every webhook, and its result."""

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

from ...core.crypto import DecryptionError
from ...models import EventState, Parcel, WebhookEvent
from ...models.webhook_event import ACTIONS, AWAITING_FOLLOW_UPS
from ...webhooks import inbox
from ..actions.action import Question, Rows, action, in_chunks, notify, report_count
from ..actions.history import log
from ..actions.notes import NoteForm, log_with_note, name_of
from ..base import SearchedAdmin
from ..explanations.sentences import note_in_words
from ..lists.filters import ActionFilter, age_filter
from ..lists.search import MAX_MATCHES, spellings
from ..permissions import Permissions
from ..ui.badges import EVENT_TONES, badge, badge_with
from ..ui.cells import EMPTY, ago, link, time_until

if TYPE_CHECKING:
    from django.utils.safestring import SafeString
    from django_stubs_ext import StrOrPromise

__all__ = ["WebhookEventAdmin"]


def _ask_replay(model_admin: WebhookEventAdmin, request: HttpRequest, rows: Rows) -> Question:
    kept = rows.filter(~Q(body="") | Q(state__in=AWAITING_FOLLOW_UPS))
    number, bare = kept.count(), rows.filter(body="").exclude(state__in=AWAITING_FOLLOW_UPS).count()
    consequences: list[StrOrPromise] = []
    if number:
        consequences = [
            _("Each of these is applied again. A parcel never goes back: an old update only completes its history."),
            _("The shop's receivers run for each change."),
        ]
    if kept.filter(state=EventState.RECEIVER_FAILED).exists():
        consequences.append(
            _(
                "If the shop's own code failed, it runs a second time. It may repeat its first effects, an "
                "e-mail to a buyer for instance."
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
        replayed += inbox.replay(chunk)
        log(request, events, _("Replayed."))
    notify("inbox")
    sentence = ngettext("%(number)d webhook is being replayed.", "%(number)d webhooks are being replayed.", replayed)
    report_count(request, replayed, sentence % {"number": replayed})


def _ask_dismiss(model_admin: WebhookEventAdmin, request: HttpRequest, rows: Rows) -> Question:
    dead = rows.dead()  # type: ignore[attr-defined]  # WebhookEventQuerySet
    number = dead.count()
    left = rows.count() - number
    title = ngettext("Dismiss %(number)d webhook", "Dismiss %(number)d webhooks", number)
    left_out = ngettext(
        "%(number)d is left out: it did not fail, or is still tried again.",
        "%(number)d are left out: they did not fail, or are still tried again.",
        left,
    )
    return Question(
        [
            _("They are not counted as failed any more. Their updates are not applied."),
            _("You can replay them later, as long as their content is kept."),
        ]
        if number
        else [],
        [left_out % {"number": left}] if left else [],
        rows=dead,
        title=title % {"number": number} if number else "",
        button=_("Dismiss"),
        form=NoteForm(request),
    )


@action(_("Dismiss…"), permission="replay", ask=_ask_dismiss, offered=lambda event: event.is_dead, emphasis="quiet")
def dismiss(model_admin: WebhookEventAdmin, request: HttpRequest, rows: Rows) -> None:
    """Count these failed webhooks no more, with a note."""
    note, number = NoteForm(request).text, 0
    for chunk in in_chunks(rows):
        # A colleague may have replayed some meanwhile.
        events = list(chunk.dead().defer("body"))  # type: ignore[attr-defined]  # WebhookEventQuerySet
        number += inbox.dismiss(
            WebhookEvent.objects.filter(pk__in=[event.pk for event in events]), name_of(request), note
        )
        log_with_note(request, events, _("Dismissed."), note)
    sentence = ngettext("%(number)d webhook is dismissed.", "%(number)d webhooks are dismissed.", number)
    report_count(request, number, sentence % {"number": number})


class WebhookEventAdmin(SearchedAdmin[WebhookEvent]):
    """Admin of webhooks. Read-only evidence; its personal data needs a permission."""

    list_display = ["event", "state_and_problem", "parcel_link", "received", "integration"]
    list_display_links = ["event"]
    list_filter = ["state", ActionFilter, "integration", age_filter("received_at", _("received"))]
    list_select_related = ["integration", "parcel"]
    search_fields = ["action"]
    search_help_text = _("Search by action, tracking number or order number.")
    ordering = ["-received_at", "-pk"]
    actions = [replay, dismiss]
    page_actions = (replay, dismiss)
    exported = ("event", "action", "state", "problem", "received_at", "processed_at", "attempts", "dismissed_note")
    panel_template = "admin/django_sendcloud/inbox/panel.html"
    below_template = "admin/django_sendcloud/inbox/below.html"
    readonly_fields = ["state_badge", "parcel_link", "event_and_action", "integration_link"]
    count_nouns = (_("webhook"), _("webhooks"))
    empty_text = _("Webhooks from Sendcloud are listed here, each with its result.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        # The body is large, encrypted, and rarely read.
        return super().get_queryset(request).defer("body")

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> WebhookEvent | None:
        event = super().get_object(request, object_id, from_field)
        if event is not None:
            kept = WebhookEvent.objects.filter(pk=event.pk).exclude(body="")
            vars(event)["_is_kept"] = kept.exists()
        return event

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if self.permissions(request).may_see(Parcel):
            return columns
        return [column for column in columns if column != "parcel_link"]

    def get_fieldsets(self, request: HttpRequest, obj: WebhookEvent | None = None) -> Any:
        belongs = (
            ["parcel_link", "integration_link"] if self.permissions(request).may_see(Parcel) else ["integration_link"]
        )
        what = ["event_and_action", "state_badge", "attempts", "received_at", "processed_at"]
        return [(None, {"fields": what}), (_("Belongs to"), {"fields": belongs})]

    def search_exactly(self, words: Sequence[str], permissions: Permissions) -> Sequence[QuerySet[Any, Any]]:
        if not permissions.may_see(Parcel):
            return []
        numbers = spellings(*words)
        parcels = Parcel.objects
        found = [parcels.filter(tracking_number__in=numbers), parcels.filter(order_number__in=numbers)]
        keys = [pk for each in found for pk in each.values_list("pk", flat=True)[:MAX_MATCHES]]
        events = WebhookEvent.objects
        return [events.filter(parcel__in=keys).values_list("pk", flat=True)] if keys else []

    def search_within(self, word: str, permissions: Permissions) -> Q:
        about = [action for action, words in ACTIONS.items() if word.casefold() in str(words).casefold()]
        found = Q(action__icontains=word) | Q(action__in=about)
        if permissions.may_see(Parcel):
            found |= Q(parcel__tracking_number__icontains=word) | Q(parcel__order_number__icontains=word)
        return found

    def panel(self, request: HttpRequest, obj: WebhookEvent) -> dict[str, Any]:
        context: dict[str, Any] = {
            "note": note_in_words(obj.note),
            "said": ", ".join(f"{name}: {value}" for name, value in obj.note.items() if name != "code"),
            "failed": obj.state == EventState.FAILED,
            "receiver_failed": obj.state == EventState.RECEIVER_FAILED,
            "waiting": obj.due_at is not None and obj.state != EventState.RECEIVER_FAILED,
            "kept": _is_kept(obj),
            "dismissed": obj.state == EventState.DISMISSED,
            "again": time_until(obj.due_at) if obj.due_at else "",
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
        return badge_with(self.state_badge(row), "", Truncator(note_in_words(row.note)).chars(120))

    @admin.display(description=_("problem"))
    def problem(self, row: WebhookEvent) -> str:
        return note_in_words(row.note)

    @admin.display(description=_("parcel"))
    def parcel_link(self, row: WebhookEvent) -> Any:
        return link(self.permissions_of(row).url(row.parcel), row.parcel) if row.parcel else EMPTY

    @admin.display(description=_("received"), ordering="received_at")
    def received(self, row: WebhookEvent) -> Any:
        return ago(row.received_at)


def _is_kept(event: WebhookEvent) -> bool:
    """Return whether its body is still there, loaded with the event without reading it."""
    return bool(vars(event).get("_is_kept"))


def _body(event: WebhookEvent) -> dict[str, Any]:
    """Return the event's body, indented if it is JSON."""
    try:
        text = event.body.reveal() if event.body else ""
    except DecryptionError as error:
        return {"body_problem": str(error)}
    if not text:
        return {"body_problem": gettext("It is not kept any more: it was applied, or its retention period is over.")}
    try:
        return {"body": json.dumps(json.loads(text), indent=2, ensure_ascii=False)}
    except (ValueError, RecursionError):
        return {"body": text.encode("utf-8", "replace").decode()}
