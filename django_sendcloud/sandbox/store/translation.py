"""Translation between the documents of v2 (shipments) and v3 (orders)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

__all__ = ["order_of_shipment", "shipment_of_order"]

_CUSTOMS_TYPES: Final = {0: "gift", 2: "commercial_goods", 3: "commercial_sample", 4: "returned_goods"}
_CUSTOMS_NUMBERS: Final = {name: number for number, name in _CUSTOMS_TYPES.items()}
_COSTS: Final = ("discount_granted", "insurance_costs", "freight_costs", "other_costs")
_ITEM_TEXTS: Final = ("sku", "product_id", "hs_code", "mid_code", "material_content", "intended_use")
_KILOGRAMS: Final = {"kg": Decimal(1), "g": Decimal("0.001"), "lbs": Decimal("0.45359237"), "oz": Decimal("0.02834952")}
_CENTIMETRES: Final = {
    "cm": Decimal(1),
    "mm": Decimal("0.1"),
    "m": Decimal(100),
    "yd": Decimal("91.44"),
    "ft": Decimal("30.48"),
    "in": Decimal("2.54"),
}


# v2 to v3


def order_of_shipment(shipment: Mapping[str, Any], integration_id: int) -> dict[str, Any]:
    """Return a v2 shipment as a v3 order."""
    currency = shipment["currency"] or "EUR"
    items = [_order_item(item, currency) for item in shipment["parcel_items"] or ()]
    total = shipment.get("total_order_value")
    if total is None:
        total = sum((Decimal(item["value"]) * item["quantity"] for item in shipment["parcel_items"] or ()), Decimal())
    order: dict[str, Any] = {
        "order_id": shipment["external_order_id"],
        "order_number": shipment["order_number"],
        "order_details": {
            "integration": {"id": integration_id},
            "status": _status(shipment["order_status"], "unfulfilled"),
            "order_created_at": shipment["created_at"],
            "order_updated_at": shipment["updated_at"],
            "order_items": items,
        },
        "payment_details": {
            "total_price": {"value": float(total), "currency": currency},
            "status": _status(shipment["payment_status"], "unspecified"),
        },
        "customer_details": {
            "name": shipment["name"],
            "phone_number": shipment["telephone"],
            "email": shipment["email"],
        },
        "shipping_address": _order_address(shipment),
    }
    customs = shipment.get("customs_details") or {}
    order["payment_details"] |= {name: dict(customs[name]) for name in _COSTS if customs.get(name)}
    if customs_details := _order_customs(shipment, customs):
        order["customs_details"] = customs_details
    if shipping_details := _shipping_details(shipment):
        order["shipping_details"] = shipping_details
    if shipment["to_service_point"] is not None:
        order["service_point_details"] = {
            "id": str(shipment["to_service_point"]),
            "post_number": shipment["to_post_number"],
        }
    return order


def _status(status: Mapping[str, Any] | None, code: str) -> dict[str, Any]:
    return {"code": status["id"], "message": status["message"]} if status else {"code": code}


def _order_item(item: Mapping[str, Any], currency: str) -> dict[str, Any]:
    value = Decimal(item["value"])
    shown: dict[str, Any] = {
        "name": item["description"],
        "quantity": int(item["quantity"]),
        "unit_price": {"value": float(value), "currency": currency},
        "total_price": {"value": float(value * int(item["quantity"])), "currency": currency},
    }
    shown |= {name: item[name] for name in _ITEM_TEXTS if item.get(name) is not None}
    if item.get("origin_country"):
        shown["country_of_origin"] = item["origin_country"]
    if item.get("properties"):
        shown["properties"] = {name: text for name, text in item["properties"].items() if text is not None}
    if item.get("weight") and Decimal(item["weight"]) > 0:
        shown["measurement"] = {"weight": {"value": float(item["weight"]), "unit": "kg"}}
    return shown


def _order_address(shipment: Mapping[str, Any]) -> dict[str, Any]:
    address = {
        "name": shipment["name"],
        "company_name": shipment["company_name"],
        "address_line_1": shipment["address"],
        "house_number": shipment["house_number"],
        "address_line_2": shipment["address_2"],
        "postal_code": shipment["postal_code"],
        "city": shipment["city"],
        "country_code": shipment["country"],
        "phone_number": shipment["telephone"],
    }
    if shipment["to_state"]:
        address["state_province_code"] = shipment["to_state"]
    if shipment["email"]:
        address["email"] = shipment["email"]
    return address


def _order_customs(shipment: Mapping[str, Any], customs: Mapping[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = {}
    if shipment["customs_invoice_nr"]:
        details["commercial_invoice_number"] = shipment["customs_invoice_nr"]
    if shipment["customs_shipment_type"] in _CUSTOMS_TYPES:
        details["shipment_type"] = _CUSTOMS_TYPES[shipment["customs_shipment_type"]]
    if taxes := customs.get("tax_numbers"):
        names = {"sender": "sender", "receiver": "receiver", "importer_of_records": "importer_of_record"}
        details["tax_numbers"] = {names[name]: numbers for name, numbers in taxes.items() if name in names}
    return details


def _shipping_details(shipment: Mapping[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = {}
    measurement: dict[str, Any] = {}
    sides = [shipment.get(name) for name in ("length", "width", "height")]
    if all(side is not None for side in sides):
        lengths = dict(zip(("length", "width", "height"), (float(side) for side in sides if side), strict=False))
        if len(lengths) == 3:
            measurement["dimension"] = {**lengths, "unit": "cm"}
    if shipment.get("weight") and Decimal(shipment["weight"]) > 0:
        measurement["weight"] = {"value": float(shipment["weight"]), "unit": "kg"}
    if measurement:
        details["measurement"] = measurement
    if shipment["shipping_method_checkout_name"]:
        details["delivery_indicator"] = shipment["shipping_method_checkout_name"]
    return details


# v3 to v2


def shipment_of_order(order: Mapping[str, Any]) -> dict[str, Any]:
    """Return a v3 order as a v2 shipment without ``external_shipment_id``."""
    details, payment = order["order_details"], order["payment_details"]
    address, customs = order.get("shipping_address") or {}, order.get("customs_details") or {}
    shipping, point = order.get("shipping_details") or {}, order.get("service_point_details") or {}
    measurement = shipping.get("measurement") or {}
    service_point = str(point.get("id", ""))
    return {
        "address": address.get("address_line_1", ""),
        "address_2": address.get("address_line_2", ""),
        "city": address.get("city", ""),
        "company_name": address.get("company_name", ""),
        "country": address.get("country_code", ""),
        "created_at": details["order_created_at"],
        "currency": payment["total_price"].get("currency"),
        "customs_invoice_nr": customs.get("commercial_invoice_number", ""),
        "customs_shipment_type": _CUSTOMS_NUMBERS.get(customs.get("shipment_type", "")),
        "email": address.get("email") or (order.get("customer_details") or {}).get("email", ""),
        "external_order_id": order["order_id"],
        "external_shipment_id": None,
        "house_number": address.get("house_number", ""),
        "name": address.get("name") or (order.get("customer_details") or {}).get("name", ""),
        "order_number": order["order_number"],
        "order_status": _old_status(details["status"]),
        "parcel_items": [_shipment_item(item) for item in details["order_items"]],
        "payment_status": _old_status(payment["status"]),
        "postal_code": address.get("postal_code", ""),
        "shipping_method": None,
        "shipping_method_checkout_name": shipping.get("delivery_indicator", "")[:100],
        "telephone": address.get("phone_number") or (order.get("customer_details") or {}).get("phone_number", ""),
        "to_post_number": point.get("post_number", ""),
        "to_service_point": int(service_point) if service_point.isascii() and service_point.isdecimal() else None,
        "to_state": address.get("state_province_code") or None,
        "total_order_value": _text(payment["total_price"].get("value")),
        "updated_at": details.get("order_updated_at") or details["order_created_at"],
        "weight": _converted(measurement.get("weight"), _KILOGRAMS),
        **_sides(measurement.get("dimension")),
        "customs_details": _old_customs(payment, customs),
    }


def _old_status(status: Mapping[str, Any]) -> dict[str, Any]:
    return {"id": status["code"], "message": status.get("message") or status["code"]}


def _shipment_item(item: Mapping[str, Any]) -> dict[str, Any]:
    price = item.get("unit_price") or item["total_price"]
    shown: dict[str, Any] = {
        "description": item["name"],
        "quantity": int(item["quantity"]),
        "value": _text(price.get("value")) or "0",
        "weight": _converted((item.get("measurement") or {}).get("weight"), _KILOGRAMS),
        "origin_country": item.get("country_of_origin"),
    }
    shown |= {name: item[name] for name in _ITEM_TEXTS if item.get(name) is not None}
    if item.get("properties"):
        shown["properties"] = {name: str(value) for name, value in item["properties"].items()}
    return shown


def _old_customs(payment: Mapping[str, Any], customs: Mapping[str, Any]) -> dict[str, Any] | None:
    found: dict[str, Any] = {name: payment[name] for name in _COSTS if payment.get(name)}
    if taxes := customs.get("tax_numbers"):
        names = {"sender": "sender", "receiver": "receiver", "importer_of_record": "importer_of_records"}
        found["tax_numbers"] = {names[name]: numbers for name, numbers in taxes.items() if name in names}
    return found or None


def _sides(dimension: Mapping[str, Any] | None) -> dict[str, str]:
    if not dimension:
        return {}
    unit = _CENTIMETRES[dimension["unit"]]
    return {name: f"{Decimal(str(dimension[name])) * unit:.2f}"[:10] for name in ("length", "width", "height")}


def _converted(measured: Mapping[str, Any] | None, units: Mapping[str, Decimal]) -> str | None:
    if not measured:
        return None
    # v2 has three decimals and nothing below a gram.
    value = Decimal(str(measured["value"])) * units[measured["unit"]]
    return f"{max(value, Decimal('0.001')):.3f}"[:10]


def _text(value: Any) -> str | None:
    return None if value is None else f"{Decimal(str(value)):f}"
