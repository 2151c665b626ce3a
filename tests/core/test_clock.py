"""The database's clock, and the app's copy of it."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_sendcloud.core.clock import SLOW_ANSWER_SECONDS, Clock, EpochMicroseconds
from django_sendcloud.models import Account


def test_database_clock_is_this_machines(db: None) -> None:
    """Guards the SQL: seconds and microseconds, in UTC, whatever the zone of a session."""
    Account.objects.create(name="any")
    found = Account.objects.annotate(epoch=EpochMicroseconds()).values_list("epoch", flat=True).first()
    assert abs(found / 1e6 - time.time()) < 2
    sql, params = Clock().sql(connection, 90.0)
    assert abs(_evaluated(sql, params) - (timezone.now() + dt.timedelta(seconds=90))) < dt.timedelta(seconds=2)
    assert abs(_evaluated(*Clock().sql(connection)) - timezone.now()) < dt.timedelta(seconds=2)


def _evaluated(sql: str, params: list[Any]) -> dt.datetime:
    """Return the time that a column holds after it was set to this expression."""
    account = Account.objects.create(name=str(time.time_ns()))
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {Account._meta.db_table} SET swept_at = {sql} WHERE id = %s", [*params, account.pk])
    account.refresh_from_db()
    assert account.swept_at is not None
    return account.swept_at


def test_clock_follows_the_database_without_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    assert abs(clock.now() - timezone.now()) < dt.timedelta(seconds=1)
    clock.learn(1_000_000_000_000_000, time.monotonic())
    began = clock.now()
    assert dt.datetime(2001, 9, 9, 1, 46, 40, tzinfo=dt.UTC) <= began
    monkeypatch.setattr(timezone, "now", lambda: dt.datetime(1999, 1, 1, tzinfo=dt.UTC))
    assert dt.timedelta() <= clock.now() - began < dt.timedelta(seconds=5)


def test_clock_prefers_the_quicker_answer() -> None:
    clock = Clock()
    clock.learn(1_000_000_000_000_000, time.monotonic())
    clock.learn(2_000_000_000_000_000, time.monotonic() - 2 * SLOW_ANSWER_SECONDS)
    assert clock.now().year == 2001
    clock.learn(1_500_000_000_000_000, time.monotonic())
    assert clock.now().year == 2017
