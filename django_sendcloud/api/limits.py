"""Limiters that stay below Sendcloud's limits, which are counted per account over all its keys.

Sendcloud answers 429 beyond 100 changing and 1,000 reading requests a minute
(https://sendcloud.dev/docs/getting-started/rate-limits). Where several processes share an account,
give the client a limiter that they share too: anything with :meth:`RateLimiter.acquire`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from ..exceptions import RateLimited

__all__ = ["Kind", "LocalRateLimiter", "RateLimiter"]

#: ``safe``: a request that changes nothing (GET). ``unsafe``: any other.
Kind: TypeAlias = Literal["safe", "unsafe"]


class RateLimiter(Protocol):
    """Asked before each request."""

    def acquire(self, kind: Kind) -> None:
        """Return when a request of this kind may be sent.

        Raises:
            RateLimited: that would take longer than it is worth waiting for.
        """


class LocalRateLimiter:
    """A limiter for the threads of one process (generic cell rate algorithm).

    The default rates and bursts are chosen so that no 60 seconds, wherever they begin, ever see
    more than 100 changing and 1,000 reading requests: a burst comes on top of a minute's rate.

    Args:
        unsafe_per_minute: Changing requests a minute in the long run.
        unsafe_burst: Changing requests that may go together after a quiet while.
        safe_per_minute: Reading requests a minute in the long run.
        safe_burst: Reading requests that may go together after a quiet while.
        max_wait: Seconds it may wait before it gives up.
        clock: Seconds that only go forward.
        sleep: Waits that many seconds.
    """

    def __init__(
        self,
        *,
        unsafe_per_minute: float = 85,
        unsafe_burst: int = 15,
        safe_per_minute: float = 900,
        safe_burst: int = 100,
        max_wait: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if min(unsafe_per_minute, safe_per_minute, unsafe_burst, safe_burst) <= 0:
            raise ValueError("Rates and bursts must be greater than 0.")
        self.max_wait = max_wait
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._interval: dict[Kind, float] = {"safe": 60 / safe_per_minute, "unsafe": 60 / unsafe_per_minute}
        self._burst: dict[Kind, int] = {"safe": safe_burst, "unsafe": unsafe_burst}
        self._arrival: dict[Kind, float] = {"safe": float("-inf"), "unsafe": float("-inf")}

    def acquire(self, kind: Kind) -> None:
        """Wait until a request of this kind may be sent, first come, first served.

        Raises:
            RateLimited: that would take longer than ``max_wait``. No place in the queue is taken.
        """
        with self._lock:
            now = self._clock()
            arrival = max(self._arrival[kind], now)
            wait = arrival - now - (self._burst[kind] - 1) * self._interval[kind]
            if wait > self.max_wait:
                raise RateLimited(f"our own limit for {kind} requests is reached", retry_after=wait)
            self._arrival[kind] = arrival + self._interval[kind]
        if wait > 0:
            self._sleep(wait)
