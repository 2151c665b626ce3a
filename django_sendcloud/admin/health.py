"""The shop's health, read once for each request."""

from __future__ import annotations

from django.http import HttpRequest

from ..conf import is_configured
from ..sync.fold import fold_for_reading
from ..sync.health import Health, health

__all__ = ["fold_once", "health_of"]


def health_of(request: HttpRequest) -> Health:
    """Return the health of the shop, read once for each request."""
    found: Health | None = vars(request).get("sendcloud_health")
    if found is None:
        fold_once(request)
        found = vars(request)["sendcloud_health"] = health()
    return found


def fold_once(request: HttpRequest) -> None:
    """Fold recorded changes, once for each request. With a wrong setting nothing is folded, as by the workers."""
    if is_configured() and not vars(request).get("sendcloud_folded"):
        fold_for_reading()
        vars(request)["sendcloud_folded"] = True
