"""Pages of API requests."""

from __future__ import annotations

from collections.abc import Sequence

from ...requestlog import LoggedRequest
from ..markup import Markup, fragment, tag
from ..parts import card, code, pager, pretty, row, table, term, when
from .states import request_state

__all__ = ["request", "requests"]


def requests(found: Sequence[LoggedRequest], total: int, start: int) -> Markup:
    """List requests, newest first."""
    rows = [
        row(
            ("No.", tag("a", {"href": f"/requests/{request.number}/"}, request.number)),
            ("Received", when(request.wall)),
            ("Request", f"{request.method} {request.path}"),
            ("Shipments", _outcomes(request)),
            ("Status", request_state(request)),
        )
        for request in found
    ]
    return fragment(
        tag("h1", None, "Requests ", tag("span", {"class": "quiet"}, total)),
        table(
            ["No.", "Received", "Request", "Shipments", "Status"],
            rows,
            "Nothing was asked of the API yet.",
            pager("/requests/", {}, start, len(found), total),
        ),
    )


def request(request: LoggedRequest) -> Markup:
    """Show one request."""
    took = f"{(request.finished - request.time) * 1000:.1f} ms" if request.finished else None
    about = tag(
        "dl",
        None,
        term("Operation", request.operation),
        term("Received", when(request.wall)),
        term("Status", request_state(request)),
        term("Took", took),
        term("Query", request.query),
        term("Integration", request.integration_id),
        term("Fault", request.fault),
    )
    items = [
        row(("Order", item.external_order_id), ("Shipment", item.external_shipment_id), ("Outcome", item.outcome))
        for item in request.items
    ]
    headers = tag("dl", None, [term(name, value) for name, value in request.headers.items()])
    body = "no longer kept" if request.raw is None else pretty(request.raw)
    return fragment(
        tag("h1", None, f"{request.method} {request.path}"),
        tag("div", {"class": "columns"}, card("Request", about), card("Headers", headers)),
        fragment(tag("h2", None, "Shipments"), table(["Order", "Shipment", "Outcome"], items, "")) if items else None,
        card("Body", code(body)) if body else None,
    )


def _outcomes(request: LoggedRequest) -> str:
    counted: dict[str, int] = {}
    for item in request.items:
        counted[item.outcome] = counted.get(item.outcome, 0) + 1
    return ", ".join(f"{number} {outcome}" for outcome, number in counted.items())
