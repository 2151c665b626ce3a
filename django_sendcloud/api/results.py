"""What Sendcloud answers, as frozen values.

Reading is lenient where writing is strict: unknown fields are kept in ``raw``, unknown values of a
closed list are kept as text, and a field that cannot be read is ``None`` (or empty) while ``raw``
still has it. Only an answer of another shape altogether, without what identifies the thing, is an
:class:`~django_sendcloud.exceptions.InvalidResponse`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self, TypeAlias, get_type_hints

from ..enums import UpsertStatus
from ..exceptions import InvalidResponse

__all__ = [
    "DeleteResult",
    "Integration",
    "IntegrationLog",
    "IntegrationSettings",
    "Parcel",
    "Shipment",
    "ShipmentItem",
    "ShipmentStatus",
    "UpsertResult",
]


# Readers: from JSON to the kept value. None of them raises, but those of a required field.


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None or isinstance(value, dict | list) else str(value)


def _text_or_none(value: Any) -> str | None:
    return _text(value) or None


def _number_or_none(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else None


def _flag(value: Any) -> bool:
    return value is True


def _decimal_or_none(value: Any) -> Decimal | None:
    try:
        number = Decimal(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def _moment_or_none(value: Any) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _mapping_or_none(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, list) else ()


def _id(value: Any) -> int:
    number = _number_or_none(value)
    if number is None:
        raise ValueError("without an id")
    return number


def _key(value: Any) -> str:
    if not (text := _text(value)):
        raise ValueError("without its external_order_id")
    return text


_Text: TypeAlias = Annotated[str, _text]
_OptionalText: TypeAlias = Annotated[str | None, _text_or_none]
_OptionalNumber: TypeAlias = Annotated[int | None, _number_or_none]
_OptionalDecimal: TypeAlias = Annotated[Decimal | None, _decimal_or_none]
_OptionalMoment: TypeAlias = Annotated[dt.datetime | None, _moment_or_none]
_OptionalMapping: TypeAlias = Annotated[Mapping[str, Any] | None, _mapping_or_none]
_Flag: TypeAlias = Annotated[bool, _flag]


def _readers(result: type[Any]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return the fields of a result and how each is read, found in its annotations once."""
    if result not in _found:
        hints = get_type_hints(result, include_extras=True)
        names = [item.name for item in dataclasses.fields(result) if item.name != "raw"]
        _found[result] = tuple((name, hints[name].__metadata__[0]) for name in names)
    return _found[result]


_found: dict[type[Any], tuple[tuple[str, Callable[[Any], Any]], ...]] = {}


