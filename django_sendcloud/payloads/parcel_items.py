"""The lines of an order."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Self

from ..violations import Param
from .base import V3_ONLY, Extra, Payload
from .dangerous_goods import DangerousGoods
from .nested import Nested
from .rules import (
    OMIT,
    Amount,
    Country,
    HSCode,
    Identifier,
    Moment,
    Number,
    Properties,
    Quantity,
    Text,
    WebAddress,
    quote,
    shorten,
)

__all__ = ["ParcelItem"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ParcelItem(Payload):
    """One line of an order (contract: ``ParcelItems``). A field that is ``None`` is left out.

    Args:
        description: Its name, for the packing list and for customs.
        quantity: Number of pieces, 1 at least; a Decimal without a fraction is taken.
        value: Price of one piece in major units of the shipment's currency, two decimals at most.
        weight: Weight of one piece in kg, three decimals at most. See :func:`grams`.
        hs_code: Harmonised System code, written without dots and spaces, 12 digits at most. Customs outside the EU
            demands it.
        origin_country: The country it was made in, as a code of :data:`COUNTRIES`. Customs outside the EU demands it.
        sku: The shop's stock keeping unit.
        product_id: The shop's id of the product.
        properties: The properties that distinguish variants, for instance ``{"colour": "red"}``.
        mid_code: Manufacturer identification code, for textiles to the USA.
        material_content: Its material, for instance ``100% Cotton``.
        intended_use: Its use, for instance ``Personal use``.
        item_id: The shop's id of the line, unique within the order. Labels for several parcels name lines by it.
        details: A longer description.
        variant_id: The shop's id of the variant.
        image_url: Address of a picture; Sendcloud shows it only with a ``product_id``.
        ean: European Article Number (GTIN).
        handover_at: When the carrier shall have it. Knows its time zone, sent in UTC.
        deliver_at: When the buyer shall have it. Knows its time zone, sent in UTC.
        dangerous_goods: The declaration of dangerous goods.
        extra: Fields of API v2's contract that are newer than this package.

    API v3 alone has ``item_id`` and the fields after it; API v2 is sent nothing of them.

    Raises:
        PayloadError: a field breaks the contract. All of them are named.
    """

    description: Annotated[str, Text(1)]
    hs_code: Annotated[str | None, HSCode(none=OMIT)] = None
    origin_country: Annotated[str | None, Country(none=OMIT)] = None
    product_id: Annotated[str | None, Text(none=OMIT)] = None
    properties: Annotated[Mapping[str, str | None] | None, Properties(none=OMIT)] = field(default=None, hash=False)
    quantity: Annotated[int, Quantity()]
    sku: Annotated[str | None, Text(none=OMIT)] = None
    value: Annotated[Decimal, Amount(of_line=True)]
    weight: Annotated[Decimal | None, Number("kg", max_decimals=3, none=OMIT)] = None
    mid_code: Annotated[str | None, Text(none=OMIT)] = None
    material_content: Annotated[str | None, Text(none=OMIT)] = None
    intended_use: Annotated[str | None, Text(none=OMIT)] = None
    item_id: Annotated[str | None, Identifier(1, none=OMIT), V3_ONLY] = None
    details: Annotated[str | None, Text(none=OMIT), V3_ONLY] = None
    variant_id: Annotated[str | None, Identifier(1, none=OMIT), V3_ONLY] = None
    image_url: Annotated[str | None, WebAddress(none=OMIT), V3_ONLY] = None
    ean: Annotated[str | None, Identifier(1, none=OMIT), V3_ONLY] = None
    handover_at: Annotated[dt.datetime | None, Moment(none=OMIT), V3_ONLY] = None
    deliver_at: Annotated[dt.datetime | None, Moment(none=OMIT), V3_ONLY] = None
    dangerous_goods: Annotated[DangerousGoods | None, Nested(DangerousGoods, none=OMIT), V3_ONLY] = None
    extra: Extra = field(default_factory=dict, hash=False)

    @property
    def line(self) -> dict[str, Param]:
        """The parameters that name this line: its SKU, or its product, or its description."""
        for param, name in (("sku", self.sku), ("product_id", self.product_id), ("item", self.description)):
            if isinstance(name, str) and name.strip():
                return {param: shorten(name)}
        return {}

    def with_item_id(self, item_id: str) -> Self:
        """Return a copy with another ``item_id``; an invalid item is returned as it is.

        Raises:
            PayloadError: it is empty or no text.
        """
        return self if self.kept_errors else self._with("item_id", item_id)

    def with_quantity(self, quantity: int) -> Self:
        """Return a copy with another number of pieces.

        Raises:
            PayloadError: it is less than one, or no whole number.
        """
        return self._with("quantity", quantity)

    @property
    def subject(self) -> str:
        name = self.sku or self.product_id
        return f"parcel item {quote(name)}" if name and isinstance(name, str) else "parcel item"
