"""Pages of webhooks."""

from __future__ import annotations

from collections.abc import Sequence

from ...webhooks import DeliveredWebhook
from ..markup import Markup, fragment, tag
from ..parts import button, card, code, form, pager, pretty, row, table, term, when
from .states import webhook_state

__all__ = ["webhook", "webhooks"]


def webhooks(found: Sequence[DeliveredWebhook], total: int, start: int) -> Markup:
    """List webhooks, newest first."""
    rows = [
        row(
            ("No.", tag("a", {"href": f"/webhooks/{webhook.number}/"}, webhook.number)),
            ("Action", webhook.action),
            ("To", webhook.url),
            ("Attempts", len(webhook.attempts)),
            ("Last answer", webhook.attempts[-1][1] if webhook.attempts else None),
            ("State", webhook_state(webhook)),
            ("", form(f"/webhooks/{webhook.number}/again/", button("Send again"))),
        )
        for webhook in found
    ]
    return fragment(
        tag("h1", None, "Webhooks ", tag("span", {"class": "quiet"}, total)),
        table(
            ["No.", "Action", "To", "Attempts", "Last answer", "State", ""],
            rows,
            "No webhooks yet. An integration sends them when its webhook is active and has an address.",
            pager("/webhooks/", {}, start, len(found), total),
        ),
    )


def webhook(webhook: DeliveredWebhook) -> Markup:
    """Show one webhook with all its attempts."""
    attempts = [row(("When", when(moment)), ("Answer", outcome)) for moment, outcome in webhook.attempts]
    headers = tag("dl", None, [term(name, value) for name, value in webhook.headers.items()])
    about = tag(
        "dl",
        None,
        term("State", webhook_state(webhook)),
        term("To", webhook.url),
        term("Integration", webhook.integration_id),
    )
    return fragment(
        tag("h1", None, f"Webhook {webhook.number}: {webhook.action}"),
        tag(
            "div",
            {"class": "columns"},
            card("Delivery", about, tag("p", None), form(f"/webhooks/{webhook.number}/again/", button("Send again"))),
            card("Headers", headers),
        ),
        tag("h2", None, "Attempts"),
        table(["When", "Answer"], attempts, "Not sent yet."),
        card("Body", code(pretty(webhook.body))),
    )
