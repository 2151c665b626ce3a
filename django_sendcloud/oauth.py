"""OAuth2 tokens shared by all processes, through Django's cache."""

from __future__ import annotations

from django.core.cache import cache

from .conf import SendcloudConfigurationError
from .crypto import Secret

__all__ = ["SharedTokenCache"]


class SharedTokenCache:
    """Keeps tokens in Django's default cache, encrypted: a cache is often readable by more than the shop.

    It has the shape the client asks for (``django_sendcloud.api.auth.TokenCache``).
    """

    prefix = "django_sendcloud.token."

    def get(self, key: str) -> str | None:
        """The token, ``None`` where there is none, its time is over, or it cannot be decrypted any more."""
        stored = cache.get(self.prefix + key)
        if not isinstance(stored, str):
            return None
        try:
            return Secret.encrypted(stored).reveal()
        except SendcloudConfigurationError:
            return None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a token for ``ttl`` seconds."""
        cache.set(self.prefix + key, Secret(value).ciphertext(), timeout=ttl)