class _Result:
    """Something Sendcloud answered."""

    __slots__ = ()

    @classmethod
    def from_api(cls, raw: Any) -> Self:
        """Read a JSON object.

        Raises:
            InvalidResponse: it is no object, or lacks what identifies the thing.
        """
        if not isinstance(raw, dict):
            raise InvalidResponse(f"an answer that holds {type(raw).__name__} where an object is due")
        try:
            values: dict[str, Any] = {name: read(raw.get(name)) for name, read in _readers(cls)}
        except ValueError as error:
            raise InvalidResponse(f"an answer that holds a {cls.__name__} {error}") from None
        return cls(**values, raw=raw)  # type: ignore[call-arg]  # every subclass has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration(_Result):
    """A connected integration (contract: ``Integration``).

    Attributes:
        id: Sendcloud's id.
        shop_name: The shop's name in Sendcloud's panel.
        shop_url: The shop's address.
        system: Which kind of integration, for instance ``api``.
        failing_since: Since when Sendcloud has failed to talk to the shop.
        last_fetch: When Sendcloud last fetched orders.
        last_updated_at: When these settings last changed.
        service_point_enabled: Whether buyers may choose service points.
        service_point_carriers: Of which carriers.
        webhook_active: Whether webhooks are sent.
        webhook_url: Where they are sent.
        raw: The whole answer.
    """

    id: Annotated[int, _id]
    shop_name: _Text
    shop_url: _OptionalText
    system: _Text
    failing_since: _OptionalMoment
    last_fetch: _OptionalMoment
    last_updated_at: _OptionalMoment
    service_point_enabled: _Flag
    service_point_carriers: Annotated[tuple[str, ...], _texts]
    webhook_active: _Flag
    webhook_url: _OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationSettings(_Result):
    """An integration's settings as a change confirms them (contract: ``IntegrationUpdate``, which has no id).

    Attributes:
        shop_name: The shop's name in Sendcloud's panel.
        shop_url: The shop's address.
        last_updated_at: When these settings last changed.
        service_point_enabled: Whether buyers may choose service points.
        service_point_carriers: Of which carriers.
        webhook_active: Whether webhooks are sent.
        webhook_url: Where they are sent.
        raw: The whole answer.
    """

    shop_name: _Text
    shop_url: _OptionalText
    last_updated_at: _OptionalMoment
    service_point_enabled: _Flag
    service_point_carriers: Annotated[tuple[str, ...], _texts]
    webhook_active: _Flag
    webhook_url: _OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentStatus(_Result):
    """A status in the shop's words (contract: ``ShipmentBlobStatus``).

    Attributes:
        id: The shop's key.
        message: What people read.
        raw: The whole object.
    """

    id: _Text
    message: _Text
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentItem(_Result):
    """One line of a shipment (contract: ``ParcelItems``).

    Attributes:
        description: What it is.
        hs_code: Harmonised System code.
        origin_country: Where it was made.
        product_id: The shop's id of the product.
        properties: What tells variants apart.
        quantity: How many of it.
        sku: The shop's stock keeping unit.
        value: Price of one piece in major units.
        weight: Weight of one piece in kg.
        mid_code: Manufacturer identification code.
        material_content: What it is made of.
        intended_use: What it is used for.
        raw: The whole object.
    """

    description: _Text
    hs_code: _OptionalText
    origin_country: _OptionalText
    product_id: _OptionalText
    properties: _OptionalMapping
    quantity: _OptionalNumber
    sku: _OptionalText
    value: _OptionalDecimal
    weight: _OptionalDecimal
    mid_code: _OptionalText
    material_content: _OptionalText
    intended_use: _OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def _items(value: Any) -> tuple[ShipmentItem, ...]:
    return tuple(ShipmentItem.from_api(i) for i in value if isinstance(i, dict)) if isinstance(value, list) else ()


