"""What an order looks like to Sendcloud: frozen values that check themselves and write the contract's JSON.

::

    ShipmentPayload(
        external_order_id="1042", order_number="1042", created_at=order.created_at,
        name="Ada Example", address="Stationsplein 1", postal_code="1012 AB", city="Amsterdam", country="NL",
        parcel_items=[ParcelItem(description="Mug", quantity=2, value=cents(1299), weight=grams(350))],
    )

Imports nothing but the standard library.
"""

from __future__ import annotations

from .checkout import CheckoutPayload, DeliveryMethodData, ShippingProduct
from .countries import COUNTRIES
from .customs import CustomsDetails, Money, TaxNumber, TaxNumbers
from .parcel_items import ParcelItem
from .rules import JSON
from .shipment import ShipmentPayload, Status
from .units import cents, grams

__all__ = [
    "COUNTRIES",
    "JSON",
    "CheckoutPayload",
    "CustomsDetails",
    "DeliveryMethodData",
    "Money",
    "ParcelItem",
    "ShipmentPayload",
    "ShippingProduct",
    "Status",
    "TaxNumber",
    "TaxNumbers",
    "cents",
    "grams",
]
