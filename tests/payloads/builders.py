"""Payloads for tests: whole ones, and the arguments of the smallest valid ones."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from django_sendcloud.payloads import (
    CheckoutPayload,
    CustomsDetails,
    DeliveryMethodData,
    Money,
    ParcelItem,
    ShipmentPayload,
    ShippingProduct,
    Status,
    TaxNumber,
    TaxNumbers,
)

CREATED = dt.datetime(2026, 3, 1, 9, 30, tzinfo=dt.UTC)
UPDATED = dt.datetime(2026, 3, 2, 10, 0, 0, 123456, tzinfo=dt.UTC)


def shipment(**changes: Any) -> ShipmentPayload:
    """Return a shipment with the fewest fields, stamped."""
    required = {
        "external_order_id": "1042",
        "order_number": "A-1042",
        "name": "Ada Example",
        "address": "Stationsplein 1",
        "postal_code": "1012 AB",
        "city": "Amsterdam",
        "country": "NL",
        "created_at": CREATED,
        "updated_at": UPDATED,
    }
    return ShipmentPayload(**(required | changes))


def item(**changes: Any) -> ParcelItem:
    return ParcelItem(**({"description": "Mug", "quantity": 2, "value": Decimal("12.99")} | changes))


def full_shipment() -> ShipmentPayload:
    """Return a shipment with every field of API v2's contract."""
    return shipment(
        external_shipment_id="S1",
        address_2="3 hoog",
        company_name="Example BV",
        currency="EUR",
        customs_invoice_nr="INV-9",
        customs_shipment_type=2,
        email="ada@shop.example",
        house_number="1",
        order_status=Status(id="open", message="Open"),
        parcel_items=[
            item(
                hs_code="691200",
                origin_country="PT",
                product_id="77",
                properties={"colour": "red", "size": None},
                sku="MUG-RED",
                weight=Decimal("0.350"),
                mid_code="PTMUG",
                material_content="100% clay",
                intended_use="Drinking",
            )
        ],
        payment_status=Status(id="paid", message="Paid"),
        shipping_method=8,
        shipping_method_checkout_name="Standard",
        telephone="+31612345678",
        to_post_number="1234567",
        to_service_point=10168633,
        to_state="NH",
        total_order_value=Decimal("25.98"),
        weight=Decimal("1.25"),
        checkout_payload=CheckoutPayload(
            sender_address_id=5,
            shipping_product=ShippingProduct(
                code="postnl:standard", name="PostNL Standard", selected_functionalities={"age_check": 18}
            ),
            delivery_method_type="nominated_day_delivery",
            delivery_method_data=DeliveryMethodData(
                delivery_date=dt.datetime(2026, 3, 5, tzinfo=dt.UTC),
                formatted_delivery_date="March 5, 2026",
                parcel_handover_date=dt.datetime(2026, 3, 4, tzinfo=dt.UTC),
            ),
        ),
        width=Decimal("20"),
        height=Decimal("15.5"),
        length=Decimal("30"),
        customs_details=CustomsDetails(
            discount_granted=Money(value=Decimal("3.99"), currency="EUR"),
            insurance_costs=Money(value=Decimal("9.99"), currency="EUR"),
            freight_costs=Money(value=Decimal("5.99"), currency="EUR"),
            other_costs=Money(value=Decimal("2.99"), currency="EUR"),
            tax_numbers=TaxNumbers(
                sender=[TaxNumber(name="VAT", country_code="NL", value="NL987654321B02")],
                receiver=[TaxNumber(name="VAT", country_code="XI", value="XI123456789")],
                importer_of_records=[TaxNumber(name="EORI", country_code="EL", value="EL1")],
            ),
        ),
    )
