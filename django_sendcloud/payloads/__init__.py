"""Orders as Sendcloud sees them: frozen values that check themselves and write the contract's JSON.

::

    ShipmentPayload(
        external_order_id="1042", order_number="1042", created_at=order.created_at,
        name="Ada Example", address="Stationsplein 1", postal_code="1012 AB", city="Amsterdam", country="NL",
        parcel_items=[ParcelItem(description="Mug", quantity=2, value=cents(1299), weight=grams(350))],
    )

Imports nothing but the standard library.
"""

from __future__ import annotations

from .address import Address
from .base import collect
from .checkout import CheckoutPayload, DeliveryMethodData, ShippingProduct
from .countries import COUNTRIES, NO_POSTAL_CODE
from .customs import CustomsDetails, Money, TaxNumber, TaxNumbers
from .dangerous_goods import DangerousGoods
from .discounts import spread_discount
from .notes import Note, NoteLevel
from .parcel_items import ParcelItem
from .preflight import advise, examine, preflight
from .rules import JSON, OtherCurrency
from .ship_with import ShipWith
from .shipment import ShipmentPayload, Status
from .units import centimetres, cents, convert, grams, kilograms

__all__ = [
    "COUNTRIES",
    "JSON",
    "NO_POSTAL_CODE",
    "Address",
    "CheckoutPayload",
    "CustomsDetails",
    "DangerousGoods",
    "DeliveryMethodData",
    "Money",
    "Note",
    "NoteLevel",
    "OtherCurrency",
    "ParcelItem",
    "ShipWith",
    "ShipmentPayload",
    "ShippingProduct",
    "Status",
    "TaxNumber",
    "TaxNumbers",
    "advise",
    "centimetres",
    "cents",
    "collect",
    "convert",
    "examine",
    "grams",
    "kilograms",
    "preflight",
    "spread_discount",
]
