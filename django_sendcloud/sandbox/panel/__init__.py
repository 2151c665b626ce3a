"""The panel: where a person sees what arrives, makes labels, moves parcels, and lets things go wrong."""

from __future__ import annotations

from .panel import Panel

__all__ = ["Panel"]
