"""A client for Sendcloud that needs no Django.

::

    from django_sendcloud.api import SendcloudClient

    with SendcloudClient(public_key="…", secret_key="…") as client:
        client.shipments(1234).upsert([payload.stamped(order.modified)])

Layers, from the top: ``client`` (what people use), ``v2`` (the operations and their addresses),
``requestor`` (limit, authenticate, judge, try again), ``transport`` (one exchange).
"""

from __future__ import annotations

from .auth import TOKEN_URL, Auth, BasicAuth, MemoryTokenCache, OAuth2ClientCredentials, TokenCache
from .client import DEFAULT_BASE_URL, SendcloudClient
from .limits import LocalRateLimiter, RateLimiter
from .pages import Page
from .results import (
    DeleteResult,
    Integration,
    IntegrationLog,
    IntegrationSettings,
    Parcel,
    Shipment,
    ShipmentItem,
    ShipmentStatus,
    UpsertResult,
)
from .retry import RetryPolicy
from .transport import not_after
from .v2 import MAX_BATCH, IntegrationLogEntry, IntegrationUpdate
from .v2.logs import LoggedRequest, LoggedResponse

__all__ = [
    "DEFAULT_BASE_URL",
    "MAX_BATCH",
    "TOKEN_URL",
    "Auth",
    "BasicAuth",
    "DeleteResult",
    "Integration",
    "IntegrationLog",
    "IntegrationLogEntry",
    "IntegrationSettings",
    "IntegrationUpdate",
    "LocalRateLimiter",
    "LoggedRequest",
    "LoggedResponse",
    "MemoryTokenCache",
    "OAuth2ClientCredentials",
    "Page",
    "Parcel",
    "RateLimiter",
    "RetryPolicy",
    "SendcloudClient",
    "Shipment",
    "ShipmentItem",
    "ShipmentStatus",
    "TokenCache",
    "UpsertResult",
    "not_after",
]
