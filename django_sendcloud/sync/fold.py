"""The fold of recorded changes into the outbox: many changes of an order become one entry.

The shop appends rows of ``Change``; a fold deletes them together with the write of the entry they become. So only
workers and readers of the outbox ever wait for each other's rows.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..conf import conf
from ..core.clock import clock
from ..core.retry import retry_transient
from ..core.transactions import is_inside_transaction, refuse_inside_transaction
from ..models import Change, OutboxEntry

__all__ = ["add_entries", "fold", "fold_all", "fold_for_reading"]

# Changes folded together.
CHUNK = 1000

_Key = tuple[str, str]
_COLUMNS = (
    "order_type, order_pk, is_deletion, only_related, is_bulk, due_at, not_before, recorded_at, changed_at, "
    "error_detail, error_fields"
)


class _Folded(NamedTuple):
    """The changes of one order, taken together."""

    is_deletion: bool
    only_related: bool
    is_bulk: bool
    due_at: dt.datetime
    first: dt.datetime
    last: dt.datetime


def fold_all(limit: int = 100 * CHUNK) -> int:
    """Fold the recorded changes, in portions. Return how many they were, at most about ``limit``.

    Costs one small query if there is nothing to fold.

    Raises:
        InsideTransaction: a database of this thread is in an atomic block, which would keep the folded rows locked.
    """
    total = 0
    while total < limit:
        folded = fold()
        total += folded
        # (A test's own transaction would keep the rows of several portions locked.)
        if folded < CHUNK or connections[conf().DATABASE].in_atomic_block:
            break
    return total


def fold_for_reading() -> None:
    """Fold the recorded changes before the outbox is shown, unless a transaction is open."""
    if not is_inside_transaction():
        fold_all()


def fold(size: int = CHUNK) -> int:
    """Fold up to ``size`` changes into the outbox, oldest first. Return how many.

    Of two concurrent folds of the same changes, the second one leaves them to the first and returns 0.

    Raises:
        InsideTransaction: a database of this thread is in an atomic block, which would keep the folded rows locked.
    """
    refuse_inside_transaction("Folding recorded changes")
    return retry_transient(functools.partial(_fold, connections[conf().DATABASE], size))


def add_entries(order_type: str, order_pks: Sequence[str], *, only_related: bool = False) -> None:
    """Put orders into the outbox, as if they had just changed. For workers.

    Args:
        order_type: The orders' stored type.
        order_pks: Their stored keys.
        only_related: As in ``record``.
    """
    now = clock.now()
    _upsert(
        connections[conf().DATABASE],
        {
            (order_type, pk): _Folded(
                is_deletion=False, only_related=only_related, is_bulk=False, due_at=now, first=now, last=now
            )
            for pk in order_pks
        },
    )


class _ConcurrentFold(Exception):
    """Another worker folds these very changes."""


def _fold(connection: BaseDatabaseWrapper, size: int) -> int:
    rows = Change.objects.order_by("pk")
    # Read without locks: on MySQL, those would reach to where the shop inserts.
    columns = ("pk", "order_type", "order_pk", "is_deletion", "only_related", "is_bulk", "due_at", "recorded_at")
    taken = list(rows.values_list(*columns)[:size])
    if not taken:
        return 0
    folded: dict[_Key, _Folded] = {}
    for _, order_type, order_pk, is_deletion, only_related, is_bulk, due_at, recorded_at in taken:
        this = _Folded(is_deletion, only_related, is_bulk, due_at, recorded_at, recorded_at)
        before = folded.get((order_type, order_pk), this)
        folded[order_type, order_pk] = _Folded(
            is_deletion,
            before.only_related and only_related,
            before.is_bulk and is_bulk,
            min(before.due_at, due_at),
            min(before.first, recorded_at),
            max(before.last, recorded_at),
        )
    try:
        with transaction.atomic(using=connection.alias):
            if _delete(connection, [row[0] for row in taken]) < len(taken):
                raise _ConcurrentFold
            _upsert(connection, folded)
    except _ConcurrentFold:
        return 0
    return len(taken)


def _delete(connection: BaseDatabaseWrapper, pks: Sequence[int]) -> int:
    table = Change._meta.db_table
    if connection.vendor != "mysql":
        return Change.objects.filter(pk__in=pks).delete()[0]
    # Row by row by the primary key. A DELETE with a list reads a small table whole, and waits at each row that an
    # open transaction of the shop has inserted.
    wanted = " UNION ALL SELECT ".join(["%s AS id", *["%s"] * (len(pks) - 1)])
    sql = f"DELETE {table} FROM (SELECT {wanted}) AS wanted STRAIGHT_JOIN {table} ON {table}.id = wanted.id"
    with connection.cursor() as cursor:
        cursor.execute(sql, pks)
        return int(cursor.rowcount)


def _upsert(connection: BaseDatabaseWrapper, folded: dict[_Key, _Folded]) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    params: list[Any] = []
    # Sorted, so that two workers that fold changes of the same orders take their entries in the same order.
    for (order_type, order_pk), order in sorted(folded.items()):
        times = (order.due_at, order.first, order.first, order.last)
        params += (order_type, order_pk, order.is_deletion, order.only_related, order.is_bulk, *map(adapt, times))
    old = "" if connection.vendor == "mysql" else " AS old"
    values = ", ".join(["(%s, %s, %s, %s, %s, %s, %s, %s, %s, '', '{}')"] * len(folded))
    into = f"{OutboxEntry._meta.db_table}{old} ({_COLUMNS})"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {into} VALUES {values} {_conflict(connection.vendor)}", params)  # noqa: S608


@functools.cache
def _conflict(vendor: str) -> str:
    """Return the SQL that adds a change to the entry of its order.

    The change brings a waiting entry forward, but not to before the end of a lease or a quarantine. A dead-lettered or
    rejected entry starts again.
    """
    mysql = vendor == "mysql"
    old = OutboxEntry._meta.db_table if mysql else "old"
    new = "VALUES({0})".format if mysql else "EXCLUDED.{0}".format
    greatest, least = ("MAX", "MIN") if vendor == "sqlite" else ("GREATEST", "LEAST")
    waiting = f"{old}.state = 'pending'"
    wanted = f"{greatest}({old}.not_before, {new('due_at')})"
    # MySQL applies assignments one after the other, so a column is read before it is written.
    assignments = ", ".join(
        [
            f"due_at = CASE WHEN {waiting} THEN {least}({old}.due_at, {wanted}) ELSE {wanted} END",
            f"attempts = CASE WHEN {waiting} THEN {old}.attempts ELSE 0 END",
            f"failures = CASE WHEN {waiting} THEN {old}.failures ELSE 0 END",
            f"failing_since = CASE WHEN {waiting} THEN {old}.failing_since ELSE NULL END",
            "state = 'pending'",
            f"version = {old}.version + 1",
            f"is_deletion = {new('is_deletion')}",
            f"only_related = {old}.only_related AND {new('only_related')}",
            f"is_bulk = {old}.is_bulk AND {new('is_bulk')}",
            # The order may go elsewhere now.
            "integration_id = NULL",
            "is_accepted = FALSE",
            f"changed_at = {new('changed_at')}",
        ]
    )
    if mysql:
        return f"ON DUPLICATE KEY UPDATE {assignments}"
    return f"ON CONFLICT (order_type, order_pk) DO UPDATE SET {assignments}"
