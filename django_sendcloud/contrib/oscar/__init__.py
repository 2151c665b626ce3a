"""Sendcloud for django-oscar: an adapter of a few lines, the dashboard, and tracking on the buyer's pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter import OscarOrderAdapter

__all__ = ["OscarOrderAdapter"]


def __getattr__(name: str) -> Any:
    # Django imports this package before models can exist.
    if name == "OscarOrderAdapter":
        from .adapter import OscarOrderAdapter

        return OscarOrderAdapter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
