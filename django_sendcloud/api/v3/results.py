"""Answers of API v3, as frozen values.

Sendcloud writes ids of orders as text in lists and as numbers after an upsert, and costs as numbers although its
schema says text. Both are read alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from ..results import (
    Flag,
    Id,
    OptionalDecimal,
    OptionalFlag,
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
    "AcceptedOrder",
    "Address",
    "AuthMetadata",
    "CustomerDetails",
    "CustomsDetails",
    "DeliveryDates",
    "Dimension",
    "Integration",
    "IntegrationLog",
    "Measurement",
    "Order",
    "OrderDetails",
    "OrderIntegration",
    "OrderItem",
    "PaymentDetails",
    "Price",
    "Quantity",
    "ServicePoint",
    "ShipWith",
    "Shipment",
    "ShipmentParcel",
    "ShippingDetails",
    "Status",
    "TaxNumber",
    "TaxNumbers",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthMetadata(Result):
    """The owner of the keys (contract: ``UserAuthMetadata``).

    Attributes:
        user_id: Sendcloud's id of the account.
        integration_id: Sendcloud's id of the integration the keys belong to.
        raw: The whole object.
    """

    user_id: OptionalNumber
    integration_id: OptionalNumber
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration(Result):
    """A connected integration (contract: ``integration-response-model``).

    Attributes:
        id: Sendcloud's id.
        shop_name: The shop's name in Sendcloud's panel.
        shop_url: The shop's address.
        type: Kind of integration, for instance ``api``.
        started_failing_at: Start of the time Sendcloud has failed to reach the shop.
        last_fetched_at: Last time Sendcloud fetched orders.
        created_at: Time the integration was made.
        updated_at: Last change of these settings.
        service_point_enabled: Buyers may choose service points.
        service_point_carriers: Carriers they may choose from.
        webhook_active: Sendcloud sends webhooks.
        webhook_url: Address it sends them to.
        feedback_type: Moment Sendcloud reports an order as shipped: ``eager``, ``delayed`` or ``none``.
        raw: The whole answer.
    """

    id: Id
    shop_name: Text
    shop_url: OptionalText
    type: Text
    started_failing_at: OptionalMoment
    last_fetched_at: OptionalMoment
    created_at: OptionalMoment
    updated_at: OptionalMoment
    service_point_enabled: Flag
    service_point_carriers: Texts
    webhook_active: Flag
    webhook_url: OptionalText
    feedback_type: OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegrationLog(Result):
    """An entry of the merchant's log of failed connections (contract: ``integration-log``).

    Attributes:
        id: Sendcloud's id of the entry.
        integration_id: Sendcloud's id of the integration.
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
        additional_data: An object or text, ``None`` where it is empty.
        raw: The whole answer.
    """

    id: OptionalNumber
    integration_id: OptionalNumber
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
    additional_data: Annotated[Mapping[str, Any] | str | None, lambda value: value or None] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


def _order_id(value: Any) -> str:
    if not (text := read_text(value)):
        raise ValueError("without its order_id")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedOrder(Result):
    """An order of an upsert or a partial update: accepted, and saved a little later.

    The answer does not say whether the order was created or updated, nor whose integration it is.

    Attributes:
        id: Sendcloud's id.
        order_id: The shop's id of the order.
        order_number: The order's number.
        raw: The whole object.
    """

    id: Id
    order_id: Annotated[str, _order_id]
    order_number: Text
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Price(Result):
    """An amount of money (contract: ``price``, ``costs-object``).

    Attributes:
        value: In major units.
        currency: ISO 4217 code.
        raw: The whole object.
    """

    value: OptionalDecimal
    currency: OptionalText
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Result):
    """A status in the shop's words, or a parcel's in Sendcloud's.

    Attributes:
        code: The key.
        message: Words for people.
        raw: The whole object.
    """

    code: Text
    message: Text
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity(Result):
    """A weight or a volume (contract: ``weight``, ``volume``).

    Attributes:
        value: How much of the unit.
        unit: ``kg``, ``g``, ``lbs``, ``oz``; or ``m3``, ``cm3``, ``l``, ``ml``, ``gal``.
        raw: The whole object.
    """

    value: OptionalDecimal
    unit: Text
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension(Result):
    """Length, width and height (contract: ``dimension``).

    Attributes:
        length: The longest side.
        width: The second side.
        height: The third side.
        unit: ``cm``, ``mm``, ``m``, ``yd``, ``ft`` or ``in``.
        raw: The whole object.
    """

    length: OptionalDecimal
    width: OptionalDecimal
    height: OptionalDecimal
    unit: Text
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement(Result):
    """The size of a line or an order (contract: ``measurement``).

    Attributes:
        dimension: Length, width and height.
        weight: Weight.
        volume: Volume.
        raw: The whole object.
    """

    dimension: Annotated[Dimension | None, nested(Dimension)]
    weight: Annotated[Quantity | None, nested(Quantity)]
    volume: Annotated[Quantity | None, nested(Quantity)]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryDates(Result):
    """The dates of one line (contract: ``delivery-dates``).

    Attributes:
        handover_at: Time the carrier takes it.
        deliver_at: Time the buyer expects it.
        raw: The whole object.
    """

    handover_at: OptionalMoment
    deliver_at: OptionalMoment
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderItem(Result):
    """One line of an order (contract: ``order-items``).

    Attributes:
        item_id: The shop's id of the line.
        product_id: The shop's id of the product.
        variant_id: The shop's id of the variant.
        image_url: A picture.
        name: Name of the product.
        description: Words about it.
        quantity: Number of pieces.
        sku: The shop's stock keeping unit.
        hs_code: Harmonised System code.
        country_of_origin: ISO 3166 code of two letters.
        properties: Properties that distinguish variants.
        unit_price: Price of one piece.
        total_price: Price of all pieces.
        measurement: Weight and size of one piece.
        ean: European Article Number.
        delivery_dates: Its dates.
        mid_code: Manufacturer identification code.
        material_content: Material.
        intended_use: Use the buyer has for it.
        dangerous_goods: The object as it was answered; its enums come back in other letter case than they were sent.
        raw: The whole object.
    """

    item_id: OptionalText
    product_id: OptionalText
    variant_id: OptionalText
    image_url: OptionalText
    name: Text
    description: OptionalText
    quantity: OptionalNumber
    sku: OptionalText
    hs_code: OptionalText
    country_of_origin: OptionalText
    properties: OptionalMapping
    unit_price: Annotated[Price | None, nested(Price)]
    total_price: Annotated[Price | None, nested(Price)]
    measurement: Annotated[Measurement | None, nested(Measurement)]
    ean: OptionalText
    delivery_dates: Annotated[DeliveryDates | None, nested(DeliveryDates)]
    mid_code: OptionalText
    material_content: OptionalText
    intended_use: OptionalText
    dangerous_goods: OptionalMapping
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntegration(Result):
    """The integration of an order.

    Attributes:
        id: Sendcloud's id.
        raw: The whole object.
    """

    id: OptionalNumber
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDetails(Result):
    """An order's lines, status and times (contract: ``order.order_details``).

    Attributes:
        integration: Its integration.
        status: The order's status in the shop's words.
        order_created_at: Time the order was placed, as the shop sent it.
        order_updated_at: Time the order last changed, as the shop sent it.
        order_items: Its lines.
        notes: The buyer's or the shop's notes.
        tags: Words to filter by in the panel.
        raw: The whole object.
    """

    integration: Annotated[OrderIntegration | None, nested(OrderIntegration)]
    status: Annotated[Status | None, nested(Status)]
    order_created_at: OptionalMoment
    order_updated_at: OptionalMoment
    order_items: Annotated[tuple[OrderItem, ...], nested_list(OrderItem)] = field(repr=False)
    notes: OptionalText = field(repr=False)
    tags: Texts
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentDetails(Result):
    """An order's amounts (contract: ``payment-details``).

    Attributes:
        total_price: The order's value.
        status: The payment's status in the shop's words.
        is_cash_on_delivery: The buyer pays the carrier.
        subtotal_price: Value of the lines.
        estimated_shipping_price: Shipping.
        estimated_tax_price: Taxes.
        invoice_date: Date of the invoice.
        discount_granted: Discount, for customs.
        insurance_costs: Insurance, for customs.
        freight_costs: Freight, for customs.
        other_costs: Anything else, for customs.
        raw: The whole object.
    """

    total_price: Annotated[Price | None, nested(Price)]
    status: Annotated[Status | None, nested(Status)]
    is_cash_on_delivery: OptionalFlag
    subtotal_price: Annotated[Price | None, nested(Price)]
    estimated_shipping_price: Annotated[Price | None, nested(Price)]
    estimated_tax_price: Annotated[Price | None, nested(Price)]
    invoice_date: OptionalText
    discount_granted: Annotated[Price | None, nested(Price)]
    insurance_costs: Annotated[Price | None, nested(Price)]
    freight_costs: Annotated[Price | None, nested(Price)]
    other_costs: Annotated[Price | None, nested(Price)]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxNumber(Result):
    """A tax number (contract: ``tax-number``).

    Attributes:
        name: Kind of number, for instance ``VAT``.
        country_code: ISO 3166 code of two letters.
        value: The number.
        raw: The whole object.
    """

    name: OptionalText
    country_code: OptionalText
    value: OptionalText = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxNumbers(Result):
    """The tax numbers of everybody involved (contract: ``customs-details.tax_numbers``).

    Attributes:
        sender: The sender's.
        receiver: The receiver's.
        importer_of_record: The importer's.
        raw: The whole object.
    """

    sender: Annotated[tuple[TaxNumber, ...], nested_list(TaxNumber)]
    receiver: Annotated[tuple[TaxNumber, ...], nested_list(TaxNumber)]
    importer_of_record: Annotated[tuple[TaxNumber, ...], nested_list(TaxNumber)]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomsDetails(Result):
    """Data for customs (contract: ``customs-details``).

    Attributes:
        commercial_invoice_number: Number of the invoice.
        shipment_type: ``gift``, ``commercial_goods``, ``commercial_sample`` or ``returned_goods``.
        export_type: ``private``, ``commercial_b2c`` or ``commercial_b2b``.
        tax_numbers: Tax numbers.
        raw: The whole object.
    """

    commercial_invoice_number: OptionalText
    shipment_type: OptionalText
    export_type: OptionalText
    tax_numbers: Annotated[TaxNumbers | None, nested(TaxNumbers)]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDetails(Result):
    """The buyer (contract: ``customer-details``). Personal data; its ``repr`` shows none.

    Attributes:
        name: Name.
        phone_number: Telephone number.
        email: E-mail address.
        raw: The whole object.
    """

    name: Text = field(repr=False)
    phone_number: OptionalText = field(repr=False)
    email: OptionalText = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(Result):
    """An address (contract: ``address``). Personal data; its ``repr`` shows the country only.

    Attributes:
        name: Name.
        company_name: Company.
        address_line_1: Street.
        house_number: House number.
        address_line_2: Second line.
        postal_code: Postal code.
        city: City.
        po_box: Post office box.
        state_province_code: ISO 3166-2 code, or its last part.
        country_code: ISO 3166 code of two letters.
        email: E-mail address.
        phone_number: Telephone number.
        raw: The whole object.
    """

    name: Text = field(repr=False)
    company_name: OptionalText = field(repr=False)
    address_line_1: Text = field(repr=False)
    house_number: OptionalText = field(repr=False)
    address_line_2: OptionalText = field(repr=False)
    postal_code: Text = field(repr=False)
    city: Text = field(repr=False)
    po_box: OptionalText = field(repr=False)
    state_province_code: OptionalText = field(repr=False)
    country_code: Text
    email: OptionalText = field(repr=False)
    phone_number: OptionalText = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipWith(Result):
    """The chosen way of shipping (contract: ``ship-with``).

    Attributes:
        type: ``shipping_option_code``.
        properties: ``shipping_option_code`` and ``contract_id``.
        raw: The whole object.
    """

    type: Text
    properties: OptionalMapping
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingDetails(Result):
    """The way an order ships (contract: ``shipping-details``).

    Attributes:
        is_local_pickup: The buyer fetches it.
        delivery_indicator: The delivery method's name in the shop's checkout.
        measurement: Weight and size of the whole order.
        ship_with: The chosen way of shipping.
        raw: The whole object.
    """

    is_local_pickup: OptionalFlag
    delivery_indicator: OptionalText
    measurement: Annotated[Measurement | None, nested(Measurement)]
    ship_with: Annotated[ShipWith | None, nested(ShipWith)]
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePoint(Result):
    """The chosen service point (contract: ``service-point``).

    Attributes:
        id: Sendcloud's id, or
        carrier_service_point_id: the carrier's.
        post_number: The buyer's number at the carrier.
        latitude: Degrees, as text.
        longitude: Degrees, as text.
        type: Kind of service point.
        extra_data: Anything the carrier adds.
        raw: The whole object.
    """

    id: OptionalText
    carrier_service_point_id: OptionalText
    post_number: OptionalText = field(repr=False)
    latitude: OptionalText
    longitude: OptionalText
    type: OptionalText
    extra_data: OptionalMapping = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Result):
    """An order as Sendcloud has it (contract: ``order``). Holds personal data; its ``repr`` shows only ids and times.

    An order split in the panel becomes several of these with one ``order_id`` and one
    ``order_number``.

    Attributes:
        id: Sendcloud's id.
        order_id: The shop's id of the order.
        order_number: The order's number.
        created_at: Time Sendcloud stored it.
        modified_at: Time Sendcloud last changed it.
        order_details: Lines, status and times.
        payment_details: Amounts.
        customs_details: Data for customs.
        customer_details: The buyer.
        billing_address: Address of the invoice.
        shipping_address: Address of the delivery.
        shipping_details: The way it ships.
        service_point_details: The chosen service point.
        raw: The whole answer.
    """

    id: Id
    order_id: Annotated[str, _order_id]
    order_number: Text
    created_at: OptionalMoment
    modified_at: OptionalMoment
    order_details: Annotated[OrderDetails | None, nested(OrderDetails)] = field(repr=False)
    payment_details: Annotated[PaymentDetails | None, nested(PaymentDetails)] = field(repr=False)
    customs_details: Annotated[CustomsDetails | None, nested(CustomsDetails)] = field(repr=False)
    customer_details: Annotated[CustomerDetails | None, nested(CustomerDetails)] = field(repr=False)
    billing_address: Annotated[Address | None, nested(Address)] = field(repr=False)
    shipping_address: Annotated[Address | None, nested(Address)] = field(repr=False)
    shipping_details: Annotated[ShippingDetails | None, nested(ShippingDetails)] = field(repr=False)
    service_point_details: Annotated[ServicePoint | None, nested(ServicePoint)] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def integration_id(self) -> int | None:
        """Sendcloud's id of its integration."""
        return self.order_details.integration.id if self.order_details and self.order_details.integration else None


