"""Page of faults."""

from __future__ import annotations

from ...control import Control
from ..markup import Markup, fragment, tag
from ..parts import button, card, check, field, form, row, table

__all__ = ["faults"]


def faults(sandbox: Control) -> Markup:
    """Show the switches of faults."""
    waiting = [
        row(
            ("Fault", fault.kind),
            ("Requests", fault.match or "any"),
            ("Times", fault.times),
            ("Status", fault.status if fault.kind == "answer" else None),
            ("Applied", fault.apply),
        )
        for fault in sandbox.faults
    ]
    match_field = field("Only requests like", "match", "", placeholder="POST shipments")
    times = tag("label", None, "Times", tag("input", {"type": "number", "name": "times", "value": 1, "min": 1}))
    status = tag(
        "label",
        None,
        "Status",
        tag("input", {"type": "number", "name": "status", "value": 500, "min": 400, "max": 599}),
    )
    seconds = tag(
        "label",
        None,
        "Seconds",
        tag("input", {"type": "number", "name": "seconds", "value": 30, "min": 0, "step": "any"}),
    )
    kinds = {
        "answer": "answer with the status",
        "drop": "close the connection",
        "hang": "answer late",
        "truncate": "answer half",
        "html": "answer HTML",
        "conflict": "answer that v3 is still processing a request",
        "lose": "accept v3 orders and never save them",
    }
    kind = tag("select", {"name": "kind"}, [tag("option", {"value": key}, name) for key, name in kinds.items()])
    lasting = tag(
        "form",
        {"method": "post", "action": "/faults/set/", "class": "fields"},
        check("Rate limits: 100 unsafe and 1,000 safe requests a minute", "rate_limits", checked=sandbox.rate_limits),
        field("Retry-After of a 429", "retry_after", sandbox.retry_after, placeholder="none, as Sendcloud does"),
        field("Every answer takes longer, in seconds", "latency", f"{sandbox.latency:g}"),
        check("Pause: leave all requests unanswered", "paused", checked=sandbox.paused),
        field("Time until a v3 order is saved, in seconds", "save_delay", f"{sandbox.save_delay or 0:g}"),
        check(
            "Refuse v2 shipments of shops that are no certified partners",
            "partners_only",
            checked=sandbox.certified_partners_only,
        ),
        tag("div", {"class": "actions"}, button("Save", "main")),
    )
    return fragment(
        tag("h1", None, "Faults"),
        tag(
            "div",
            {"class": "columns"},
            card("Until switched off", lasting),
            card(
                "The next requests",
                tag(
                    "form",
                    {"method": "post", "action": "/faults/next/", "class": "fields"},
                    tag("label", None, "Fault", kind),
                    tag("div", {"class": "actions"}, times, status, seconds),
                    match_field,
                    check("Apply the request all the same", "apply"),
                    tag("div", {"class": "actions"}, button("Switch on", "main")),
                ),
            ),
        ),
        tag("h2", None, "Waiting for a request"),
        table(["Fault", "Requests", "Times", "Status", "Applied"], waiting, "None."),
        tag(
            "div",
            {"class": "actions"},
            form("/faults/clear/", button("Switch all faults off")),
            form("/reset/", button("Delete orders, parcels, webhooks and requests", "danger")),
        ),
    )
