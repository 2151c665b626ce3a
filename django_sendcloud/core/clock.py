"""The database's clock, for everything that several machines have to agree on.

Workers on any machine compare leases, quarantines and waits. A worker therefore asks the database for the time along
with its other reads, and goes on from there with a clock that never steps. A record made in a web request gets its
times within the statement. A machine whose own clock is wrong does no harm.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, Func
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from ..conf import conf

__all__ = ["MICROSECONDS", "EpochMicroseconds", "clock"]

MICROSECONDS = 1_000_000
# An answer that took longer says too little of when it was given.
SLOW_ANSWER_SECONDS = 1.0

_SQL = {
    "postgresql": "(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint",
    # In UTC throughout: a session's zone may have an hour twice.
    "mysql": "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)",
}


class EpochMicroseconds(Func):
    """Microseconds since the epoch by the database's own clock, also within a transaction."""

    output_field = BigIntegerField()
    arity = 0

    def as_vendor(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        return self.sql(connection), ()

    @staticmethod
    def sql(connection: BaseDatabaseWrapper) -> str:
        """Return the expression as SQL, for a statement written by hand."""
        return _SQL[connection.vendor]

    as_postgresql = as_mysql = as_sqlite = as_vendor


class Clock:
    """One place for time, so that tests can step it."""

    def __init__(self) -> None:
        # Difference between the database's time and the steady clock; ``None`` until the database was asked.
        self._ahead: float | None = None

    def now(self) -> dt.datetime:
        """Return the time in UTC: the database's, once it was asked, and this machine's until then."""
        if self._ahead is None:
            return timezone.now()
        return dt.datetime.fromtimestamp(self._ahead + time.monotonic(), dt.UTC)

    def learn(self, microseconds: int, asked: float) -> None:
        """Go by the database from now on.

        Args:
            microseconds: What it answered (``EpochMicroseconds``).
            asked: When it was asked, by the steady clock. It counts as answered right then, so that the time is a
                little ahead rather than behind: no lease ends in the database before its holder thinks so.
        """
        if self._ahead is None or time.monotonic() - asked < SLOW_ANSWER_SECONDS:
            self._ahead = microseconds / MICROSECONDS - asked

    def synchronize(self) -> None:
        """Ask the database what time it is: one small query. (SQLite has no clock but this machine's.)"""
        connection = connections[conf().DATABASE]
        if connection.vendor == "sqlite":
            return
        asked = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {EpochMicroseconds.sql(connection)}")
            self.learn(cursor.fetchone()[0], asked)

    def sql(self, connection: BaseDatabaseWrapper, seconds: float = 0.0) -> tuple[str, list[Any]]:
        """Return SQL for the time at which a statement runs, and its parameters.

        Args:
            connection: Which database runs it.
            seconds: So much later.
        """
        microseconds = round(seconds * MICROSECONDS)
        if connection.vendor == "postgresql":
            if not microseconds:
                return "statement_timestamp()", []
            return "statement_timestamp() + %s * interval '1 microsecond'", [microseconds]
        if connection.vendor == "mysql" and connection.timezone is dt.UTC:
            if not microseconds:
                return "UTC_TIMESTAMP(6)", []
            return "UTC_TIMESTAMP(6) + INTERVAL %s MICROSECOND", [microseconds]
        # The database's clock is this machine's; or it stores times in a zone of which only Django knows.
        return "%s", [connection.ops.adapt_datetimefield_value(self.now() + dt.timedelta(seconds=seconds))]

    def monotonic(self) -> float:
        """Return the seconds of a clock that never steps; it goes on while the process is stopped."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def jitter(self, upper: float) -> float:
        """Return a random number of seconds up to ``upper``: full jitter keeps workers from retrying in step."""
        return random.uniform(0, upper)  # noqa: S311 - nothing to guess here


clock = Clock()
