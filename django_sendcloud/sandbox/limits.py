"""Sendcloud's rate limits, per account: all its keys and both API generations share them."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from typing import Final

__all__ = ["RateLimiter"]

_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}


class RateLimiter:
    """Counter of requests in a rolling window. Refused requests do not count.

    Attributes:
        enabled: Whether it refuses requests.
        unsafe: Number of POST, PUT, PATCH and DELETE requests in a window.
        safe: Number of GET requests in a window.
        window: Length of the window in seconds.
        retry_after: Retry-After header of a refusal: seconds or any text; ``None`` for no header, as at Sendcloud.
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
        """Count a request, and return whether it may pass."""
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
        """Reset the counts."""
        with self._lock:
            self._seen.clear()
