"""Sendcloud's rate limits: so many requests of an account in any minute, all its keys together."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import Final

__all__ = ["RateLimiter"]

_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


class RateLimiter:
    """Counts requests in a rolling window. Refused requests do not count.

    Attributes:
        enabled: Whether it refuses anything.
        unsafe: POST, PUT, PATCH and DELETE requests allowed in a window.
        safe: GET requests allowed in a window.
        window: Seconds.
        retry_after: What a refusal says in its Retry-After header: seconds, any text, or ``None`` for no
            header, as Sendcloud does.
    """

    def __init__(self) -> None:
        self.enabled = False
        self.unsafe = 100
        self.safe = 1000
        self.window = 60.0
        self.retry_after: float | str | None = None
        self._seen: dict[tuple[str, bool], deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def allows(self, account: str, method: str) -> bool:
        """Count a request; whether it may pass."""
        if not self.enabled:
            return True
        safe = method in _SAFE_METHODS
        now = time.monotonic()
        with self._lock:
            seen = self._seen[account, safe]
            while seen and seen[0] <= now - self.window:
                seen.popleft()
            if len(seen) >= (self.safe if safe else self.unsafe):
                return False
            seen.append(now)
            return True

    def clear(self) -> None:
        """Forget what was counted."""
        with self._lock:
            self._seen.clear()
