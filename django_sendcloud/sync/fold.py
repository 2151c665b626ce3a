"""Folding what the shop has recorded into the outbox: many changes of an order become one entry.

Rows of ``Change`` are appended by the shop and deleted here, together with the entry they become or are added to. So
only workers, and whoever looks at the outbox, ever wait for each other's rows.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from ..clock import clock
from ..conf import conf
from ..models import Change, OutboxEntry
from ..patience import patiently

__all__ = ["fold", "fold_all", "put_in"]

# Changes folded at once.
CHUNK = 1000

_Key = tuple[str, str]
_COLUMNS = "order_type, order_pk, gone, due_at, not_before, recorded_at, changed_at, error_detail, error_fields"


def fold_all(limit: int = 100 * CHUNK) -> int:
    """Fold what is there, in portions. Returns how many changes that were, at most about ``limit``.

    For whoever reads the outbox. Costs one small query where there is nothing to fold. Within a transaction it is one
    portion: what is folded stays locked until the end of it, and several portions could wait for each other's.
    """
    total = 0
    while total < limit:
        folded = fold()
        total += folded
        if folded < CHUNK or connections[conf().DATABASE].in_atomic_block:
            break
    return total


def fold(size: int = CHUNK) -> int:
    """Fold up to ``size`` changes into the outbox, oldest first. Returns how many.

    Where several do it at once, each takes others; where the database cannot keep them apart, the second one leaves it
    to the first.
    """
    connection = connections[conf().DATABASE]
    if connection.vendor == "postgresql":
        return patiently(functools.partial(_fold_in_one_statement, connection, size))
    return patiently(functools.partial(_fold_step_by_step, connection, size))


def _fold_in_one_statement(connection: BaseDatabaseWrapper, size: int) -> int:
    changes = Change._meta.db_table
    # Sorted, so that two workers that fold changes of the same orders take their entries in the same order.
    sql = f"""
        WITH taken AS (
            DELETE FROM {changes} WHERE id = ANY(ARRAY(
                SELECT id FROM {changes} ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
            )) RETURNING id, order_type, order_pk, gone, due_at, recorded_at
        ), folded AS (
            INSERT INTO {OutboxEntry._meta.db_table} AS old ({_COLUMNS})
            SELECT order_type, order_pk, (array_agg(gone ORDER BY id DESC))[1], min(due_at), min(recorded_at),
                min(recorded_at), max(recorded_at), '', '{{}}'
            FROM taken GROUP BY order_type, order_pk ORDER BY order_type, order_pk
            {_conflict(connection.vendor)}
        )
        SELECT count(*) FROM taken
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql, [size])
        return int(cursor.fetchone()[0])


def put_in(order_type: str, order_pks: Sequence[str]) -> None:
    """Put orders into the outbox, as if they had just changed. For workers."""
    now = clock.now()
    _upsert(connections[conf().DATABASE], {(order_type, pk): (False, now, now, now) for pk in order_pks})


class _SomebodyElse(Exception):
    """Another worker folds these very changes."""


def _fold_step_by_step(connection: BaseDatabaseWrapper, size: int) -> int:
    rows = Change.objects.using(connection.alias).order_by("pk")
    # Read without locks: on MySQL, those would reach to where the shop inserts.
    taken = list(rows.values_list("pk", "order_type", "order_pk", "gone", "due_at", "recorded_at")[:size])
    if not taken:
        return 0
    folded: dict[_Key, tuple[bool, dt.datetime, dt.datetime, dt.datetime]] = {}
    for _, order_type, order_pk, gone, due_at, recorded_at in taken:
        _, due, first, last = folded.get((order_type, order_pk), (gone, due_at, recorded_at, recorded_at))
        folded[order_type, order_pk] = (gone, min(due, due_at), min(first, recorded_at), max(last, recorded_at))
    try:
        with transaction.atomic(using=connection.alias):
            if _delete(connection, [row[0] for row in taken]) < len(taken):
                raise _SomebodyElse
            _upsert(connection, folded)
    except _SomebodyElse:
        return 0
    return len(taken)


def _delete(connection: BaseDatabaseWrapper, pks: Sequence[int]) -> int:
    table = Change._meta.db_table
    if connection.vendor != "mysql":
        return Change.objects.using(connection.alias).filter(pk__in=pks).delete()[0]
    # Row by row by the primary key. A DELETE with a list reads a small table whole, and waits at each row that an
    # open transaction of the shop has inserted.
    wanted = " UNION ALL SELECT ".join(["%s AS id", *["%s"] * (len(pks) - 1)])
    sql = f"DELETE {table} FROM (SELECT {wanted}) AS wanted STRAIGHT_JOIN {table} ON {table}.id = wanted.id"
    with connection.cursor() as cursor:
        cursor.execute(sql, pks)
        return int(cursor.rowcount)


def _upsert(
    connection: BaseDatabaseWrapper, folded: dict[_Key, tuple[bool, dt.datetime, dt.datetime, dt.datetime]]
) -> None:
    adapt = connection.ops.adapt_datetimefield_value
    params: list[Any] = []
    # Sorted, as above.
    for (order_type, order_pk), (gone, due_at, first, last) in sorted(folded.items()):
        params += (order_type, order_pk, gone, *map(adapt, (due_at, first, first, last)))
    old = "" if connection.vendor == "mysql" else " AS old"
    values = ", ".join(["(%s, %s, %s, %s, %s, %s, %s, '', '{}')"] * len(folded))
    into = f"{OutboxEntry._meta.db_table}{old} ({_COLUMNS})"
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {into} VALUES {values} {_conflict(connection.vendor)}", params)  # noqa: S608


@functools.cache
def _conflict(vendor: str) -> str:
    """What a change does to the entry that is there.

    It brings forward what waits, but not to before the end of a lease or a quarantine; and what had been given up or
    refused gets a new chance.
    """
    mysql = vendor == "mysql"
    old = OutboxEntry._meta.db_table if mysql else "old"
    new = "VALUES({0})".format if mysql else "EXCLUDED.{0}".format
    greatest, least = ("MAX", "MIN") if vendor == "sqlite" else ("GREATEST", "LEAST")
    waiting = f"{old}.state = 'pending'"
    wanted = f"{greatest}({old}.not_before, {new('due_at')})"
    # MySQL applies assignments one after the other, so what is read stands before what is written.
    assignments = ", ".join(
        [
            f"due_at = CASE WHEN {waiting} THEN {least}({old}.due_at, {wanted}) ELSE {wanted} END",
            f"attempts = CASE WHEN {waiting} THEN {old}.attempts ELSE 0 END",
            f"failures = CASE WHEN {waiting} THEN {old}.failures ELSE 0 END",
            f"failing_since = CASE WHEN {waiting} THEN {old}.failing_since ELSE NULL END",
            "state = 'pending'",
            f"version = {old}.version + 1",
            f"gone = {new('gone')}",
            f"changed_at = {new('changed_at')}",
        ]
    )
    if mysql:
        return f"ON DUPLICATE KEY UPDATE {assignments}"
    return f"ON CONFLICT (order_type, order_pk) DO UPDATE SET {assignments}"
