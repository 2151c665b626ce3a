"""The Integrations API v2, one module per group of operations. Nothing else knows its addresses."""

from __future__ import annotations

from .integrations import Integrations, IntegrationUpdate
from .logs import IntegrationLogEntry, Logs
from .shipments import MAX_BATCH, Shipments

__all__ = ["MAX_BATCH", "IntegrationLogEntry", "IntegrationUpdate", "Integrations", "Logs", "Shipments"]
