"""Answers of the Integrations API v2 and of the parcels API v2, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from ...enums import UpsertStatus
from ..results import (
    Flag,
    Id,
    OptionalDecimal,
    OptionalMapping,
    OptionalMoment,
    OptionalNumber,
    OptionalText,
    Result,
    Text,
    Texts,
    nested,
    nested_list,
    read_text,
)

__all__ = [
    "Integration",
    "IntegrationLog",
    "IntegrationSettings",
    "Parcel",
    "Shipment",
    "ShipmentItem",
    "ShipmentStatus",
    "UpsertResult",
]


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, list) else ()


def _key(value: Any) -> str:
    if not (text := read_text(value)):
        raise ValueError("without its external_order_id")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration(Result):
    """A connected integration (contract: ``Integration``).

    Attributes:
        id: Sendcloud's id.
        shop_name: The shop's name in Sendcloud's panel.
        shop_url: The shop's address.
        system: Kind of integration, for instance ``api``.
        failing_since: Start of the time Sendcloud has failed to reach the shop.
        last_fetch: Last time Sendcloud fetched orders.
        last_updated_at: Last change of these settings.
        service_point_enabled: Buyers may choose service points.
        service_point_carriers: Carriers they may choose from.
        webhook_active: Sendcloud sends webhooks.
        webhook_url: Address it sends them to.
        raw: The whole answer.
    """

    id: Id
    shop_name: Text
    shop_url: OptionalText
    system: Text
    failing_since: OptionalMoment
    last_fetch: OptionalMoment
    last_updated_at: OptionalMoment
    service_point_enabled: Flag
    service_point_carriers: Texts
    webhook_active: Flag
    webhook_url: OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationSettings(Result):
    """An integration's settings as a change confirms them (contract: ``IntegrationUpdate``, which has no id).

    Attributes:
        shop_name: The shop's name in Sendcloud's panel.
        shop_url: The shop's address.
        last_updated_at: Last change of these settings.
        service_point_enabled: Buyers may choose service points.
        service_point_carriers: Carriers they may choose from.
        webhook_active: Sendcloud sends webhooks.
        webhook_url: Address it sends them to.
        raw: The whole answer.
    """

    shop_name: Text
    shop_url: OptionalText
    last_updated_at: OptionalMoment
    service_point_enabled: Flag
    service_point_carriers: Texts
    webhook_active: Flag
    webhook_url: OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentStatus(Result):
    """A status in the shop's words (contract: ``ShipmentBlobStatus``).

    Attributes:
        id: The shop's key.
        message: Words for people.
        raw: The whole object.
    """

    id: Text
    message: Text
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentItem(Result):
    """One line of a shipment (contract: ``ParcelItems``).

    Attributes:
        description: Name of the product.
        hs_code: Harmonised System code.
        origin_country: Country of origin.
        product_id: The shop's id of the product.
        properties: Properties that distinguish variants.
        quantity: Number of pieces.
        sku: The shop's stock keeping unit.
        value: Price of one piece in major units.
        weight: Weight of one piece in kg.
        mid_code: Manufacturer identification code.
        material_content: Material.
        intended_use: Use the buyer has for it.
        raw: The whole object.
    """

    description: Text
    hs_code: OptionalText
    origin_country: OptionalText
    product_id: OptionalText
    properties: OptionalMapping
    quantity: OptionalNumber
    sku: OptionalText
    value: OptionalDecimal
    weight: OptionalDecimal
    mid_code: OptionalText
    material_content: OptionalText
    intended_use: OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment(Result):
    """A shipment as Sendcloud has it (contract: ``ShipmentBlobOrder``).

    Beware of its times: ``created_at`` and ``updated_at`` are Sendcloud's own. Those the shop sent
    under these names come back as ``shipment_created_at`` and ``shipment_updated_at``.

    Holds personal data; its ``repr`` shows only the ids.

    Attributes:
        external_order_id: The shop's id of the order.
        external_shipment_id: The shop's id of the shipment; ``None`` for null and empty.
        shipment_uuid: Sendcloud's id.
        integration: Sendcloud's id of the integration.
        created_at: Time Sendcloud stored it.
        updated_at: Time Sendcloud last changed it.
        shipment_created_at: Time the order was placed, as the shop sent it.
        shipment_updated_at: Time the order last changed, as the shop sent it.
        allowed_shipping_methods: Ids of the shipping methods it can be sent with.
        barcode: Sendcloud's barcode of it.
        sender_address: Sendcloud's id of the sender's address.
        raw: The whole answer. The other fields are those of
            :class:`~django_sendcloud.payloads.ShipmentPayload`; weights in kg, dimensions in cm,
            amounts in major units.
    """

    external_order_id: Annotated[str, _key]
    external_shipment_id: OptionalText
    shipment_uuid: OptionalText
    integration: OptionalNumber
    created_at: OptionalMoment = field(repr=False)
    updated_at: OptionalMoment = field(repr=False)
    shipment_created_at: OptionalMoment = field(repr=False)
    shipment_updated_at: OptionalMoment = field(repr=False)
    allowed_shipping_methods: Annotated[tuple[int, ...], _numbers] = field(repr=False)
    barcode: OptionalText = field(repr=False)
    sender_address: OptionalNumber = field(repr=False)
    order_number: Text = field(repr=False)
    order_status: Annotated[ShipmentStatus | None, nested(ShipmentStatus)] = field(repr=False)
    payment_status: Annotated[ShipmentStatus | None, nested(ShipmentStatus)] = field(repr=False)
    name: Text = field(repr=False)
    company_name: Text = field(repr=False)
    address: Text = field(repr=False)
    address_2: Text = field(repr=False)
    house_number: Text = field(repr=False)
    postal_code: Text = field(repr=False)
    city: Text = field(repr=False)
    country: Text = field(repr=False)
    to_state: OptionalText = field(repr=False)
    email: Text = field(repr=False)
    telephone: Text = field(repr=False)
    to_post_number: Text = field(repr=False)
    to_service_point: OptionalNumber = field(repr=False)
    parcel_items: Annotated[tuple[ShipmentItem, ...], nested_list(ShipmentItem)] = field(repr=False)
    currency: OptionalText = field(repr=False)
    total_order_value: OptionalDecimal = field(repr=False)
    weight: OptionalDecimal = field(repr=False)
    length: OptionalDecimal = field(repr=False)
    width: OptionalDecimal = field(repr=False)
    height: OptionalDecimal = field(repr=False)
    shipping_method: OptionalNumber = field(repr=False)
    shipping_method_checkout_name: Text = field(repr=False)
    checkout_payload: OptionalMapping = field(repr=False)
    customs_invoice_nr: Text = field(repr=False)
    customs_shipment_type: OptionalNumber = field(repr=False)
    customs_details: OptionalMapping = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def key(self) -> tuple[str, str]:
        """Order id and shipment id, ``""`` where there is none: the same as the payload's."""
        return self.external_order_id, self.external_shipment_id or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationLog(Result):
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
        created_at: Time it happened.
        exception_type: The Python path of the exception, for instance ``requests.exceptions.SSLError``.
        exception: Text of the exception.
        protected: Sendcloud keeps it from being deleted.
        raw: The whole answer.
    """

    id: OptionalNumber
    integration_id: OptionalNumber
    user_id: OptionalNumber
    base_url: Text
    full_url: OptionalText = field(repr=False)
    method: Text
    response_code: OptionalNumber
    response: OptionalMapping = field(repr=False)
    request: OptionalMapping = field(repr=False)
    created_at: OptionalMoment
    exception_type: OptionalText
    exception: OptionalText = field(repr=False)
    protected: Flag
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def _parcel_status(value: Any) -> ShipmentStatus | None:
    if not isinstance(value, dict):
        return None
    return ShipmentStatus.from_api({"id": str(value.get("id", "")), "message": read_text(value.get("message"))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel(Result):
    """A parcel (contract: ``ParcelResponseShort`` of the parcels API). Holds personal data, in ``raw`` only.

    Attributes:
        id: Sendcloud's id.
        order_number: The order's number.
        shipment_uuid: Sendcloud's id of the shipment it belongs to.
        tracking_number: The carrier's number.
        status: Its status; the id is a number as text.
        raw: The whole answer.
    """

    id: Id
    order_number: Text
    shipment_uuid: OptionalText
    tracking_number: OptionalText
    status: Annotated[ShipmentStatus | None, _parcel_status]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertResult:
    """Outcome of an upsert for one shipment (contract: ``ShipmentCreateUpdateLog``, ``ShipmentErrorLog``).

    Attributes:
        external_order_id: As it was sent.
        external_shipment_id: As it was sent.
        status: Created, updated, error, or unknown: the answer did not mention the shipment, did so more than once,
            or with a status outside the contract. Treat unknown as if no answer had come.
        shipment_uuid: Sendcloud's id, where it was answered.
        errors: For a rejected shipment: field path (``parcel_items[0].hs_code``) to messages, values
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
        """Return whether Sendcloud has it now."""
        return self.status in {UpsertStatus.CREATED, UpsertStatus.UPDATED}

    @property
    def key(self) -> tuple[str, str]:
        """Order id and shipment id, ``""`` where there is none: the same as the payload's."""
        return self.external_order_id, self.external_shipment_id or ""