def _status(value: Any) -> ShipmentStatus | None:
    return ShipmentStatus.from_api(value) if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment(_Result):
    """A shipment as Sendcloud has it (contract: ``ShipmentBlobOrder``).

    Beware of its times: ``created_at`` and ``updated_at`` are Sendcloud's own. Those the shop sent
    under these names come back as ``shipment_created_at`` and ``shipment_updated_at``.

    Holds personal data; its ``repr`` shows only the ids.

    Attributes:
        external_order_id: The shop's id of the order.
        external_shipment_id: The shop's id of the shipment; ``None`` for null and empty.
        shipment_uuid: Sendcloud's id.
        integration: Sendcloud's id of the integration.
        created_at: When Sendcloud got it.
        updated_at: When Sendcloud last changed it.
        shipment_created_at: When the order was placed, as the shop said.
        shipment_updated_at: When the order last changed, as the shop said.
        allowed_shipping_methods: Ids of the shipping methods it can be sent with.
        barcode: Sendcloud's barcode of it.
        sender_address: Sendcloud's id of the sender's address.
        raw: The whole answer. The other fields are those of
            :class:`~django_sendcloud.payloads.ShipmentPayload`; weights in kg, dimensions in cm,
            amounts in major units.
    """

    external_order_id: Annotated[str, _key]
    external_shipment_id: _OptionalText
    shipment_uuid: _OptionalText
    integration: _OptionalNumber
    created_at: _OptionalMoment = field(repr=False)
    updated_at: _OptionalMoment = field(repr=False)
    shipment_created_at: _OptionalMoment = field(repr=False)
    shipment_updated_at: _OptionalMoment = field(repr=False)
    allowed_shipping_methods: Annotated[tuple[int, ...], _numbers] = field(repr=False)
    barcode: _OptionalText = field(repr=False)
    sender_address: _OptionalNumber = field(repr=False)
    order_number: _Text = field(repr=False)
    order_status: Annotated[ShipmentStatus | None, _status] = field(repr=False)
    payment_status: Annotated[ShipmentStatus | None, _status] = field(repr=False)
    name: _Text = field(repr=False)
    company_name: _Text = field(repr=False)
    address: _Text = field(repr=False)
    address_2: _Text = field(repr=False)
    house_number: _Text = field(repr=False)
    postal_code: _Text = field(repr=False)
    city: _Text = field(repr=False)
    country: _Text = field(repr=False)
    to_state: _OptionalText = field(repr=False)
    email: _Text = field(repr=False)
    telephone: _Text = field(repr=False)
    to_post_number: _Text = field(repr=False)
    to_service_point: _OptionalNumber = field(repr=False)
    parcel_items: Annotated[tuple[ShipmentItem, ...], _items] = field(repr=False)
    currency: _OptionalText = field(repr=False)
    total_order_value: _OptionalDecimal = field(repr=False)
    weight: _OptionalDecimal = field(repr=False)
    length: _OptionalDecimal = field(repr=False)
    width: _OptionalDecimal = field(repr=False)
    height: _OptionalDecimal = field(repr=False)
    shipping_method: _OptionalNumber = field(repr=False)
    shipping_method_checkout_name: _Text = field(repr=False)
    checkout_payload: _OptionalMapping = field(repr=False)
    customs_invoice_nr: _Text = field(repr=False)
    customs_shipment_type: _OptionalNumber = field(repr=False)
    customs_details: _OptionalMapping = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """Order id and shipment id, ``""`` where there is none: the same as the payload's."""
        return self.external_order_id, self.external_shipment_id or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationLog(_Result):
    """An entry of the merchant's connection log (contract: ``IntegrationLog``).

    Attributes:
        id: Sendcloud's id of the entry.
        integration_id: The integration. The contract calls it write-only, its examples answer it.
        user_id: The user. As ``integration_id``.
        base_url: The shop's address.
        full_url: The address that was called.
        method: The HTTP method.
        response_code: The status code of the answer.
        response: Its headers and body.
        request: Headers and payload of the request.
        created_at: When it happened.
        exception_type: The Python path of the exception, for instance ``requests.exceptions.SSLError``.
        exception: What went wrong.
        protected: Whether Sendcloud keeps it from being deleted.
        raw: The whole answer.
    """

    id: _OptionalNumber
    integration_id: _OptionalNumber
    user_id: _OptionalNumber
    base_url: _Text
    full_url: _OptionalText = field(repr=False)
    method: _Text
    response_code: _OptionalNumber
    response: _OptionalMapping = field(repr=False)
    request: _OptionalMapping = field(repr=False)
    created_at: _OptionalMoment
    exception_type: _OptionalText
    exception: _OptionalText = field(repr=False)
    protected: _Flag
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def _parcel_status(value: Any) -> ShipmentStatus | None:
    if not isinstance(value, dict):
        return None
    return ShipmentStatus.from_api({"id": str(value.get("id", "")), "message": _text(value.get("message"))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel(_Result):
    """A parcel (``ParcelResponseShort`` of the parcels API). Holds personal data, in ``raw`` only.

    Attributes:
        id: Sendcloud's id.
        order_number: The order's number.
        shipment_uuid: Sendcloud's id of the shipment it belongs to.
        tracking_number: The carrier's number.
        status: Its status; the id is a number as text.
        raw: The whole answer.
    """

    id: Annotated[int, _id]
    order_number: _Text
    shipment_uuid: _OptionalText
    tracking_number: _OptionalText
    status: Annotated[ShipmentStatus | None, _parcel_status]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertResult:
    """What became of one shipment of an upsert (contract: ``ShipmentCreateUpdateLog``, ``ShipmentErrorLog``).

    Attributes:
        external_order_id: As it was sent.
        external_shipment_id: As it was sent.
        status: Created, updated, refused, or unknown: the answer did not mention the shipment, did so
            more than once, or with a status nobody knows. Unknown must be treated as if no answer had come.
        shipment_uuid: Sendcloud's id, where it was answered.
        errors: Where it was refused: field path (``parcel_items[0].hs_code``) to messages, values
            blacked out.
        raw: The whole answer for this shipment, empty where there was none. May hold personal data.
    """

    external_order_id: str
    external_shipment_id: str | None
    status: UpsertStatus
    shipment_uuid: str | None = None
    errors: dict[str, list[str]] = field(default_factory=dict, hash=False)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ok(self) -> bool:
        """Whether Sendcloud has it now."""
        return self.status in {UpsertStatus.CREATED, UpsertStatus.UPDATED}

    @property
    def key(self) -> tuple[str, str]:
        """Order id and shipment id, ``""`` where there is none: the same as the payload's."""
        return self.external_order_id, self.external_shipment_id or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """What became of a delete.

    Attributes:
        found: Whether the shipment was there. Either way it is not there now.
    """

    found: bool
