"""Database work that is done again after transient errors."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import InterfaceError, OperationalError

from django_sendcloud.core import retry
from django_sendcloud.core.clock import clock
from django_sendcloud.core.retry import CONFLICT_TRIES, DATABASE_TRIES, is_conflict, retry_transient


class Outside:
    """A connection outside of transactions."""

    in_atomic_block = False

    def close_if_unusable_or_obsolete(self) -> None:
        """Keep it."""


def conflict(state: str = "40001") -> OperationalError:
    """Return an error as PostgreSQL's driver causes it."""
    cause = Exception("could not serialize access")
    cause.sqlstate = state  # type: ignore[attr-defined]
    error = OperationalError("could not serialize access")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (conflict("40001"), True),
        (conflict("40P01"), True),
        (OperationalError(1213, "Deadlock found when trying to get lock"), True),
        (OperationalError(1205, "Lock wait timeout exceeded"), True),
        (OperationalError(1020, "Record has changed since last read"), True),
        (OperationalError(2006, "Server has gone away"), False),
        (OperationalError("connection refused"), False),
        (OperationalError(), False),
        (InterfaceError("connection already closed"), False),
        (ValueError(1213), False),
    ],
)
def test_conflict_differs_from_other_errors(error: Exception, expected: bool) -> None:
    assert is_conflict(error) is expected


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (conflict(), CONFLICT_TRIES),
        (OperationalError("gone"), DATABASE_TRIES),
        (InterfaceError("closed"), DATABASE_TRIES),
    ],
)
def test_tries_depend_on_error(monkeypatch: pytest.MonkeyPatch, error: Exception, tries: int) -> None:
    monkeypatch.setattr(retry, "connections", {"default": Outside()})
    monkeypatch.setattr(clock, "sleep", lambda seconds: None)
    calls: list[Any] = []

    def work() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        retry_transient(work)
    assert len(calls) == tries