def _shipment_id(value: Any) -> str:
    if not (text := read_text(value)):
        raise ValueError("without its id")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipmentParcel(Result):
    """A parcel of a shipment (contract: ``parcels-array-response``). Holds personal data, in ``raw`` only.

    Attributes:
        id: Sendcloud's id.
        status: Its status.
        tracking_number: The carrier's number.
        tracking_url: Page that shows its way.
        created_at: Time it was made.
        updated_at: Time it last changed.
        announced_at: Time its label was made.
        raw: The whole object.
    """

    id: Id
    status: Annotated[Status | None, nested(Status)]
    tracking_number: OptionalText
    tracking_url: OptionalText = field(repr=False)
    created_at: OptionalMoment
    updated_at: OptionalMoment
    announced_at: OptionalMoment
    raw: Mapping[str, Any] = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment(Result):
    """A shipment with its parcels (contract: ``shipment-response``). Holds personal data, in ``raw`` only.

    Attributes:
        id: Sendcloud's id, a UUID in the guides.
        order_number: The order's number.
        external_reference_id: The shop's own reference.
        parcels: Its parcels.
        raw: The whole answer.
    """

    id: Annotated[str, _shipment_id]
    order_number: Text
    external_reference_id: OptionalText
    parcels: Annotated[tuple[ShipmentParcel, ...], nested_list(ShipmentParcel)]
    raw: Mapping[str, Any] = field(repr=False, compare=False)
