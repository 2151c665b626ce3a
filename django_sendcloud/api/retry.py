"""The decision whether to retry, and how long to wait before: one pure function of the error, time and chance."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..exceptions import APIError, RateLimited, RequestNotSent, ServerError, TLSError, TransportError

__all__ = ["RetryPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Rules for retries.

    A reading request (GET) is repeated after a broken connection, a timeout, 429 and 5xx. A changing
    one is repeated only where the connection was never made, so that it surely did not arrive.
    The caller decides everything else, because it knows what is idempotent.

    Args:
        retries: How many times at most; 0 never.
        base: Seconds of the first step. The n-th wait lies anywhere between 0 and
            ``base * 2 ** n``, at random (full jitter), so that many clients do not return as one.
        cap: Maximum seconds of one step.
        budget: Seconds that may be spent waiting in one call. A ``Retry-After`` beyond it is not
            waited for: the error comes immediately and carries it.
        unsafe: Whether changing requests are repeated at all.
        sleep: Waits that many seconds.
        random: Gives a number from 0 to 1.
    """

    retries: int = 2
    base: float = 0.5
    cap: float = 8.0
    budget: float = 30.0
    unsafe: bool = True
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)
    random: Callable[[], float] = field(default=random.random, repr=False)

    def __post_init__(self) -> None:
        if self.retries < 0:
            raise ValueError(f"retries must be 0 or more, got {self.retries}.")

    def wait(self, error: APIError, *, safe: bool, attempt: int, waited: float) -> float | None:
        """Return the seconds to wait before the next attempt, ``None`` to give up.

        Args:
            error: How the last attempt ended.
            safe: Whether the request changes nothing.
            attempt: How many attempts have been made, 1 at least.
            waited: Seconds waited so far in this call.
        """
        if attempt > self.retries or not self._is_worth_it(error, is_safe=safe):
            return None
        seconds = self.random() * min(self.cap, self.base * 2 ** (attempt - 1))
        if error.retry_after is not None:
            seconds += error.retry_after
        return seconds if waited + seconds <= self.budget else None

    def _is_worth_it(self, error: APIError, *, is_safe: bool) -> bool:
        if isinstance(error, TLSError):
            return False
        if isinstance(error, RequestNotSent):
            return is_safe or self.unsafe
        if isinstance(error, RateLimited) and error.status is None:
            # Our own limiter has waited for as long as it is worth.
            return False
        return is_safe and isinstance(error, TransportError | ServerError | RateLimited)
