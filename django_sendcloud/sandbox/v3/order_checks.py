"""Checks of a v3 order (contract: ``order``, ``order-partial-update`` and the schemas they nest)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ...enums import Currency
from .checks import Check, boolean, choice, date_time, email, integer, list_of, nullable, number, obj, text, url

__all__ = ["ORDER_FIELDS", "check_order", "check_patch", "known_fields"]

_currency_of_contract: Final = choice([*Currency])
_any_currency: Final = text(3, 3)


def _prices(currency: Check) -> tuple[Check, Check]:
    """Return the checks of a price with optional and with required fields."""
    fields = {"value": number(), "currency": currency}
    return obj(fields), obj(fields, ["value", "currency"])


_weight: Final = obj(
    {"value": number(0, above=True), "unit": choice(["kg", "g", "lbs", "oz"])},
    ["value", "unit"],
)
_dimension: Final = obj(
    {name: number(0) for name in ("length", "width", "height")} | {"unit": choice(["cm", "mm", "m", "yd", "ft", "in"])},
    ["length", "width", "height", "unit"],
)
_volume: Final = obj(
    {"value": integer(0), "unit": choice(["m3", "cm3", "l", "ml", "gal"])},
    ["value", "unit"],
)
_measurement: Final = obj({"dimension": _dimension, "weight": _weight, "volume": _volume})

_dangerous_goods: Final = obj(
    {
        name: nullable(text())
        for name in (
            "chemical_record_identifier",
            "packaging_type_quantity",
            "packaging_type",
            "packaging_instruction_code",
            "id_number",
            "class_division_number",
            "quantity",
            "proper_shipping_name",
            "emergency_contact_name",
            "emergency_contact_phone",
            "local_proper_shipping_name",
            "transport_category",
            "tunnel_restriction_code",
        )
    }
    | {
        "regulation_set": choice(["IATA", "ADR"]),
        "unit_of_measurement": choice(["KG", "G", "L", "ML"]),
        "commodity_regulated_level_code": choice(["LQ", "EQ"]),
        "transportation_mode": choice(["Highway", "Ground", "PAX", "CAO"]),
        "adr_packing_group_letter": choice(["I", "II", "III"]),
        "weight_type": choice(["Net", "Gross"]),
    }
)

_status: Final = obj({"code": text(1), "message": text()}, ["code"])
_partial_status: Final = obj({"code": text(), "message": text()})
_cost: Final = nullable(
    obj({"value": nullable(text(pattern=r"[\d]+(\.[\d]+)?")), "currency": nullable(text())}),
)
_costs: Final = dict.fromkeys(("discount_granted", "insurance_costs", "freight_costs", "other_costs"), _cost)
_tax_number: Final = obj({name: nullable(text()) for name in ("name", "country_code", "value")})
_customs_details: Final = nullable(
    obj(
        {
            "commercial_invoice_number": text(),
            "shipment_type": choice(["gift", "commercial_goods", "commercial_sample", "returned_goods"]),
            "export_type": choice(["private", "commercial_b2c", "commercial_b2b"]),
            "tax_numbers": nullable(
                obj({name: list_of(_tax_number) for name in ("sender", "receiver", "importer_of_record")})
            ),
        }
    )
)

_ADDRESS: Final[Mapping[str, Check]] = {
    "name": text(1),
    "company_name": text(),
    "address_line_1": text(),
    "house_number": text(),
    "address_line_2": text(),
    "postal_code": text(1),
    "city": text(1),
    "po_box": nullable(text()),
    "state_province_code": text(),
    "country_code": text(1),
    "email": email,
    "phone_number": text(),
}
_address: Final = obj(_ADDRESS, ["name", "address_line_1", "postal_code", "city", "country_code"])
_ship_with: Final = obj(
    {
        "type": choice(["shipping_option_code"]),
        "properties": obj(
            {"shipping_option_code": nullable(text()), "contract_id": nullable(integer(1))},
            ["shipping_option_code"],
        ),
    },
    ["type", "properties"],
)
_shipping_details: Final = obj(
    {
        "is_local_pickup": nullable(boolean),
        "delivery_indicator": text(),
        "measurement": _measurement,
        "ship_with": _ship_with,
    }
)
_service_point: Final = obj(
    {
        "id": text(),
        "carrier_service_point_id": text(),
        "post_number": text(),
        "latitude": text(),
        "longitude": text(),
        "type": text(),
        "extra_data": obj(),
    },
    exactly_one=["id", "carrier_service_point_id"],
)


def _items(currency: Check, *, partial: bool) -> Check:
    price = _prices(currency)[0]
    fields: dict[str, Check] = {
        "item_id": text() if partial else text(1),
        "product_id": text(),
        "name": text(),
        "description": text(),
        "quantity": integer(0 if partial else 1),
        "sku": text(),
        "hs_code": text(),
        "country_of_origin": text(2, 2),
        "properties": obj(),
        "unit_price": price,
        "total_price": price,
        "measurement": _measurement,
        "mid_code": nullable(text()),
        "material_content": nullable(text()),
        "intended_use": nullable(text()),
    }
    if partial:
        dates: Check = nullable(obj({"handover_at": date_time, "deliver_at": date_time}))
        return list_of(obj(fields | {"delivery_dates": dates}))
    dates = obj({"handover_at": nullable(date_time), "deliver_at": nullable(date_time)})
    more = {
        "variant_id": text(),
        "image_url": url,
        "ean": text(),
        "delivery_dates": dates,
        "dangerous_goods": _dangerous_goods,
    }
    return list_of(obj(fields | more, ["name", "quantity", "total_price"]))


def _order(currency: Check) -> Check:
    price = _prices(currency)[1]
    order_details = obj(
        {
            "integration": obj({"id": integer()}, ["id"]),
            "status": _status,
            "order_created_at": date_time,
            "order_updated_at": date_time,
            "order_items": _items(currency, partial=False),
            "notes": text(),
            "tags": list_of(text()),
        },
        ["integration", "status", "order_created_at", "order_items"],
    )
    payment_details = obj(
        {
            "is_cash_on_delivery": nullable(boolean),
            "total_price": price,
            "subtotal_price": price,
            "estimated_shipping_price": price,
            "estimated_tax_price": price,
            "status": _status,
            "invoice_date": nullable(text()),
        }
        | _costs,
        ["total_price", "status"],
    )
    return obj(
        {
            "id": text(),
            "order_id": text(1),
            "order_number": text(1),
            "order_details": order_details,
            "payment_details": payment_details,
            "customs_details": _customs_details,
            "customer_details": obj({"name": text(), "phone_number": text(), "email": text()}, ["name"]),
            "billing_address": _address,
            "shipping_address": _address,
            "shipping_details": _shipping_details,
            "service_point_details": _service_point,
        },
        ["order_id", "order_number", "order_details", "payment_details"],
    )


def _patch(currency: Check) -> Check:
    price = _prices(currency)[0]
    order_details = obj(
        {
            "integration": obj({"id": integer(1)}),
            "status": _partial_status,
            "order_created_at": date_time,
            "order_updated_at": date_time,
            "order_items": _items(currency, partial=True),
            "notes": nullable(text()),
            "tags": nullable(list_of(text())),
        }
    )
    payment_details = obj(
        {
            "total_price": price,
            "subtotal_price": price,
            "estimated_shipping_price": price,
            "estimated_tax_price": price,
            "status": _partial_status,
            "invoice_date": nullable(text()),
        }
        | _costs
    )
    return obj(
        {
            "id": text(),
            "order_id": text(),
            "order_number": text(),
            "order_details": order_details,
            "payment_details": payment_details,
            "customs_details": _customs_details,
            "customer_details": obj({"name": text(), "phone": text(), "email": text()}),
            "billing_address": obj(_ADDRESS),
            "shipping_address": obj(_ADDRESS),
            "shipping_details": _shipping_details,
            "service_point_details": _service_point,
        }
    )


#: contract: writable fields of an order.
ORDER_FIELDS: Final = (
    "order_id",
    "order_number",
    "order_details",
    "payment_details",
    "customs_details",
    "customer_details",
    "billing_address",
    "shipping_address",
    "shipping_details",
    "service_point_details",
)

_CHECKS: Final = {
    (name, any_currency): build(_any_currency if any_currency else _currency_of_contract)
    for name, build in (("order", _order), ("patch", _patch))
    for any_currency in (False, True)
}


def check_order(value: Any, *, any_currency: bool = False) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the errors of an order: paths and messages."""
    return list(_CHECKS["order", any_currency](value, ()))


def check_patch(value: Any, *, any_currency: bool = False) -> list[tuple[tuple[str | int, ...], str]]:
    """Return the errors of a partial update: paths and messages."""
    return list(_CHECKS["patch", any_currency](value, ()))


def known_fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order without unknown and read-only fields."""
    return {name: document[name] for name in ORDER_FIELDS if name in document}
