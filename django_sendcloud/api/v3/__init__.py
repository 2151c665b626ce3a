"""The API v3: orders, integrations, and what a shop needs of shipments, labels and service points.

Reached as ``client.v3``. One module per resource; no other module knows the addresses.
"""

from __future__ import annotations

from ..labels import Labels
from ..requestor import Request, Requestor
from . import paths
from .integrations import IntegrationPatch, Integrations
from .logs import IntegrationLogEntry, Logs
from .orders import MAX_BATCH, MAX_PAGE, OrderJSON, Orders, data_of
from .results import (
    AcceptedOrder,
    Address,
    AuthMetadata,
    CustomerDetails,
    CustomsDetails,
    DeliveryDates,
    Dimension,
    Integration,
    IntegrationLog,
    Measurement,
    Order,
    OrderDetails,
    OrderIntegration,
    OrderItem,
    PaymentDetails,
    Price,
    Quantity,
    ServicePoint,
    Shipment,
    ShipmentParcel,
    ShippingDetails,
    ShipWith,
    Status,
    TaxNumber,
    TaxNumbers,
)
from .service_points import ServicePoints
from .shipments import Shipments

__all__ = [
    "MAX_BATCH",
    "MAX_PAGE",
    "V3",
    "AcceptedOrder",
    "Address",
    "AuthMetadata",
    "CustomerDetails",
    "CustomsDetails",
    "DeliveryDates",
    "Dimension",
    "Integration",
    "IntegrationLog",
    "IntegrationLogEntry",
    "IntegrationPatch",
    "Integrations",
    "Logs",
    "Measurement",
    "Order",
    "OrderDetails",
    "OrderIntegration",
    "OrderItem",
    "OrderJSON",
    "Orders",
    "PaymentDetails",
    "Price",
    "Quantity",
    "ServicePoint",
    "ServicePoints",
    "ShipWith",
    "Shipment",
    "ShipmentParcel",
    "Shipments",
    "ShippingDetails",
    "Status",
    "TaxNumber",
    "TaxNumbers",
]


class V3:
    """The resources of API v3. Every operation takes the ids first, and a writing one then a single typed value."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    @property
    def orders(self) -> Orders:
        """Orders."""
        return Orders(self._requestor)

    @property
    def integrations(self) -> Integrations:
        """Integrations and their logs of failed connections."""
        return Integrations(self._requestor)

    @property
    def shipments(self) -> Shipments:
        """Shipments with their parcels."""
        return Shipments(self._requestor)

    @property
    def labels(self) -> Labels:
        """Labels of parcels."""
        return Labels(self._requestor)

    @property
    def service_points(self) -> ServicePoints:
        """Whether service points are still there."""
        return ServicePoints(self._requestor)

    def auth_metadata(self) -> AuthMetadata:
        """Return the account and the integration the keys belong to (operation: GET /user/auth/metadata).

        Raises:
            AuthenticationError: the keys are rejected.
            APIError: it did not end well.
        """
        request = Request(operation="get auth metadata", method="GET", path=paths.AUTH_METADATA, success=[200])
        return self._requestor.read(request, lambda content: AuthMetadata.from_api(data_of(content)))
