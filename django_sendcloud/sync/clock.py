"""The engine's clock: one place, so that tests can step it."""

from __future__ import annotations

import datetime as dt
import random
import time

from django.utils import timezone


class Clock:
    """Wall clock in UTC for what is stored, a steady one for what is measured."""

    def now(self) -> dt.datetime:
        return timezone.now()

    def monotonic(self) -> float:
        """Seconds of a clock that never steps; it goes on while the process is stopped."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def jitter(self, upper: float) -> float:
        """A random number of seconds up to ``upper``: full jitter keeps workers from retrying in step."""
        return random.uniform(0, upper)  # noqa: S311 - nothing to guess here


clock = Clock()
