"""OAuth2 tokens shared by all processes, through Django's cache."""

from __future__ import annotations

import logging
import time

from django.core.cache import cache

from ..conf import SendcloudConfigurationError
from ..hidden import HiddenStr
from .crypto import Secret

__all__ = ["SharedTokenCache"]

logger = logging.getLogger("django_sendcloud.core")

# The tokens of this process, for as long as the cache cannot be reached.
_own: dict[str, tuple[float, HiddenStr]] = {}


class SharedTokenCache:
    """A store of tokens in Django's default cache, encrypted: a cache is often readable by more than the shop.

    It has the shape the client asks for (``django_sendcloud.api.auth.TokenCache``). A cache that cannot be reached
    costs each process a token of its own, and stops nothing.
    """

    prefix = "django_sendcloud.token."

    def get(self, key: str) -> HiddenStr | None:
        """Return the token; ``None`` where there is none, its time is over, or it cannot be decrypted any more."""
        try:
            stored = cache.get(self.prefix + key)
        except Exception as error:
            # Each client of a cache raises exceptions of its own.
            logger.warning("The cache could not be read (%s).", type(error).__name__)
            expires, token = _own.get(key, (0.0, HiddenStr("")))
            return token if time.monotonic() < expires else None
        if not isinstance(stored, str):
            return None
        try:
            return Secret.encrypted(stored).reveal()
        except SendcloudConfigurationError:
            return None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a token for ``ttl`` seconds."""
        try:
            cache.set(self.prefix + key, Secret(value).ciphertext(), timeout=ttl)
        except SendcloudConfigurationError:
            raise
        except Exception as error:
            logger.warning("The cache could not be written (%s).", type(error).__name__)
            _own[key] = time.monotonic() + ttl, HiddenStr(value)
        else:
            _own.pop(key, None)
