"""The closed vocabularies shared by all rooms. Imports nothing of Django."""

from __future__ import annotations

from enum import IntEnum, StrEnum

__all__ = [
    "ApiGeneration",
    "AuthScheme",
    "Currency",
    "CustomsShipmentType",
    "DeliveryMethodType",
    "FeedbackType",
    "ParcelPhase",
    "UpsertStatus",
    "WebhookAction",
]


class AuthScheme(StrEnum):
    """Ways a client authenticates."""

    BASIC = "basic"
    OAUTH2 = "oauth2"


class ApiGeneration(StrEnum):
    """Generation of Sendcloud's API that an integration is driven through."""

    V2 = "v2"
    V3 = "v3"


class Currency(StrEnum):
    """The currencies a shipment may be declared in (contract: ``ShipmentBlobOrderCreate.currency``)."""

    EUR = "EUR"
    GBP = "GBP"
    USD = "USD"


class CustomsShipmentType(IntEnum):
    """Reason goods cross a customs border (contract: ``ShipmentBlobOrderCreate.customs_shipment_type``)."""

    GIFT = 0
    DOCUMENTS = 1
    COMMERCIAL_GOODS = 2
    COMMERCIAL_SAMPLE = 3
    RETURNED_GOODS = 4


class DeliveryMethodType(StrEnum):
    """Delivery method the buyer chose in the Dynamic Checkout (contract: ``CheckoutPayload.delivery_method_type``)."""

    STANDARD = "standard_delivery"
    NOMINATED_DAY = "nominated_day_delivery"
    SAME_DAY = "same_day_delivery"


class FeedbackType(StrEnum):
    """The moment Sendcloud reports an order as shipped (contract v3: ``integration-model.feedback_type``)."""

    EAGER = "eager"
    DELAYED = "delayed"
    NONE = "none"


class UpsertStatus(StrEnum):
    """Outcome of one shipment of an upsert.

    ``UNKNOWN`` is ours: the answer did not mention the shipment, mentioned it more than once or
    with an unknown status, so it must be treated as if no answer had come.
    """

    CREATED = "created"
    UPDATED = "updated"
    ERROR = "error"
    UNKNOWN = "unknown"


class WebhookAction(StrEnum):
    """The webhook actions Sendcloud is known to send, and our own. Others are kept and never refused."""

    PARCEL_STATUS_CHANGED = "parcel_status_changed"
    INTEGRATION_CONNECTED = "integration_connected"
    INTEGRATION_UPDATED = "integration_updated"
    INTEGRATION_DELETED = "integration_deleted"
    INTEGRATION_CREDENTIALS = "integration_credentials"
    RETURN_CREATED = "return_created"
    RETURN_DELIVERED = "return_delivered"
    TEST_WEBHOOK = "test_webhook"
    PARCEL_POLLED = "django_sendcloud.parcel_polled"
    PARCEL_LINKED = "django_sendcloud.parcel_linked"
    SHIPMENT_DELETED = "django_sendcloud.shipment_deleted"


class ParcelPhase(StrEnum):
    """Step of a parcel's journey that a shop can act on."""

    ANNOUNCED = "announced"
    IN_TRANSIT = "in_transit"
    AWAITING_PICKUP = "awaiting_pickup"
    DELIVERED = "delivered"
    PROBLEM = "problem"
    RETURNED = "returned"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
