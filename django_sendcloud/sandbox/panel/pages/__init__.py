"""The panel's pages: functions that take what they show, and return HTML."""

from __future__ import annotations

from .faults import faults
from .integrations import integrations
from .orders import order, orders
from .parcels import parcel, parcels
from .requests import request, requests
from .webhooks import webhook, webhooks

__all__ = ["faults", "integrations", "order", "orders", "parcel", "parcels", "request", "requests", "webhook"]
__all__ += ["webhooks"]
