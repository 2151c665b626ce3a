"""Retries of database work after transient errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connections

from ..conf import conf
from .clock import clock

__all__ = ["is_conflict", "retry_transient"]

DATABASE_TRIES = 5
# Workers that meet each other again and again get through one by one.
CONFLICT_TRIES = 20

# Deadlocks, and transactions that another one has overtaken: by SQLSTATE, and by the numbers of MySQL and MariaDB.
_CONFLICT_STATES = frozenset({"40001", "40P01"})
_CONFLICT_NUMBERS = frozenset({1020, 1205, 1213})

T = TypeVar("T")


def is_conflict(error: BaseException) -> bool:
    """Return whether a transaction was lost to another one: all of it has to be done again, in a new one."""
    if not isinstance(error, OperationalError):
        return False
    cause = error.__cause__
    return getattr(cause, "sqlstate", None) in _CONFLICT_STATES or error.args[:1] in {(n,) for n in _CONFLICT_NUMBERS}


def retry_transient(work: Callable[[], T]) -> T:
    """Run ``work`` again after a deadlock, a lock, a conflicting transaction or a lost connection.

    The lost connection may have hidden a success: pass only work that may run twice.

    Raises:
        OperationalError, InterfaceError: of the last try; or of the first within a transaction, which is lost then.
    """
    for attempt in itertools.count(1):
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            tries = CONFLICT_TRIES if is_conflict(error) else DATABASE_TRIES
            if attempt >= tries or connections[conf().DATABASE].in_atomic_block:
                raise
            connections[conf().DATABASE].close_if_unusable_or_obsolete()
            clock.sleep(clock.jitter(0.05 * 2 ** min(attempt, 5)))
    raise AssertionError("unreachable")
