"""Sendcloud's seam: one backend per API generation."""

from __future__ import annotations

from typing import Any

from ...models import Integration
from ..generation import usual_generation
from .base import Backend, CancelledLabel, Item, ItemResult, Outcome, RemoteItem
from .v2 import V2Backend
from .v3 import V3Backend

__all__ = [
    "BACKENDS",
    "Backend",
    "CancelledLabel",
    "Item",
    "ItemResult",
    "Outcome",
    "RemoteItem",
    "backend_class",
    "backend_for",
]

#: The backends by API generation (``Integration.api_generation``).
BACKENDS: dict[str, type[Backend]] = {backend.generation: backend for backend in (V2Backend, V3Backend)}


def backend_class(integration: Integration | None = None) -> type[Backend]:
    """Return the backend class of an integration; before there is one, that of the generation to be expected."""
    return BACKENDS[integration.api_generation if integration else usual_generation().value]


def backend_for(integration: Integration, **options: Any) -> Backend:
    """Return a backend that talks to this integration. Close it, or use it in a ``with``.

    Args:
        integration: The integration.
        **options: Options of the backend (see :class:`Backend`).
    """
    return backend_class(integration)(integration, **options)
