"""What an order looks like to Sendcloud."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Self, TypeAlias

from ..enums import CustomsShipmentType
from ..exceptions import PayloadError
from .base import Extra, Payload
from .checkout import CheckoutPayload
from .customs import CustomsDetails
from .parcel_items import ParcelItem
from .rules import (
    NULL,
    OMIT,
    Country,
    CurrencyCode,
    Email,
    Integer,
    Moment,
    Nested,
    NestedList,
    Number,
    ShipmentType,
    Text,
    quote,
)

__all__ = ["ShipmentPayload", "Status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Payload):
    """A status in the shop's own words (contract: ``ShipmentBlobStatus``).

    Sendcloud filters and applies shipping rules by it and draws no other conclusion: a cancelled
    order must be deleted, not given the status "cancelled".

    Args:
        id: The shop's key, for instance ``paid``.
        message: What people read, for instance ``Paid``.

    Raises:
        PayloadError: a field breaks the contract.
    """

    id: Annotated[str, Text(1)]
    message: Annotated[str, Text(1)]

    def _subject(self) -> str:
        return "status"


_Status: TypeAlias = Annotated[Status | None, Nested(Status, none=NULL)]
_Centimetres: TypeAlias = Annotated[Decimal | None, Number("cm", max_length=10, none=NULL)]
_UPDATED_AT = Moment(none=OMIT)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class _Written(Payload):
    """Room for what has been written once, beside the fields."""

    __slots__ = ("_written",)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ShipmentPayload(_Written):
    """One shipment of an order (contract: ``ShipmentBlobOrderCreate``).

    What has no value is written as the contract wants it, ``""`` or ``null``, rather than left
    out: an upsert then also removes at Sendcloud what the shop has removed. Only
    ``checkout_payload`` is left out, since the contract lets it be neither empty nor null.

    Args:
        external_order_id: The shop's id of the order; with ``external_shipment_id`` the key of the upsert.
        external_shipment_id: The shop's id of the shipment. ``None`` is null; such a shipment can only
            be deleted by its ``shipment_uuid``, so give one where you can.
        order_number: What the buyer knows the order by.
        name: The receiver.
        company_name: The receiver's company.
        address: Street, with or without the house number.
        address_2: Second line of the address.
        house_number: House number, where it is not part of ``address``.
        postal_code: Postal code.
        city: City.
        country: A code of :data:`COUNTRIES`.
        to_state: State or province where the country has them, for instance ``CA``; ``None`` elsewhere.
        email: The receiver's e-mail address, for tracking messages.
        telephone: The receiver's telephone number.
        created_at: When the order was placed. Knows its time zone, sent in UTC.
        updated_at: When the order last changed; Sendcloud applies an upsert only where it differs from
            the one it has. ``None`` until :meth:`stamped`.
        currency: ``EUR``, ``GBP`` or ``USD``; ``None`` is null, as Sendcloud's own integrations send
            it, though the letter of the contract's enum has no null.
        total_order_value: In major units of the currency, two decimals at most.
        parcel_items: The order's lines.
        weight: Of the whole shipment in kg: 0.001 at least, three decimals and 10 characters at most.
        length: In cm, 10 characters at most, as are ``width`` and ``height``.
        width: In cm.
        height: In cm.
        order_status: The order's status in the shop's words.
        payment_status: The payment's status in the shop's words.
        shipping_method: Sendcloud's id of a shipping method.
        shipping_method_checkout_name: The delivery method the buyer chose, 100 characters at most;
            shipping rules can go by it.
        to_service_point: Sendcloud's id of the service point to deliver to.
        to_post_number: The receiver's post number, for DHL Packstation.
        customs_invoice_nr: Number of the commercial invoice.
        customs_shipment_type: Why the goods cross a border; ``None`` is null, as for ``currency``.
        customs_details: Costs and tax numbers for customs.
        checkout_payload: What the buyer chose in the Dynamic Checkout.
        extra: Fields of the contract that are newer than this package.

    Raises:
        PayloadError: a field breaks the contract. All of them are named.
    """

    address: Annotated[str, Text(1)]
    address_2: Annotated[str, Text()] = ""
    city: Annotated[str, Text(1)]
    company_name: Annotated[str, Text()] = ""
    country: Annotated[str, Country()]
    created_at: Annotated[dt.datetime, Moment()]
    currency: Annotated[str | None, CurrencyCode(none=NULL)] = None
    customs_invoice_nr: Annotated[str, Text()] = ""
    customs_shipment_type: Annotated[CustomsShipmentType | int | None, ShipmentType(none=NULL)] = None
    email: Annotated[str, Email()] = ""
    external_order_id: Annotated[str, Text(1)]
    external_shipment_id: Annotated[str | None, Text(1, none=NULL)] = None
    house_number: Annotated[str, Text()] = ""
    name: Annotated[str, Text(1)]
    order_number: Annotated[str, Text(1)]
    order_status: _Status = None
    parcel_items: Annotated[Sequence[ParcelItem] | None, NestedList(ParcelItem, none=NULL)] = ()
    payment_status: _Status = None
    postal_code: Annotated[str, Text(1)]
    shipping_method: Annotated[int | None, Integer(none=NULL)] = None
    shipping_method_checkout_name: Annotated[str, Text(max_length=100)] = ""
    telephone: Annotated[str, Text()] = ""
    to_post_number: Annotated[str, Text()] = ""
    to_service_point: Annotated[int | None, Integer(none=NULL)] = None
    to_state: Annotated[str | None, Text(1, none=NULL)] = None
    total_order_value: Annotated[Decimal | None, Number(max_decimals=2, fixed=True, none=NULL)] = None
    updated_at: Annotated[dt.datetime | None, _UPDATED_AT] = None
    weight: Annotated[Decimal | None, Number("kg", minimum="0.001", max_decimals=3, max_length=10, none=NULL)] = None
    checkout_payload: Annotated[CheckoutPayload | None, Nested(CheckoutPayload, none=OMIT)] = None
    width: _Centimetres = None
    height: _Centimetres = None
    length: _Centimetres = None
    customs_details: Annotated[CustomsDetails | None, Nested(CustomsDetails, none=NULL)] = None
    extra: Extra = field(default_factory=dict, hash=False)

    @property
    def key(self) -> tuple[str, str]:
        """What Sendcloud knows this shipment by: order id and shipment id, ``""`` where there is none."""
        return self.external_order_id, self.external_shipment_id or ""

    def with_shipment_id(self, external_shipment_id: str) -> Self:
        """Return a copy with another ``external_shipment_id``.

        Raises:
            PayloadError: it is empty or no text.
        """
        return self._with("external_shipment_id", external_shipment_id)

    def stamped(self, updated_at: dt.datetime) -> Self:
        """Return a copy that says when the order last changed. Cheap: nothing else is checked again.

        Raises:
            PayloadError: it is no datetime, or one that does not know its time zone.
        """
        copy = self._with("updated_at", updated_at)
        if (written := getattr(self, "_written", None)) is not None:
            object.__setattr__(copy, "_written", written)
        return copy

    def to_json(self) -> dict[str, Any]:
        """Return exactly the contract's JSON.

        Raises:
            PayloadError: ``updated_at`` is missing.
        """
        self._updated_at()
        return Payload.to_json(self)

    def encode(self) -> bytes:
        """Return :meth:`to_json` as it is sent: compact JSON in UTF-8. Cheap after :meth:`digest`.

        Raises:
            PayloadError: ``updated_at`` is missing.
        """
        updated_at = json.dumps(_UPDATED_AT.dump(self._updated_at()))
        return f'{{"updated_at":{updated_at},{self._all_else()[1:]}'.encode()

    def digest(self) -> str:
        """Return a fingerprint of all but ``updated_at``: SHA-256 over canonical JSON, in hexadecimal.

        It stays the same between processes, Python versions and equal values (``Decimal("1.50")``
        and ``Decimal("1.5")``), and differs as soon as anything Sendcloud would see differs.
        """
        return hashlib.sha256(self._all_else().encode()).hexdigest()

    def _all_else(self) -> str:
        """Canonical JSON without ``updated_at``. Written once: what is about to be sent has been compared before."""
        text: str | None = getattr(self, "_written", None)
        if text is None:
            body = Payload.to_json(self)
            body.pop("updated_at", None)
            text = _CANONICAL.encode(body)
            object.__setattr__(self, "_written", text)
        return text

    def _updated_at(self) -> dt.datetime:
        if self.updated_at is None:
            raise PayloadError(
                {"updated_at": ["Is required to send a shipment; use payload.stamped(updated_at)."]}, self._subject()
            )
        return self.updated_at

    def _subject(self) -> str:
        order = self.external_order_id
        return f"order {quote(order)}" if isinstance(order, str) and order else "shipment"
