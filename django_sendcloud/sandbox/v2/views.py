"""Stored things as v2 shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..moments import iso, parse_moment
from ..parcels import UNSTAMPED_LETTER
from ..store import StoredOrder
from .shipment_checks import SHIPMENT_FIELDS

__all__ = ["log_json", "shipment_json"]

_SHOP_TIMES: Final = {"created_at": "shipment_created_at", "updated_at": "shipment_updated_at"}
_SHOWN: Final = [name for name in SHIPMENT_FIELDS if name not in _SHOP_TIMES and name != "checkout_payload"]


def shipment_json(order: StoredOrder) -> dict[str, Any]:
    """Return an order as a shipment (contract: ``ShipmentBlobOrder``).

    ``created_at`` and ``updated_at`` are Sendcloud's times; the shop's own times have other names.
    """
    fields = order.shipment
    shown: dict[str, Any] = {name: fields.get(name) for name in _SHOWN}
    if "checkout_payload" in fields:
        shown["checkout_payload"] = fields["checkout_payload"]
    method = fields.get("shipping_method")
    shown |= {
        "allowed_shipping_methods": [UNSTAMPED_LETTER] if method is None else sorted({UNSTAMPED_LETTER, method}),
        "barcode": f"SANDBOX{order.number:09d}",
        "integration": order.integration_id,
        "sender_address": order.sender_address,
        "shipment_uuid": order.uuid,
        "created_at": iso(order.created_at),
        "updated_at": iso(order.updated_at),
    }
    for sent, name in _SHOP_TIMES.items():
        moment = parse_moment(fields[sent])
        shown[name] = iso(moment) if moment else fields[sent]
    return shown


def log_json(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the connection log without the fields that the contract has write-only."""
    return {name: value for name, value in entry.items() if name not in ("integration_id", "user_id")}
