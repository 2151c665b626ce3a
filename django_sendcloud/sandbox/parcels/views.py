"""A parcel as the v2 API and the webhooks of both generations show it."""

from __future__ import annotations

import datetime as dt
import urllib.parse
from collections.abc import Mapping
from typing import Any

from ..countries import COUNTRIES, Country
from .carriers import carrier_name
from .parcel import UNSTAMPED_LETTER, Parcel

__all__ = ["parcel_json", "tracking_url"]


def parcel_json(parcel: Parcel, base_url: str) -> dict[str, Any]:
    """Return a parcel (contract: ``ParcelResponseFull``).

    Args:
        parcel: Parcel to show.
        base_url: Root of the v2 API, for the addresses of labels.
    """
    shipment = parcel.shipment
    street, number = parcel.street_and_number()
    code = shipment["country"]
    country = COUNTRIES.get(code) or Country(code, code, code)
    label = _label(base_url, parcel.id)
    carrier = parcel.carrier
    checkout_name = shipment["shipping_method_checkout_name"]
    customs_type = shipment["customs_shipment_type"]
    shown: dict[str, Any] = {
        "id": parcel.id,
        "name": shipment["name"],
        "company_name": shipment["company_name"],
        "address": f"{street} {number}".strip(),
        "address_2": shipment["address_2"],
        "address_divided": {"street": street, "house_number": number},
        "city": shipment["city"],
        "postal_code": shipment["postal_code"],
        "country": country._asdict(),
        "telephone": shipment["telephone"],
        "email": shipment["email"],
        "carrier": {"code": carrier},
        "shipment": {
            "id": shipment.get("shipping_method") or UNSTAMPED_LETTER,
            "name": f"{carrier_name(carrier)} Standard",
        },
        "shipping_method_checkout_name": checkout_name,
        "date_created": _date(parcel.created_at),
        "date_updated": _date(parcel.updated_at),
        "date_announced": _date(parcel.created_at),
        "tracking_number": parcel.tracking_number,
        "tracking_url": tracking_url(parcel),
        "weight": parcel.weight,
        "label": label,
        "documents": [
            {"type": "label", "size": size, "link": link}
            for size, link in (("a4", label["normal_printer"][0]), ("a6", label["label_printer"]))
        ],
        "status": {"id": parcel.status_id, "message": parcel.status_message},
        "data": {},
        "order_number": shipment["order_number"],
        "shipment_uuid": parcel.shipment_uuid,
        "external_order_id": shipment["external_order_id"],
        "external_shipment_id": shipment["external_shipment_id"] or "",
        "reference": "0",
        "parcel_items": [_item(item) for item in shipment["parcel_items"] or ()],
        "insured_value": 0,
        "total_insured_value": 0,
        "total_order_value": shipment.get("total_order_value") or "0.00",
        "total_order_value_currency": shipment["currency"] or "EUR",
        "to_state": shipment["to_state"] or "",
        "to_service_point": str(shipment["to_service_point"] or ""),
        "type": "parcel",
        "colli_uuid": parcel.colli_uuid,
        "collo_nr": parcel.collo_nr,
        "collo_count": parcel.collo_count,
        "is_return": parcel.is_return,
        "awb_tracking_number": None,
        "box_number": None,
        "length": shipment.get("length"),
        "width": shipment.get("width"),
        "height": shipment.get("height"),
        "customs_invoice_nr": shipment["customs_invoice_nr"],
        "customs_declaration": {},
    }
    # The schema lets neither this nor contract, note and external reference be null.
    if customs_type is not None:
        shown["customs_shipment_type"] = customs_type
    if customs_type is not None and shipment["customs_invoice_nr"]:
        shown["customs_information"] = {
            "customs_invoice_nr": shipment["customs_invoice_nr"],
            "customs_shipment_type": customs_type,
        }
    for name in parcel.hidden:
        if parcel.hidden_empty:
            shown[name] = None if name == "shipment_uuid" else ""
        else:
            del shown[name]
    return shown


def tracking_url(parcel: Parcel) -> str:
    """Return the address of a parcel's tracking page."""
    tracking = {
        "carrier": parcel.carrier,
        "code": parcel.tracking_number,
        "destination": parcel.shipment["country"],
        "lang": "en-gb",
        "type": "parcel",
        "verification": parcel.shipment["postal_code"],
    }
    return f"https://tracking.sendcloud.sc/forward?{urllib.parse.urlencode(_encodable(tracking))}"


def _date(moment: dt.datetime) -> str:
    """Return a moment as parcels write it: the day first, without time zone."""
    return moment.astimezone(dt.UTC).strftime("%d-%m-%Y %H:%M:%S")


def _label(base_url: str, parcel_id: int) -> dict[str, Any]:
    return {
        "label_printer": f"{base_url}/labels/label_printer/{parcel_id}",
        "normal_printer": [f"{base_url}/labels/normal_printer/{parcel_id}?start_from={place}" for place in range(4)],
    }


def _encodable(values: Mapping[str, str]) -> dict[str, bytes]:
    # JSON can hold half a surrogate pair, a URL cannot.
    return {name: value.encode(errors="replace") for name, value in values.items()}


def _item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item as parcels show it (contract: ``parcel-item``)."""
    names = (
        "description",
        "quantity",
        "sku",
        "product_id",
        "properties",
        "mid_code",
        "material_content",
        "intended_use",
    )
    shown = {name: item[name] for name in names if item.get(name) is not None}
    return {
        **shown,
        "hs_code": item.get("hs_code") or "",
        "weight": item.get("weight") or "0.001",
        "value": float(item["value"]),
        "origin_country": item.get("origin_country") or None,
    }
