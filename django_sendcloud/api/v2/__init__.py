"""The API v2: the Integrations API, and what a shop needs of parcels, labels and service points.

Reached as ``client.v2``. One module per resource; no other module knows the addresses.
"""

from __future__ import annotations

from ..labels import Labels
from ..requestor import Requestor
from .integrations import IntegrationPatch, Integrations, IntegrationUpdate
from .logs import IntegrationLogEntry, Logs
from .parcels import MAX_IDS, Parcels
from .results import (
    Integration,
    IntegrationLog,
    IntegrationSettings,
    Parcel,
    Shipment,
    ShipmentItem,
    ShipmentStatus,
    UpsertResult,
)
from .service_points import ServicePoints
from .shipments import MAX_BATCH, Shipments

__all__ = [
    "MAX_BATCH",
    "MAX_IDS",
    "V2",
    "Integration",
    "IntegrationLog",
    "IntegrationLogEntry",
    "IntegrationPatch",
    "IntegrationSettings",
    "IntegrationUpdate",
    "Integrations",
    "Logs",
    "Parcel",
    "Parcels",
    "ServicePoints",
    "Shipment",
    "ShipmentItem",
    "ShipmentStatus",
    "Shipments",
    "UpsertResult",
]


class V2:
    """The resources of API v2. Every operation takes the ids first, and a writing one then a single typed value."""

    def __init__(self, requestor: Requestor, service_points: Requestor) -> None:
        self._requestor = requestor
        self._service_points = service_points

    @property
    def integrations(self) -> Integrations:
        """Integrations and their logs of failed connections."""
        return Integrations(self._requestor)

    @property
    def shipments(self) -> Shipments:
        """The shipments of an integration."""
        return Shipments(self._requestor)

    @property
    def parcels(self) -> Parcels:
        """Parcels, of the whole account."""
        return Parcels(self._requestor)

    @property
    def labels(self) -> Labels:
        """Labels of parcels."""
        return Labels(self._requestor)

    @property
    def service_points(self) -> ServicePoints:
        """Service points."""
        return ServicePoints(self._service_points)
