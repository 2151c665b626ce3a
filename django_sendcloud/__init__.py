"""Ship with Sendcloud from any Django shop.

The public names are loaded on first use, because ``INSTALLED_APPS`` imports this package before
models can exist.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .adapters import NotShippable, OrderAdapter, PackedItem, ParcelChange, watch
    from .api import SendcloudClient
    from .conf import SendcloudConfigurationError
    from .exceptions import APIError, OrderProblem, PayloadError, RegistrationError, SendcloudError
    from .registry import register, unregister
    from .storefront.tracking import order_shipping
    from .sync.preview import preview_order
    from .sync.record import enqueue, paused

_LAZY_IMPORTS = {
    "APIError": ".exceptions",
    "NotShippable": ".adapters",
    "OrderAdapter": ".adapters",
    "OrderProblem": ".exceptions",
    "PackedItem": ".adapters",
    "ParcelChange": ".adapters",
    "PayloadError": ".exceptions",
    "RegistrationError": ".exceptions",
    "SendcloudClient": ".api",
    "SendcloudConfigurationError": ".conf",
    "SendcloudError": ".exceptions",
    "enqueue": ".sync.record",
    "order_shipping": ".storefront.tracking",
    "paused": ".sync.record",
    "preview_order": ".sync.preview",
    "register": ".registry",
    "unregister": ".registry",
    "watch": ".adapters",
}

__all__ = [
    "APIError",
    "NotShippable",
    "OrderAdapter",
    "OrderProblem",
    "PackedItem",
    "ParcelChange",
    "PayloadError",
    "RegistrationError",
    "SendcloudClient",
    "SendcloudConfigurationError",
    "SendcloudError",
    "__version__",
    "enqueue",
    "order_shipping",
    "paused",
    "preview_order",
    "register",
    "unregister",
    "watch",
]


def __getattr__(name: str) -> Any:
    if home := _LAZY_IMPORTS.get(name):
        value = getattr(importlib.import_module(home, __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY_IMPORTS])
