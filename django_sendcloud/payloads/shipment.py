"""The shipment of an order, as both API generations know it."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias

from ..enums import ApiGeneration, CustomsShipmentType
from ..exceptions import PayloadError
from ..violations import Errors, Violation
from .address import Address
from .base import V3_ONLY, Extra, Payload
from .checkout import CheckoutPayload
from .countries import NO_POSTAL_CODE, WITHOUT_POSTAL_CODES
from .customs import CustomsDetails
from .nested import Nested, NestedList
from .parcel_items import ParcelItem
from .rules import (
    NULL,
    OMIT,
    Amount,
    Choice,
    Country,
    CurrencyCode,
    Day,
    Email,
    Flag,
    Identifier,
    Integer,
    Moment,
    Number,
    OtherCurrency,
    ShipmentType,
    Text,
    Texts,
    not_carried,
    quote,
    shorten,
)
from .ship_with import ShipWith

__all__ = ["EXPORT_TYPES", "FIELDS", "REQUIRED", "ShipmentPayload", "Status"]

#: The kinds of exports (contract: v3 ``customs-details.export_type``).
EXPORT_TYPES: Final = ("private", "commercial_b2c", "commercial_b2b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Payload):
    """A status in the shop's own words (contract: ``ShipmentBlobStatus``).

    Sendcloud filters and applies shipping rules by it and draws no other conclusion: a cancelled
    order must be deleted, not given the status "cancelled".

    Args:
        id: The shop's key, for instance ``paid``.
        message: The text people read, for instance ``Paid``.

    Raises:
        PayloadError: a field breaks the contract.
    """

    id: Annotated[str, Text(1)]
    message: Annotated[str, Text(1)]

    @property
    def subject(self) -> str:
        return "status"


_Status: TypeAlias = Annotated[Status | None, Nested(Status, none=NULL)]
_Centimetres: TypeAlias = Annotated[Decimal | None, Number("cm", max_length=10, none=NULL)]
_UPDATED_AT = Moment(none=OMIT)
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _repeated_item_ids(items: Sequence[ParcelItem]) -> Errors:
    seen: set[str] = set()
    errors: Errors = {}
    for index, item in enumerate(items):
        if item.item_id in seen:
            violation = Violation("item_id_repeated", {"value": shorten(item.item_id)})
            errors[f"parcel_items[{index}].item_id"] = [violation.with_params(item.line)]
        elif item.item_id:
            seen.add(item.item_id)
    return errors


class _Written(Payload):
    """Room for the text that has been written once, beside the fields."""

    __slots__ = ("_written",)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ShipmentPayload(_Written):
    """One shipment of an order (contract: ``ShipmentBlobOrderCreate``).

    A field without a value is written as the contract wants it, ``""`` or ``null``, rather than left
    out: an upsert then also removes at Sendcloud a value that the shop has removed. Only
    ``checkout_payload`` is left out, since the contract lets it be neither empty nor null.

    Args:
        external_order_id: The shop's id of the order; with ``external_shipment_id`` the key of the upsert.
        external_shipment_id: The shop's id of the shipment. ``None`` is null; such a shipment can only
            be deleted by its ``shipment_uuid``, so give one where you can.
        order_number: The number the buyer knows the order by.
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
        currency: ``EUR``, ``GBP`` or ``USD``; an :class:`OtherCurrency` only explicitly. ``None`` is null at API v2,
            as Sendcloud's own integrations send it, though the letter of the contract's enum has no null; API v3
            rejects it.
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
        checkout_payload: The buyer's choice in the Dynamic Checkout.
        billing_address: The address of the invoice.
        notes: Notes for the people who pack. ``""`` clears them, ``None`` leaves them as they are.
        tags: Tags of the order. An empty list clears them, ``None`` leaves them as they are.
        ship_with: The shipping option to make the label with.
        carrier_service_point_id: The carrier's own id of the service point, in the place of ``to_service_point``.
        is_local_pickup: The buyer fetches it at the shop.
        is_cash_on_delivery: The buyer pays at the door.
        subtotal_price: Price of the goods, in major units of the currency.
        estimated_shipping_price: Price of shipping, in major units of the currency.
        estimated_tax_price: Tax, in major units of the currency.
        invoice_date: Day of the invoice.
        customs_export_type: One of :data:`EXPORT_TYPES`.
        extra: Fields of API v2's contract that are newer than this package.

    API v3 alone has ``billing_address`` and the fields after it; API v2 is sent nothing of them. The notes of
    :mod:`django_sendcloud.payloads.v2` and :mod:`~django_sendcloud.payloads.v3` name each field that a generation
    cannot carry.

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
    external_order_id: Annotated[str, Identifier(1)]
    external_shipment_id: Annotated[str | None, Identifier(1, none=NULL)] = None
    house_number: Annotated[str, Text()] = ""
    name: Annotated[str, Text(1)]
    order_number: Annotated[str, Identifier(1)]
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
    total_order_value: Annotated[Decimal | None, Amount(none=NULL)] = None
    updated_at: Annotated[dt.datetime | None, _UPDATED_AT] = None
    weight: Annotated[Decimal | None, Number("kg", minimum="0.001", max_decimals=3, max_length=10, none=NULL)] = None
    checkout_payload: Annotated[CheckoutPayload | None, Nested(CheckoutPayload, none=OMIT)] = None
    width: _Centimetres = None
    height: _Centimetres = None
    length: _Centimetres = None
    customs_details: Annotated[CustomsDetails | None, Nested(CustomsDetails, none=NULL)] = None
    billing_address: Annotated[Address | None, Nested(Address, none=OMIT), V3_ONLY] = None
    notes: Annotated[str | None, Text(none=OMIT), V3_ONLY] = None
    tags: Annotated[Sequence[str] | None, Texts(none=OMIT), V3_ONLY] = None
    ship_with: Annotated[ShipWith | None, Nested(ShipWith, none=OMIT), V3_ONLY] = None
    carrier_service_point_id: Annotated[str | None, Identifier(1, none=OMIT), V3_ONLY] = None
    is_local_pickup: Annotated[bool | None, Flag(none=OMIT), V3_ONLY] = None
    is_cash_on_delivery: Annotated[bool | None, Flag(none=OMIT), V3_ONLY] = None
    subtotal_price: Annotated[Decimal | None, Amount(none=OMIT), V3_ONLY] = None
    estimated_shipping_price: Annotated[Decimal | None, Amount(none=OMIT), V3_ONLY] = None
    estimated_tax_price: Annotated[Decimal | None, Amount(none=OMIT), V3_ONLY] = None
    invoice_date: Annotated[dt.date | None, Day(none=OMIT), V3_ONLY] = None
    customs_export_type: Annotated[str | None, Choice("export type", EXPORT_TYPES, none=OMIT), V3_ONLY] = None
    extra: Extra = field(default_factory=dict, hash=False)

    is_part: ClassVar[bool] = False

    def _check_together(self, errors: Errors) -> None:
        missing = [violation.code for violation in errors.get("postal_code", ())] in (["required"], ["null"])
        if missing and self.country in WITHOUT_POSTAL_CODES:
            params = {"country": self.country, "value": NO_POSTAL_CODE}
            errors["postal_code"] = [Violation("postal_code_unused", params)]
        if self.to_service_point is not None and self.carrier_service_point_id is not None:
            errors["carrier_service_point_id"] = [Violation("excludes", {"other": "to_service_point"})]
        if not any(path.startswith("parcel_items") for path in errors):
            ids = [item.item_id for item in self.parcel_items or () if item.item_id is not None]
            if len(ids) != len(set(ids)):
                errors |= _repeated_item_ids(self.parcel_items or ())

    @property
    def key(self) -> tuple[str, str]:
        """The key of this shipment at Sendcloud: order id and shipment id, ``""`` where there is none."""
        return self.external_order_id, self.external_shipment_id or ""

    def with_shipment_id(self, external_shipment_id: str) -> Self:
        """Return a copy with another ``external_shipment_id``.

        Raises:
            PayloadError: it is empty or no text.
        """
        return self._with("external_shipment_id", external_shipment_id)

    def stamped(self, updated_at: dt.datetime) -> Self:
        """Return a copy with the time of the order's last change. Cheap: nothing else is checked again.

        Raises:
            PayloadError: it is no datetime, or one that does not know its time zone.
        """
        copy = self._with("updated_at", updated_at)
        if (written := getattr(self, "_written", None)) is not None:
            object.__setattr__(copy, "_written", written)
        return copy

    def to_json(self) -> dict[str, Any]:
        """Return exactly the JSON of API v2's contract.

        Raises:
            PayloadError: ``updated_at`` is missing.
        """
        self._updated_at()
        self._check_currency()
        return Payload.to_json(self)

    def encode(self) -> bytes:
        """Return :meth:`to_json` as it is sent: compact JSON in UTF-8. Cheap after :meth:`digest`.

        Raises:
            PayloadError: ``updated_at`` is missing, or API v2 cannot carry the currency.
        """
        self._check_currency()
        updated_at = json.dumps(_UPDATED_AT.dump(self._updated_at()))
        return f'{{"updated_at":{updated_at},{self.canonical()[1:]}'.encode()

    def digest(self, api: ApiGeneration = ApiGeneration.V2) -> str:
        """Return a fingerprint of everything but ``updated_at``: SHA-256 in hexadecimal.

        It stays the same between processes, Python versions and equal values (``Decimal("1.50")``
        and ``Decimal("1.5")``), and differs as soon as anything Sendcloud would see differs. For a payload without
        fields of API v3 alone it is the same for both generations, so that a move repeats no order needlessly.

        Args:
            api: For API v3, the fields that only it has count as well.
        """
        text = self.canonical()
        if api is ApiGeneration.V3:
            lines = [item.v3_json() for item in self.parcel_items or ()]
            if (own := self.v3_json()) or any(lines):
                text += _CANONICAL.encode([own, lines])
        return hashlib.sha256(text.encode()).hexdigest()

    def canonical(self) -> str:
        """Return canonical JSON without ``updated_at``, written once: it is compared first and sent afterwards."""
        text: str | None = getattr(self, "_written", None)
        if text is None:
            body = Payload.to_json(self)
            body.pop("updated_at", None)
            text = _CANONICAL.encode(body)
            object.__setattr__(self, "_written", text)
        return text

    def _check_currency(self) -> None:
        if isinstance(self.currency, OtherCurrency):
            raise PayloadError({"currency": [not_carried(self.currency, "v2")]}, self.subject)

    def _updated_at(self) -> dt.datetime:
        if self.updated_at is None:
            raise PayloadError({"updated_at": [Violation("stamp_missing")]}, self.subject)
        return self.updated_at

    @property
    def subject(self) -> str:
        order = self.external_order_id
        return f"order {quote(order)}" if isinstance(order, str) and order else "shipment"


FIELDS = {each.name: each for each in fields(ShipmentPayload)}
# Fields without a default. One that an adapter leaves out is missing like one that is empty.
REQUIRED = [name for name, each in FIELDS.items() if each.default is MISSING and each.default_factory is MISSING]
