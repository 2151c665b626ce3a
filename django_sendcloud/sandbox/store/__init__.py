"""Integrations, orders and the connection log, which both API generations share."""

from __future__ import annotations

from .integration import SandboxIntegration
from .merging import merged
from .order import ANY, FIRST_ID, StoredOrder
from .store import Store
from .unsaved import AcceptedOrder

__all__ = ["ANY", "FIRST_ID", "AcceptedOrder", "SandboxIntegration", "Store", "StoredOrder", "merged"]
