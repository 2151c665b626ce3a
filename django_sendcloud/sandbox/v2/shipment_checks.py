"""Checks of a v2 shipment (contract: ShipmentBlobOrderCreate and the schemas it nests)."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from ...enums import Currency, CustomsShipmentType, DeliveryMethodType
from ..countries import COUNTRIES
from .checks import Check, cost, email, integer, list_of, moment, number, obj, one_of, text

__all__ = ["SHIPMENT_FIELDS", "shipment_errors"]

_status: Final = obj({"id": text(1), "message": text(1)}, ["id", "message"], null=True)

_parcel_item: Final = obj(
    {
        "description": text(1),
        "hs_code": text(0, 12),
        # Sendcloud's own shop integrations send "" for an unknown origin.
        "origin_country": text(null=True, also=one_of(["", *COUNTRIES])),
        "product_id": text(),
        "properties": obj(every=text(null=True)),
        "quantity": integer(1),
        "sku": text(),
        "value": text(also=number()),
        "weight": text(null=True, also=number()),
        "mid_code": text(null=True),
        "material_content": text(null=True),
        "intended_use": text(null=True),
    },
    ["description", "quantity", "value"],
)

_checkout_payload: Final = obj(
    {
        "sender_address_id": integer(),
        # Only the prose lists the fields of a shipping product.
        "shipping_product": obj(
            {"code": text(1), "name": text(1), "selected_functionalities": obj()},
            ["code", "name", "selected_functionalities"],
        ),
        # Only the prose names the types.
        "delivery_method_type": text(1, also=one_of([*DeliveryMethodType])),
        "delivery_method_data": obj(
            {
                "delivery_date": text(also=moment),
                "formatted_delivery_date": text(1),
                "parcel_handover_date": text(also=moment),
            },
            ["delivery_date", "formatted_delivery_date", "parcel_handover_date"],
        ),
    },
    ["sender_address_id", "shipping_product", "delivery_method_type"],
)

_costs: Final = obj({"value": text(null=True, also=cost), "currency": text(null=True)}, null=True)

_tax_number: Final = obj({name: text(null=True) for name in ("name", "country_code", "value")})

_customs_details: Final = obj(
    {
        "discount_granted": _costs,
        "insurance_costs": _costs,
        "freight_costs": _costs,
        "other_costs": _costs,
        "tax_numbers": obj(
            {name: list_of(_tax_number) for name in ("sender", "receiver", "importer_of_records")}, null=True
        ),
    },
    null=True,
)

_dimension: Final = text(0, 10, null=True, also=number())

#: contract: ShipmentBlobOrderCreate, its fields in the document's order.
SHIPMENT_FIELDS: Final[Mapping[str, Check]] = {
    "address": text(1),
    "address_2": text(),
    "city": text(1),
    "company_name": text(),
    "country": text(also=one_of([*COUNTRIES])),
    "created_at": text(also=moment),
    "currency": text(1, null=True, also=one_of([*Currency])),
    "customs_invoice_nr": text(),
    "customs_shipment_type": integer(values=[*CustomsShipmentType], null=True),
    "email": text(also=email),
    "external_order_id": text(1),
    "external_shipment_id": text(1, null=True),
    "house_number": text(),
    "name": text(1),
    "order_number": text(1),
    "order_status": _status,
    "parcel_items": list_of(_parcel_item, null=True),
    "payment_status": _status,
    "postal_code": text(1),
    "shipping_method": integer(null=True),
    "shipping_method_checkout_name": text(0, 100),
    "telephone": text(),
    "to_post_number": text(),
    "to_service_point": integer(null=True),
    "to_state": text(1, null=True),
    "total_order_value": text(null=True, also=number()),
    "updated_at": text(also=moment),
    # Only the prose names the smallest weight.
    "weight": text(0, 10, null=True, also=number(Decimal("0.001"))),
    "checkout_payload": _checkout_payload,
    "width": _dimension,
    "height": _dimension,
    "length": _dimension,
    "customs_details": _customs_details,
}

_OPTIONAL: Final = frozenset(
    {
        "shipping_method",
        "total_order_value",
        "weight",
        "checkout_payload",
        "width",
        "height",
        "length",
        "customs_details",
    }
)

_shipment: Final = obj(SHIPMENT_FIELDS, [name for name in SHIPMENT_FIELDS if name not in _OPTIONAL])


def shipment_errors(value: Any) -> dict[str, Any] | None:
    """Return the errors of one shipment of a batch, by field; ``None`` if it has none."""
    errors = _shipment(value)
    return {"non_field_errors": errors} if isinstance(errors, list) else errors
