"""Asking the database again where it refused for reasons that pass."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections

from .clock import clock
from .conf import conf

__all__ = ["patiently"]

DATABASE_TRIES = 5

T = TypeVar("T")


def patiently(work: Callable[[], T]) -> T:
    """Run ``work`` again when it met a deadlock, a lock, another transaction, or lost its connection.

    It may have been done although nobody said so: only what may be done twice is done patiently.

    Raises:
        OperationalError, InterfaceError: of the last try; or of the first within a transaction, which is lost then.
    """
    for attempt in itertools.count(1):
        try:
            return work()
        except (OperationalError, InterfaceError):
            if attempt == DATABASE_TRIES or connections[conf().DATABASE].in_atomic_block:
                raise
            connections[conf().DATABASE].close_if_unusable_or_obsolete()
            clock.sleep(clock.jitter(0.05 * 2**attempt))
    raise AssertionError("unreachable")
