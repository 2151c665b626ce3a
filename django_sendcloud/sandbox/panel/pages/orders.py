"""Pages of incoming orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...parcels import Parcel
from ...store import SandboxIntegration, StoredOrder
from ..markup import Markup, fragment, tag
from ..parts import button, card, form, nested, pager, plain, row, table, term, when
from .parcels import parcel_list
from .states import order_state

__all__ = ["order", "orders"]


def orders(
    found: Sequence[StoredOrder], total: int, search: str, start: int, made: Mapping[str, list[Parcel]]
) -> Markup:
    """List incoming orders, newest first."""
    rows = [_row(order, made.get(order.uuid, [])) for order in found]
    query = {"q": search} if search else {}
    field = tag(
        "input",
        {"type": "search", "name": "q", "value": search, "placeholder": "Number, name, city …", "aria-label": "Search"},
    )
    form = tag("form", {"method": "get", "action": "/", "class": "actions"}, field, button("Search"))
    return fragment(
        tag("div", {"class": "top"}, tag("h1", None, "Incoming orders ", tag("span", {"class": "quiet"}, total)), form),
        table(
            ["Order", "API", "Receiver", "To", "Items", "Value", "Received", "State"],
            rows,
            "No order matches." if search else "No orders yet. Connect a shop with the keys under Integrations.",
            pager("/", query, start, len(found), total),
        ),
    )


def _row(order: StoredOrder, made: Sequence[Parcel]) -> Markup:
    fields = order.shipment
    part = tag("span", {"class": "quiet"}, f" {order.part}") if order.part else None
    return row(
        ("Order", fragment(tag("a", {"href": f"/orders/{order.uuid}/"}, order.order_number), part)),
        ("API", tag("span", {"class": "badge"}, order.came_by)),
        ("Receiver", fields["name"]),
        ("To", f"{fields['city']}, {fields['country']}"),
        ("Items", f"{sum(int(item['quantity']) for item in fields['parcel_items'] or ()):,}"),
        ("Value", _money(fields)),
        ("Received", when(order.updated_at)),
        ("State", order_state(made)),
    )


def order(order: StoredOrder, made: Sequence[Parcel], integration: SandboxIntegration | None) -> Markup:
    """Show one order with its whole document."""
    fields = order.shipment
    items = [
        row(
            ("Description", item["description"]),
            ("SKU", item.get("sku")),
            ("HS code", item.get("hs_code")),
            ("Origin", item.get("origin_country")),
            ("Weight", f"{item['weight']} kg" if item.get("weight") else None),
            ("Value", item["value"]),
            ("Quantity", item["quantity"]),
            ("Properties", plain(item.get("properties"))),
        )
        for item in fields["parcel_items"] or ()
    ]
    about = [
        term("Id in v3", order.id),
        term("Id in v2", tag("code", None, order.uuid)),
        term("Part", order.part) if order.part else None,
        term("Came by", order.came_by),
        term("Last changed by", order.generation),
        term("Integration", f"{integration.shop_name} ({integration.id})" if integration else order.integration_id),
        term("Received", when(order.created_at)),
        term("Changed", when(order.updated_at)),
    ]
    known = {"parcel_items", "order_number"}
    sent = tag("dl", None, [term(name, nested(value)) for name, value in order.content.items() if name not in known])
    names = ["Description", "SKU", "HS code", "Origin", "Weight", "Value", "Quantity", "Properties"]
    return fragment(
        tag("h1", None, f"Order {order.order_number}"),
        tag(
            "div",
            {"class": "columns"},
            card("Shipping", tag("dl", None, about), tag("p", None), _actions(order, len(items))),
            card("Parcels", parcel_list(made)),
        ),
        tag("h2", None, "Items"),
        table(names, items, "The shop sent no items."),
        card("Document of the shop", sent),
    )


def _actions(order: StoredOrder, items: int) -> Markup:
    address = f"/orders/{order.uuid}"
    count = tag("input", {"type": "number", "name": "parcels", "value": 1, "min": 1, "max": 20})
    label = form(f"{address}/label/", tag("label", None, "Parcels", count), button("Create label", "main"))
    split = None
    if items > 1:
        parts = tag("input", {"type": "number", "name": "parts", "value": 2, "min": 2, "max": items})
        split = form(f"{address}/split/", tag("label", None, "Parts", parts), button("Split order"))
    return tag("div", {"class": "actions"}, label, split, form(f"{address}/delete/", button("Delete order", "danger")))


def _money(fields: Mapping[str, Any]) -> str | None:
    value = fields.get("total_order_value")
    return f"{value}\N{NO-BREAK SPACE}{fields['currency'] or ''}" if value else None
