"""The Integrations API v2, one module per group of operations. Nothing else knows its addresses."""

from __future__ import annotations

from .integrations import Integrations, IntegrationUpdate
from .labels import Labels
from .logs import IntegrationLogEntry, Logs
from .parcels import Parcels
from .service_points import ServicePoints
from .shipments import MAX_BATCH, Shipments

__all__ = [
    "MAX_BATCH",
    "IntegrationLogEntry",
    "IntegrationUpdate",
    "Integrations",
    "Labels",
    "Logs",
    "Parcels",
    "ServicePoints",
    "Shipments",
]
