"""The buyer's choice in Sendcloud's Dynamic Checkout."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from .base import Extra, Payload
from .nested import Nested
from .rules import JSON, OMIT, Integer, JSONObject, Moment, Text

__all__ = ["CheckoutPayload", "DeliveryMethodData", "ShippingProduct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippingProduct(Payload):
    """The carrier's product (contract: ``CheckoutPayload.shipping_product``, of which its text wants all three).

    Args:
        code: For instance ``postnl:standard``.
        name: For instance ``PostNL Standard``.
        selected_functionalities: For instance ``{"age_check": 18, "last_mile": "home_delivery"}``.
        extra: Other keys the checkout gave.

    Raises:
        PayloadError: a field breaks the contract.
    """

    code: Annotated[str, Text(1)]
    name: Annotated[str, Text(1)]
    selected_functionalities: Annotated[Mapping[str, JSON], JSONObject()] = field(default_factory=dict, hash=False)
    extra: Extra = field(default_factory=dict, hash=False)

    @property
    def subject(self) -> str:
        return "shipping product"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryMethodData(Payload):
    """The days of handover and delivery (contract: ``CheckoutPayload.delivery_method_data``).

    Args:
        delivery_date: The day the buyer wants it. Knows its time zone, sent in UTC.
        formatted_delivery_date: The same as the buyer read it, for instance ``February 21, 2012``.
        parcel_handover_date: The day the carrier must have it. Knows its time zone, sent in UTC.
        extra: Other keys the checkout gave.

    Raises:
        PayloadError: a field breaks the contract.
    """

    delivery_date: Annotated[dt.datetime, Moment()]
    formatted_delivery_date: Annotated[str, Text(1)]
    parcel_handover_date: Annotated[dt.datetime, Moment()]
    extra: Extra = field(default_factory=dict, hash=False)

    @property
    def subject(self) -> str:
        return "delivery method data"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutPayload(Payload):
    """The buyer's choice in the Dynamic Checkout (contract: ``CheckoutPayload``).

    Args:
        sender_address_id: Sendcloud's id of the address the parcel leaves from.
        shipping_product: The carrier's product.
        delivery_method_type: One of :class:`~django_sendcloud.enums.DeliveryMethodType`. The contract
            sets no list in its schema, so other text is sent as it is.
        delivery_method_data: For a nominated day. Left out where ``None``.
        extra: Other keys the checkout gave.

    Raises:
        PayloadError: a field breaks the contract.
    """

    sender_address_id: Annotated[int, Integer()]
    shipping_product: Annotated[ShippingProduct, Nested(ShippingProduct)]
    delivery_method_type: Annotated[str, Text(1)]
    delivery_method_data: Annotated[DeliveryMethodData | None, Nested(DeliveryMethodData, none=OMIT)] = None
    extra: Extra = field(default_factory=dict, hash=False)

    @property
    def subject(self) -> str:
        return "checkout payload"
