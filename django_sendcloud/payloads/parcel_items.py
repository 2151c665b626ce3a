"""What is in a parcel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated

from .base import Extra, Payload
from .rules import OMIT, Country, Integer, Number, Properties, Text, quote

__all__ = ["ParcelItem"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ParcelItem(Payload):
    """One line of an order (contract: ``ParcelItems``). What is ``None`` is left out.

    Args:
        description: What it is, for the packing list and for customs.
        quantity: How many of it, 1 at least.
        value: Price of one piece in major units of the shipment's currency, two decimals at most.
        weight: Weight of one piece in kg, three decimals at most. See :func:`grams`.
        hs_code: Harmonised System code, 12 characters at most. Customs wants it outside the EU.
        origin_country: Where it was made, as a code of :data:`COUNTRIES`. Customs wants it outside the EU.
        sku: The shop's stock keeping unit.
        product_id: The shop's id of the product.
        properties: What tells variants apart, for instance ``{"colour": "red"}``.
        mid_code: Manufacturer identification code, for textiles to the USA.
        material_content: What it is made of, for instance ``100% Cotton``.
        intended_use: What it is used for, for instance ``Personal use``.
        extra: Fields of the contract that are newer than this package.

    Raises:
        PayloadError: a field breaks the contract. All of them are named.
    """

    description: Annotated[str, Text(1)]
    hs_code: Annotated[str | None, Text(max_length=12, none=OMIT)] = None
    origin_country: Annotated[str | None, Country(none=OMIT)] = None
    product_id: Annotated[str | None, Text(none=OMIT)] = None
    properties: Annotated[Mapping[str, str | None] | None, Properties(none=OMIT)] = field(default=None, hash=False)
    quantity: Annotated[int, Integer(minimum=1)]
    sku: Annotated[str | None, Text(none=OMIT)] = None
    value: Annotated[Decimal, Number(max_decimals=2, fixed=True)]
    weight: Annotated[Decimal | None, Number("kg", max_decimals=3, none=OMIT)] = None
    mid_code: Annotated[str | None, Text(none=OMIT)] = None
    material_content: Annotated[str | None, Text(none=OMIT)] = None
    intended_use: Annotated[str | None, Text(none=OMIT)] = None
    extra: Extra = field(default_factory=dict, hash=False)

    def _subject(self) -> str:
        name = self.sku or self.product_id
        return f"parcel item {quote(name)}" if name and isinstance(name, str) else "parcel item"
