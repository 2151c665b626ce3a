"""A replica that lags for ever, and the router of a shop that reads from it.

It has the tables and no rows, so whatever is read from it instead of the primary database is wrong immediately: an order without
lines, an outbox without entries.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Router"]


class Router:
    """Reads from the replica, writes to the primary database."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return "replica"

    def db_for_write(self, model: Any, **hints: Any) -> str:
        return "default"

    def allow_relation(self, one: Any, other: Any, **hints: Any) -> bool:
        return True
