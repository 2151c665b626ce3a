"""Sendcloud for django-salesman: an adapter of a few lines, tracking in its REST API, and our panel in its admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter import SalesmanOrderAdapter
    from .tracking import TrackingField

__all__ = ["SalesmanOrderAdapter", "TrackingField"]


def __getattr__(name: str) -> Any:
    # Django imports this package before models can exist.
    if name == "SalesmanOrderAdapter":
        from .adapter import SalesmanOrderAdapter

        return SalesmanOrderAdapter
    if name == "TrackingField":
        from .tracking import TrackingField

        return TrackingField
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
