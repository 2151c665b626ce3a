"""A client for Sendcloud that needs no Django.

::

    from django_sendcloud.api import SendcloudClient

    with SendcloudClient(public_key="…", secret_key="…") as client:
        for order in client.v3.orders.list(integration_id=1234):
            print(order.id, order.order_number)

Values of one generation are in its package: :mod:`django_sendcloud.api.v2`, :mod:`django_sendcloud.api.v3`.

Layers, from the top: ``client`` (the public face), ``v2`` and ``v3`` (the operations and their addresses),
``requestor`` (limit, authenticate, judge, retry), ``transport`` (one exchange).
"""

from __future__ import annotations

from .auth import TOKEN_URL, Auth, BasicAuth, MemoryTokenCache, OAuth2ClientCredentials, TokenCache
from .client import DEFAULT_BASE_URL, SendcloudClient
from .limits import LocalRateLimiter, RateLimiter
from .log_entries import LoggedRequest, LoggedResponse
from .pages import Page
from .results import Cancellation, DeleteResult
from .retry import RetryPolicy

__all__ = [
    "DEFAULT_BASE_URL",
    "TOKEN_URL",
    "Auth",
    "BasicAuth",
    "Cancellation",
    "DeleteResult",
    "LocalRateLimiter",
    "LoggedRequest",
    "LoggedResponse",
    "MemoryTokenCache",
    "OAuth2ClientCredentials",
    "Page",
    "RateLimiter",
    "RetryPolicy",
    "SendcloudClient",
    "TokenCache",
]
