"""The panel: orders, labels, parcels, webhooks and faults for people."""

from __future__ import annotations

from .panel import Panel

__all__ = ["Panel"]
