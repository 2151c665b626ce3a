"""Pages of parcels."""

from __future__ import annotations

from collections.abc import Sequence

from ...parcels import STATUSES, Parcel
from ..markup import Markup, fragment, tag
from ..parts import button, card, form, pager, row, table, term, when
from .states import parcel_state

__all__ = ["parcel", "parcel_list", "parcels"]


def parcels(found: Sequence[Parcel], total: int, start: int) -> Markup:
    """List parcels, newest first."""
    rows = [
        row(
            ("Parcel", tag("a", {"href": f"/parcels/{parcel.id}/"}, parcel.tracking_number)),
            ("Order", tag("a", {"href": f"/orders/{parcel.shipment_uuid}/"}, parcel.shipment["order_number"])),
            ("Receiver", parcel.shipment["name"]),
            ("Carrier", parcel.carrier),
            ("Status", parcel_state(parcel)),
            ("Updated", when(parcel.updated_at)),
            ("", form(f"/parcels/{parcel.id}/next/", button("Next step")) if parcel.next_status else None),
        )
        for parcel in found
    ]
    return fragment(
        tag("h1", None, "Parcels ", tag("span", {"class": "quiet"}, total)),
        table(
            ["Parcel", "Order", "Receiver", "Carrier", "Status", "Updated", ""],
            rows,
            "No parcels yet. Create a label for an incoming order.",
            pager("/parcels/", {}, start, len(found), total),
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
    advance = form(f"{address}/next/", button(f"Next step: {STATUSES[following]}", "main")) if following else None
    choose = form(
        f"{address}/status/",
        tag("label", None, "Any status", tag("select", {"name": "status"}, choices)),
        button("Set"),
    )
    others = [form(f"{address}/cancel/", button("Cancel parcel", "danger"))]
    if not parcel.is_return:
        others.insert(0, form(f"{address}/return/", button("Create return")))
    journey = [
        tag("li", None, STATUSES.get(key, f"Status {key}"), tag("time", None, when(moment)))
        for moment, key in reversed(parcel.statuses)
    ]
    about = [
        term("Status", parcel_state(parcel)),
        term("Order", tag("a", {"href": f"/orders/{parcel.shipment_uuid}/"}, parcel.shipment["order_number"])),
        term("Receiver", parcel.shipment["name"]),
        term("Carrier", parcel.carrier),
        term("Weight", f"{parcel.weight} kg"),
        term("Parcel id", parcel.id),
        term("In its shipment", f"{parcel.collo_nr + 1} of {parcel.collo_count}"),
        term(
            "Label",
            tag("a", {"href": f"{address}/label.pdf"}, "A6"),
            " ",
            tag("a", {"href": f"{address}/a4.pdf"}, "A4"),
        ),
    ]
    if parcel.outgoing_id is not None:
        about.append(term("Returns", tag("a", {"href": f"/parcels/{parcel.outgoing_id}/"}, parcel.outgoing_id)))
    return fragment(
        tag("h1", None, "Return " if parcel.is_return else "Parcel ", parcel.tracking_number),
        tag(
            "div",
            {"class": "columns"},
            tag(
                "div",
                None,
                card("Parcel", tag("dl", None, about)),
                card(
                    "Next step",
                    tag("div", {"class": "actions"}, advance, others),
                    tag("div", {"class": "actions"}, choose),
                ),
            ),
            card("Journey", tag("ol", {"class": "timeline"}, journey)),
        ),
    )


def parcel_list(made: Sequence[Parcel]) -> Markup:
    if not made:
        return tag("p", {"class": "quiet"}, "No label yet.")
    rows = []
    for parcel in made:
        link = tag("a", {"href": f"/parcels/{parcel.id}/"}, parcel.tracking_number)
        advance = form(f"/parcels/{parcel.id}/next/", button("Next step")) if parcel.next_status else None
        rows.append(row(("Parcel", link), ("Status", parcel_state(parcel)), ("", advance)))
    return tag("table", None, tag("tbody", None, rows))
