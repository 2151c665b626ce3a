"""An order under "Incoming orders"."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from .translation import order_of_shipment, shipment_of_order

__all__ = ["ANY", "FIRST_ID", "AnyShipment", "Generation", "StoredOrder"]

#: Stands for any shipment id, and for none.
ANY: Final = "any"
AnyShipment: TypeAlias = Literal["any"]
#: Generation of the API.
Generation: TypeAlias = Literal["v2", "v3"]

#: Sendcloud's ids of orders have nine digits.
FIRST_ID: Final = 752_000_000


@dataclass(slots=True, eq=False)
class StoredOrder:
    """An order under "Incoming orders": a shipment to v2, an order to v3.

    Attributes:
        number: Position in the order of acceptance; cursors point at it.
        uuid: Sendcloud's id in v2.
        order_id: The shop's id of the order.
        shipment_id: The shop's id of the shipment; v3 has none.
        order_number: The shop's number of the order.
        content: Document that the shop sent last, without unknown fields.
        generation: API generation of that document.
        came_by: API generation that created the order.
        shop_updated_at: The shop's ``updated_at``; v2 compares it to recognize repetitions.
        created_at: Moment when Sendcloud stored it.
        updated_at: Moment of its last change at Sendcloud.
        part: Position among the parts of an order that the merchant has split (``2 of 3``).
    """

    number: int
    uuid: str
    integration_id: int
    order_id: str
    shipment_id: str | None
    order_number: str
    content: dict[str, Any]
    generation: Generation
    came_by: Generation
    shop_updated_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime
    part: str = ""

    @property
    def id(self) -> int:
        """Sendcloud's id in v3."""
        return FIRST_ID + self.number

    @property
    def shipment(self) -> dict[str, Any]:
        """Its content in the fields of v2."""
        if self.generation == "v2":
            return self.content
        return shipment_of_order(self.content) | {"external_shipment_id": self.shipment_id}

    @property
    def document(self) -> dict[str, Any]:
        """Its content in the fields of v3."""
        if self.generation == "v3":
            return self.content
        return order_of_shipment(self.content, self.integration_id)

    @property
    def sender_address(self) -> int | None:
        """Sendcloud's id of the sender address that the buyer's checkout chose."""
        checkout = self.content.get("checkout_payload")
        return checkout["sender_address_id"] if checkout else None
