"""The panel's pages. Each function takes what it shows, and returns HTML."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from ..parcels import STATUSES, Parcel
from ..requestlog import LoggedRequest
from ..state import SandboxIntegration, StoredShipment
from ..webhooks import DeliveredWebhook
from .markup import Markup, fragment, tag
from .style import SCRIPT, STYLE

if TYPE_CHECKING:
    from ..sandbox import Sandbox

__all__ = ["PAGE", "faults", "integrations", "message", "order", "orders", "page", "parcel", "parcels", "request"]
__all__ += ["requests", "webhook", "webhooks"]

#: Rows to a page.
PAGE: Final = 50

_SECTIONS: Final = (
    ("/", "Incoming orders"),
    ("/parcels/", "Parcels"),
    ("/webhooks/", "Webhooks"),
    ("/requests/", "Requests"),
    ("/integrations/", "Integrations"),
    ("/faults/", "Faults"),
)
_GOOD: Final = {11, 12, 93}
_BAD: Final = {4, 6, 8, 13, 15, 80, 94, 1002, 1998, 1999, 2000, 2001, 62989, 62991, 62992, 62996, 62997}


def page(title: str, section: str, main: Markup, *, note: str = "", nonce: str = "", live: bool = False) -> bytes:
    """Put a whole page together.

    Args:
        title: Of the page.
        section: Address of the section it belongs to.
        main: What it shows.
        note: What was just done.
        nonce: Of the script, as in the Content-Security-Policy.
        live: Whether it refreshes itself.
    """
    links = [
        tag("a", {"href": address, "aria-current": "page" if address == section else None}, name)
        for address, name in _SECTIONS
    ]
    brand = tag("a", {"class": "brand", "href": "/"}, "Sendcloud ", tag("small", None, "sandbox"))
    document = tag(
        "html",
        {"lang": "en"},
        tag(
            "head",
            None,
            tag("meta", {"charset": "utf-8"}),
            tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
            tag("title", None, f"{title} · Sendcloud sandbox"),
            tag("link", {"rel": "icon", "href": "data:,"}),
            tag("style", {"nonce": nonce}, Markup(STYLE)),
        ),
        tag(
            "body",
            None,
            tag("header", None, tag("div", None, brand, tag("nav", {"aria-label": "Sections"}, links))),
            tag("div", {"class": "note", "role": "status"}, tag("p", None, note)) if note else None,
            tag("main", {"data-live": live}, main),
            tag("script", {"nonce": nonce}, Markup(SCRIPT)),
        ),
    )
    return f"<!doctype html>{document}".encode()


def message(title: str, text: str) -> Markup:
    """Say something instead of a page."""
    return fragment(tag("h1", None, title), tag("p", None, text))


# Orders


def orders(
    found: Sequence[StoredShipment], total: int, search: str, start: int, made: Mapping[str, list[Parcel]]
) -> Markup:
    """List incoming orders, newest first."""
    rows = [
        _row(
            ("Order", tag("a", {"href": f"/orders/{shipment.uuid}/"}, shipment.fields["order_number"])),
            ("Receiver", shipment.fields["name"]),
            ("To", f"{shipment.fields['city']}, {shipment.fields['country']}"),
            ("Items", _count(shipment)),
            ("Value", _money(shipment)),
            ("Received", _when(shipment.updated_at)),
            ("State", _order_state(made.get(shipment.uuid, []))),
        )
        for shipment in found
    ]
    query = {"q": search} if search else {}
    field = tag(
        "input",
        {"type": "search", "name": "q", "value": search, "placeholder": "Number, name, city …", "aria-label": "Search"},
    )
    form = tag("form", {"method": "get", "action": "/", "class": "actions"}, field, _button("Search"))
    return fragment(
        tag("div", {"class": "top"}, tag("h1", None, "Incoming orders ", tag("span", {"class": "quiet"}, total)), form),
        _table(
            ["Order", "Receiver", "To", "Items", "Value", "Received", "State"],
            rows,
            "No order matches." if search else "No orders yet. Connect a shop with the keys under Integrations.",
            _pager("/", query, start, len(found), total),
        ),
    )


def order(shipment: StoredShipment, made: Sequence[Parcel], integration: SandboxIntegration | None) -> Markup:
    """Show one order with everything that was sent."""
    fields = shipment.fields
    items = [
        _row(
            ("Description", item["description"]),
            ("SKU", item.get("sku")),
            ("HS code", item.get("hs_code")),
            ("Origin", item.get("origin_country")),
            ("Weight", f"{item['weight']} kg" if item.get("weight") else None),
            ("Value", item["value"]),
            ("Quantity", item["quantity"]),
            ("Properties", _plain(item.get("properties"))),
        )
        for item in fields["parcel_items"] or ()
    ]
    known = {"parcel_items", "order_number"}
    sent = tag("dl", None, [_term(name, _nested(value)) for name, value in fields.items() if name not in known])
    about = [
        _term("Shipment", tag("code", None, shipment.uuid)),
        _term("Integration", f"{integration.shop_name} ({integration.id})" if integration else shipment.integration_id),
        _term("Received", _when(shipment.created_at)),
        _term("Changed", _when(shipment.updated_at)),
    ]
    address = f"/orders/{shipment.uuid}"
    count = tag("input", {"type": "number", "name": "parcels", "value": 1, "min": 1, "max": 20})
    label = _form(f"{address}/label/", tag("label", None, "Parcels", count), _button("Create label", "main"))
    actions = tag("div", {"class": "actions"}, label, _form(f"{address}/delete/", _button("Delete order", "danger")))
    names = ["Description", "SKU", "HS code", "Origin", "Weight", "Value", "Quantity", "Properties"]
    return fragment(
        tag("h1", None, f"Order {fields['order_number']}"),
        tag(
            "div",
            {"class": "columns"},
            _card("Shipping", tag("dl", None, about), tag("p", None), actions),
            _card("Parcels", _parcel_list(made)),
        ),
        tag("h2", None, "Items"),
        _table(names, items, "No items were sent."),
        _card("What the shop sent", sent),
    )


def _parcel_list(made: Sequence[Parcel]) -> Markup:
    if not made:
        return tag("p", {"class": "quiet"}, "No label yet.")
    rows = []
    for parcel in made:
        link = tag("a", {"href": f"/parcels/{parcel.id}/"}, parcel.tracking_number)
        advance = _form(f"/parcels/{parcel.id}/next/", _button("Next step")) if parcel.next_status else None
        rows.append(_row(("Parcel", link), ("Status", _status(parcel)), ("", advance)))
    return tag("table", None, tag("tbody", None, rows))


# Parcels


def parcels(found: Sequence[Parcel], total: int, start: int) -> Markup:
    """List parcels, newest first."""
    rows = [
        _row(
            ("Parcel", tag("a", {"href": f"/parcels/{parcel.id}/"}, parcel.tracking_number)),
            ("Order", tag("a", {"href": f"/orders/{parcel.shipment_uuid}/"}, parcel.shipment["order_number"])),
            ("Receiver", parcel.shipment["name"]),
            ("Carrier", parcel.carrier),
            ("Status", _status(parcel)),
            ("Updated", _when(parcel.updated_at)),
            ("", _form(f"/parcels/{parcel.id}/next/", _button("Next step")) if parcel.next_status else None),
        )
        for parcel in found
    ]
    return fragment(
        tag("h1", None, "Parcels ", tag("span", {"class": "quiet"}, total)),
        _table(
            ["Parcel", "Order", "Receiver", "Carrier", "Status", "Updated", ""],
            rows,
            "No parcels yet. Create a label for an incoming order.",
            _pager("/parcels/", {}, start, len(found), total),
        ),
    )


def parcel(parcel: Parcel) -> Markup:
    """Show one parcel, its journey, and what can be done with it."""
    address = f"/parcels/{parcel.id}"
    choices = [
        tag("option", {"value": key, "selected": key == parcel.status_id}, f"{name} ({key})")
        for key, name in STATUSES.items()
    ]
    following = parcel.next_status
    advance = _form(f"{address}/next/", _button(f"Next step: {STATUSES[following]}", "main")) if following else None
    choose = _form(
        f"{address}/status/",
        tag("label", None, "Any status", tag("select", {"name": "status"}, choices)),
        _button("Set"),
    )
    others = [_form(f"{address}/cancel/", _button("Cancel parcel", "danger"))]
    if not parcel.is_return:
        others.insert(0, _form(f"{address}/return/", _button("Create return")))
    journey = [
        tag("li", None, STATUSES.get(key, f"Status {key}"), tag("time", None, _when(moment)))
        for moment, key in reversed(parcel.statuses)
    ]
    about = [
        _term("Status", _status(parcel)),
        _term("Order", tag("a", {"href": f"/orders/{parcel.shipment_uuid}/"}, parcel.shipment["order_number"])),
        _term("Receiver", parcel.shipment["name"]),
        _term("Carrier", parcel.carrier),
        _term("Weight", f"{parcel.weight} kg"),
        _term("Parcel id", parcel.id),
        _term("In its shipment", f"{parcel.collo_nr + 1} of {parcel.collo_count}"),
        _term(
            "Label",
            tag("a", {"href": f"{address}/label.pdf"}, "A6"),
            " ",
            tag("a", {"href": f"{address}/a4.pdf"}, "A4"),
        ),
    ]
    if parcel.outgoing_id is not None:
        about.append(_term("Returns", tag("a", {"href": f"/parcels/{parcel.outgoing_id}/"}, parcel.outgoing_id)))
    return fragment(
        tag("h1", None, "Return " if parcel.is_return else "Parcel ", parcel.tracking_number),
        tag(
            "div",
            {"class": "columns"},
            tag(
                "div",
                None,
                _card("Parcel", tag("dl", None, about)),
                _card(
                    "What happens next",
                    tag("div", {"class": "actions"}, advance, others),
                    tag("div", {"class": "actions"}, choose),
                ),
            ),
            _card("Journey", tag("ol", {"class": "timeline"}, journey)),
        ),
    )


# Webhooks and requests


def webhooks(found: Sequence[DeliveredWebhook], total: int, start: int) -> Markup:
    """List webhooks, newest first."""
    rows = [
        _row(
            ("No.", tag("a", {"href": f"/webhooks/{webhook.number}/"}, webhook.number)),
            ("Action", webhook.action),
            ("To", webhook.url),
            ("Attempts", len(webhook.attempts)),
            ("Last answer", webhook.attempts[-1][1] if webhook.attempts else None),
            ("State", _webhook_state(webhook)),
            ("", _form(f"/webhooks/{webhook.number}/again/", _button("Send again"))),
        )
        for webhook in found
    ]
    return fragment(
        tag("h1", None, "Webhooks ", tag("span", {"class": "quiet"}, total)),
        _table(
            ["No.", "Action", "To", "Attempts", "Last answer", "State", ""],
            rows,
            "No webhooks yet. An integration sends them when its webhook is active and has an address.",
            _pager("/webhooks/", {}, start, len(found), total),
        ),
    )


def webhook(webhook: DeliveredWebhook) -> Markup:
    """Show one webhook with all its attempts."""
    attempts = [_row(("When", _when(moment)), ("Answer", outcome)) for moment, outcome in webhook.attempts]
    headers = tag("dl", None, [_term(name, value) for name, value in webhook.headers.items()])
    about = tag(
        "dl",
        None,
        _term("State", _webhook_state(webhook)),
        _term("To", webhook.url),
        _term("Integration", webhook.integration_id),
    )
    return fragment(
        tag("h1", None, f"Webhook {webhook.number}: {webhook.action}"),
        tag(
            "div",
            {"class": "columns"},
            _card(
                "Delivery", about, tag("p", None), _form(f"/webhooks/{webhook.number}/again/", _button("Send again"))
            ),
            _card("Headers", headers),
        ),
        tag("h2", None, "Attempts"),
        _table(["When", "Answer"], attempts, "Not sent yet."),
        _card("Body", _code(_pretty(webhook.body))),
    )


def requests(found: Sequence[LoggedRequest], total: int, start: int) -> Markup:
    """List requests, newest first."""
    rows = [
        _row(
            ("No.", tag("a", {"href": f"/requests/{request.number}/"}, request.number)),
            ("Received", _when(request.wall)),
            ("Request", f"{request.method} {request.path}"),
            ("Shipments", _outcomes(request)),
            ("Status", _request_status(request)),
        )
        for request in found
    ]
    return fragment(
        tag("h1", None, "Requests ", tag("span", {"class": "quiet"}, total)),
        _table(
            ["No.", "Received", "Request", "Shipments", "Status"],
            rows,
            "Nothing was asked of the API yet.",
            _pager("/requests/", {}, start, len(found), total),
        ),
    )


def request(request: LoggedRequest) -> Markup:
    """Show one request."""
    took = f"{(request.finished - request.time) * 1000:.1f} ms" if request.finished else None
    about = tag(
        "dl",
        None,
        _term("Operation", request.operation),
        _term("Received", _when(request.wall)),
        _term("Status", _request_status(request)),
        _term("Took", took),
        _term("Query", request.query),
        _term("Integration", request.integration_id),
        _term("Fault", request.fault),
    )
    items = [
        _row(("Order", item.external_order_id), ("Shipment", item.external_shipment_id), ("Outcome", item.outcome))
        for item in request.items
    ]
    headers = tag("dl", None, [_term(name, value) for name, value in request.headers.items()])
    body = "no longer kept" if request.raw is None else _pretty(request.raw)
    return fragment(
        tag("h1", None, f"{request.method} {request.path}"),
        tag("div", {"class": "columns"}, _card("Request", about), _card("Headers", headers)),
        fragment(tag("h2", None, "Shipments"), _table(["Order", "Shipment", "Outcome"], items, "")) if items else None,
        _card("Body", _code(body)) if body else None,
    )


# Integrations and faults


def integrations(found: Sequence[SandboxIntegration], sandbox: Sandbox) -> Markup:
    """Show all integrations with their keys and settings."""
    new = _form("/integrations/add/", _field("Name", "shop_name", "Another shop"), _button("Connect another shop"))
    return fragment(
        tag("h1", None, "Integrations"),
        [_integration(integration, sandbox) for integration in found],
        tag("div", {"class": "card actions"}, new),
    )


def _integration(integration: SandboxIntegration, sandbox: Sandbox) -> Markup:
    address = f"/integrations/{integration.id}"
    environment = [
        f"SENDCLOUD_BASE_URL={sandbox.base_url}",
        f"SENDCLOUD_PUBLIC_KEY={integration.public_key}",
        f"SENDCLOUD_SECRET_KEY={integration.secret_key}",
        f"SENDCLOUD_INTEGRATION_ID={integration.id}",
    ]
    if integration.auth == "oauth2":
        environment.append(f"SENDCLOUD_TOKEN_URL={sandbox.token_url}")
    settings = tag(
        "form",
        {"method": "post", "action": f"{address}/save/", "class": "fields"},
        _field("Shop name", "shop_name", integration.shop_name),
        _field("Shop address", "shop_url", integration.shop_url),
        _field("Webhook address", "webhook_url", integration.webhook_url),
        _check("Webhook feedback enabled", "webhook_active", integration.webhook_active),
        _field(
            "Webhook signature key (the secret key where empty)",
            "webhook_signature_key",
            integration.webhook_signature_key,
        ),
        _check("Service points enabled", "service_point_enabled", integration.service_point_enabled),
        _field("Carriers", "service_point_carriers", " ".join(integration.service_point_carriers)),
        tag("div", {"class": "actions"}, _button("Save", "main")),
    )
    keys = ("restore", "Accept the keys again") if integration.revoked else ("revoke", "Refuse the keys")
    actions = [
        _form(f"{address}/test/", _button("Send test webhook")),
        _form(f"{address}/credentials/", _button("Send keys by webhook")),
        _form(f"{address}/{keys[0]}/", _button(keys[1])),
        _form(f"{address}/delete/", _button("Delete integration", "danger")),
    ]
    badges = [
        tag("span", {"class": "badge"}, f"account {integration.account}"),
        tag("span", {"class": "badge"}, "OAuth2" if integration.auth == "oauth2" else "Basic auth"),
        tag("span", {"class": "badge bad"}, "keys refused") if integration.revoked else None,
        tag("span", {"class": "badge bad"}, "webhooks failing") if integration.failing_since else None,
    ]
    return tag(
        "section",
        {"class": "card"},
        tag("div", {"class": "top"}, tag("h2", None, integration.shop_name), tag("span", None, _spaced(badges))),
        tag(
            "div",
            {"class": "columns"},
            settings,
            tag(
                "div",
                None,
                tag("p", {"class": "quiet"}, "For the shop’s environment:"),
                _code("\n".join(f"export {line}" for line in environment)),
                tag("div", {"class": "actions"}, actions),
            ),
        ),
    )


def faults(sandbox: Sandbox) -> Markup:
    """Show the switches for what can go wrong."""
    waiting = [
        _row(
            ("Fault", fault.kind),
            ("Requests", fault.match or "any"),
            ("Times", fault.times),
            ("Status", fault.status if fault.kind == "answer" else None),
            ("Applied", fault.apply),
        )
        for fault in sandbox.faults
    ]
    match_field = _field("Only requests like", "match", "", placeholder="POST shipments")
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
    }
    kind = tag("select", {"name": "kind"}, [tag("option", {"value": key}, name) for key, name in kinds.items()])
    lasting = tag(
        "form",
        {"method": "post", "action": "/faults/set/", "class": "fields"},
        _check("Rate limits: 100 unsafe and 1,000 safe requests a minute", "rate_limits", sandbox.rate_limits),
        _field("Retry-After of a 429", "retry_after", sandbox.retry_after, placeholder="none, as Sendcloud does"),
        _field("Every answer takes longer, in seconds", "latency", f"{sandbox.latency:g}"),
        _check("Pause: leave all requests unanswered", "paused", sandbox.paused),
        tag("div", {"class": "actions"}, _button("Save", "main")),
    )
    return fragment(
        tag("h1", None, "Faults"),
        tag(
            "div",
            {"class": "columns"},
            _card("Until switched off", lasting),
            _card(
                "The next requests",
                tag(
                    "form",
                    {"method": "post", "action": "/faults/next/", "class": "fields"},
                    tag("label", None, "What happens", kind),
                    tag("div", {"class": "actions"}, times, status, seconds),
                    match_field,
                    _check("Apply the request all the same", "apply", False),
                    tag("div", {"class": "actions"}, _button("Switch on", "main")),
                ),
            ),
        ),
        tag("h2", None, "Waiting for a request"),
        _table(["Fault", "Requests", "Times", "Status", "Applied"], waiting, "None."),
        tag(
            "div",
            {"class": "actions"},
            _form("/faults/clear/", _button("Switch all faults off")),
            _form("/reset/", _button("Forget orders, parcels, webhooks and requests", "danger")),
        ),
    )


# What pages are made of


def _card(title: str, *children: Any) -> Markup:
    return tag("section", {"class": "card"}, tag("h2", None, title), *children)


def _code(text: str) -> Markup:
    # It scrolls, so it must be reached by the keyboard.
    return tag("pre", {"tabindex": 0}, text)


def _table(names: Sequence[str], rows: Sequence[Markup], empty: str, pager: Markup | None = None) -> Markup:
    if not rows:
        return tag("div", {"class": "card empty"}, empty)
    head = tag("thead", None, tag("tr", None, [tag("th", {"scope": "col"}, name) for name in names]))
    return tag("div", {"class": "card flush"}, tag("table", None, head, tag("tbody", None, rows)), pager)


def _row(*cells: tuple[str, Any]) -> Markup:
    def shown(name: str, value: Any) -> Any:
        return "–" if name and value in (None, "") else value

    return tag("tr", None, [tag("td", {"data-label": name or None}, shown(name, value)) for name, value in cells])


def _pager(address: str, query: Mapping[str, Any], start: int, shown: int, total: int) -> Markup | None:
    if total <= PAGE:
        return None

    def link(text: str, first: int, there: bool) -> Markup:
        return (
            tag("a", {"href": f"{address}?{urlencode({**query, 'start': first})}"}, text)
            if there
            else tag("span", None)
        )

    return tag(
        "div",
        {"class": "pager"},
        link("← Newer", max(start - PAGE, 0), start > 0),
        tag("span", {"class": "quiet"}, f"{start + 1}–{start + shown} of {total}"),
        link("Older →", start + PAGE, start + shown < total),
    )


def _term(name: str, *values: Any) -> Markup:
    shown = [_plain(value) for value in values]
    return fragment(tag("dt", None, name), tag("dd", None, "–" if shown in ([None], [""]) else shown))


def _form(address: str, *children: Any) -> Markup:
    return tag("form", {"method": "post", "action": address}, *children)


def _button(text: str, kind: str = "") -> Markup:
    return tag("button", {"class": kind or None}, text)


def _field(text: str, name: str, value: Any, *, placeholder: str | None = None) -> Markup:
    shown = "" if value is None else value
    return tag("label", None, text, tag("input", {"name": name, "value": shown, "placeholder": placeholder}))


def _check(text: str, name: str, checked: bool) -> Markup:
    box = tag("input", {"type": "checkbox", "name": name, "value": "on", "checked": checked})
    return tag("label", {"class": "check"}, box, text)


def _spaced(parts: Iterable[Markup | None]) -> Markup:
    return Markup(" ".join(part for part in parts if part is not None))


def _plain(value: Any) -> Any:
    """Show a value of JSON to a person."""
    if isinstance(value, Mapping):
        if value.keys() == {"id", "message"}:
            return f"{value['message']} ({value['id']})"
        return ", ".join(f"{key}: {'–' if item is None else item}" for key, item in value.items())
    return value


def _nested(value: Any) -> Any:
    """Show a value of JSON that may have others in it."""
    if isinstance(value, Mapping) and value.keys() != {"id", "message"}:
        return _code(json.dumps(value, indent=2, ensure_ascii=False))
    return value


def _pretty(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.decode("utf-8", "replace")


def _when(moment: dt.datetime) -> Markup:
    # Broken between day and time, if anywhere.
    day, time = moment.strftime("%d %b %Y|%H:%M:%S UTC").replace(" ", "\N{NO-BREAK SPACE}").split("|")
    return tag("time", {"datetime": moment.isoformat()}, f"{day} {time}")


def _count(shipment: StoredShipment) -> str:
    return f"{sum(int(item['quantity']) for item in shipment.fields['parcel_items'] or ()):,}"


def _money(shipment: StoredShipment) -> str | None:
    value = shipment.fields.get("total_order_value")
    return f"{value}\N{NO-BREAK SPACE}{shipment.fields['currency'] or ''}" if value else None


def _status(parcel: Parcel) -> Markup:
    kind = "good" if parcel.status_id in _GOOD else "bad" if parcel.status_id in _BAD else "busy"
    return tag("span", {"class": f"badge {kind}"}, parcel.status_message)


def _order_state(made: Sequence[Parcel]) -> Markup:
    outgoing = [parcel for parcel in made if not parcel.is_return]
    if not outgoing:
        return tag("span", {"class": "badge"}, "Ready to process")
    more = tag("span", {"class": "quiet"}, f"+{len(outgoing) - 3}") if len(outgoing) > 3 else None
    return _spaced([*map(_status, outgoing[:3]), more])


def _webhook_state(webhook: DeliveredWebhook) -> Markup:
    kind = {"delivered": "good", "failed": "bad"}.get(webhook.state, "busy")
    return tag("span", {"class": f"badge {kind}"}, webhook.state)


def _request_status(request: LoggedRequest) -> Markup:
    if request.status is None:
        text = "no answer" if request.finished else "waiting"
        return tag("span", {"class": "badge bad" if request.finished else "badge busy"}, text)
    return tag("span", {"class": "badge good" if request.status < 400 else "badge bad"}, request.status)


def _outcomes(request: LoggedRequest) -> str:
    counted: dict[str, int] = {}
    for item in request.items:
        counted[item.outcome] = counted.get(item.outcome, 0) + 1
    return ", ".join(f"{number} {outcome}" for outcome, number in counted.items())
