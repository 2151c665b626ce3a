"""Recording that an order changed: one SQL statement, in the order's own transaction.

Nothing else happens in the web request. What is recorded is only *look at this order again*; a
worker finds out later what Sendcloud has to be told.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import operator
import weakref
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from django.db import connections, models, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from ..adapters import registry
from ..clock import clock
from ..conf import conf
from ..models import OutboxEntry
from ..signals import work_due

__all__ = ["enqueue", "paused", "record"]

# Rows per statement: below every database's limit on parameters, and one round trip per thousand orders.
CHUNK = 1000
# Seconds that an order in another database has to be committed, before it is looked at without having been told so.
OTHER_DATABASE_SECONDS = 60.0

_paused: ContextVar[bool] = ContextVar("django_sendcloud.paused", default=False)


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Record nothing within the block, in this thread or task.

    For imports and migrations whose orders Sendcloud shall not hear of. What changes meanwhile is
    not remembered: call ``enqueue()`` afterwards for what should be sent after all.
    """
    before = _paused.get()
    _paused.set(True)
    try:
        yield
    finally:
        _paused.set(before)


class _Transaction:
    """What was recorded in the current transaction, so that a second save of an order costs nothing.

    It is valid for as long as its hook waits for the commit: a rollback, of the transaction or of the
    savepoint it began in, removes the hook. A rollback to any later savepoint empties it.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.recorded: set[tuple[str, str, bool]] = set()
        self._elsewhere = connection.alias != conf().DATABASE
        self._done = False
        # A plain function, and robust: whatever goes wrong here must not stop the shop's own hooks.
        transaction.on_commit(self.committed, using=connection.alias, robust=True)
        self._position = len(connection.run_on_commit) - 1

    def committed(self) -> None:
        self._done = True
        if not self._elsewhere:
            work_due.send_robust(sender=OutboxEntry, queue="outbox")
            return
        # What was recorded beforehand may have been looked at before the orders were committed.
        for (order_type, gone), keys in itertools.groupby(sorted(self.recorded, key=_KIND), key=_KIND):
            record(order_type, [pk for _, pk, _ in keys], gone=gone)

    def is_current(self, connection: BaseDatabaseWrapper) -> bool:
        if self._done:
            return False
        hooks = connection.run_on_commit
        if self._position < len(hooks) and hooks[self._position][1] == self.committed:
            return True
        return any(hook[1] == self.committed for hook in hooks)


_KIND = operator.itemgetter(0, 2)

_transactions: weakref.WeakKeyDictionary[BaseDatabaseWrapper, _Transaction] = weakref.WeakKeyDictionary()


def _current(connection: BaseDatabaseWrapper) -> _Transaction:
    current = _transactions.get(connection)
    if current is None or not current.is_current(connection):
        current = _transactions[connection] = _Transaction(connection)
    return current


def forget_transaction() -> None:
    """Record the next change of an order even though it was recorded in the open transaction already.

    For tests, which push in the very transaction they change orders in.
    """
    _transactions.clear()


def _forget_at_savepoint_rollback(execute: Any, sql: Any, params: Any, many: bool, context: Any) -> Any:
    """Savepoints may be rolled back without Django's ``atomic``; all of them say so in SQL."""
    if isinstance(sql, str) and sql.startswith("ROLLBACK TO"):
        _transactions.pop(context["connection"], None)
    return execute(sql, params, many, context)


def _watch(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    if _forget_at_savepoint_rollback not in connection.execute_wrappers:
        # First, because Django's own context manager removes the last one.
        connection.execute_wrappers.insert(0, _forget_at_savepoint_rollback)


connection_created.connect(_watch, dispatch_uid="django_sendcloud.sync.record")


def record(
    order_type: str, order_pks: Iterable[Any], *, gone: bool = False, ring: bool = True, using: str | None = None
) -> int:
    """Record that these orders changed, in the transaction that is open on the app's database.

    Costs one SQL statement per thousand orders, and none for those recorded in this transaction
    already. Rings once, after commit.

    Orders that live in another database are recorded twice: before they are committed, to be looked at a minute
    later, so that a process that dies after the commit loses nothing; and as due when they are committed.

    Args:
        order_type: Label of the registered model, as the registry gives it.
        order_pks: Primary keys.
        gone: A hint that the orders are being deleted.
        ring: ``False`` rings nobody for what is recorded outside a transaction; the caller pushes it himself.
        using: Alias of the database in which the orders were changed; the app's own by default.

    Returns:
        How many orders were written.
    """
    if _paused.get():
        return 0
    connection = connections[conf().DATABASE]
    # Whose commit makes the change true.
    deciding, delay = connection, 0.0
    if using not in (None, connection.alias) and connections[using].in_atomic_block:
        deciding, delay = connections[using], OTHER_DATABASE_SECONDS
    recorded: set[tuple[str, str, bool]] = set()
    if deciding.in_atomic_block:
        _watch(connection=deciding)
        recorded = _current(deciding).recorded
    written = 0
    fresh = (key for pk in order_pks if (key := (order_type, str(pk), gone)) not in recorded)
    while chunk := list(dict.fromkeys(itertools.islice(fresh, CHUNK))):
        _upsert(connection, order_type, [key[1] for key in chunk], gone=gone, delay=delay)
        recorded.update(chunk)
        written += len(chunk)
    if written and ring and not deciding.in_atomic_block and deciding.get_autocommit():
        work_due.send_robust(sender=OutboxEntry, queue="outbox")
    return written


def _upsert(
    connection: BaseDatabaseWrapper, order_type: str, order_pks: list[str], *, gone: bool, delay: float
) -> None:
    """Insert an entry for each order, or tell the one that is there that the order changed again.

    In SQL, because the ORM's conflict clause cannot keep the earlier of two times: a change must not
    postpone a push that waits already, and must not shorten a lease or a quarantine (``not_before``).
    """
    now, now_params = clock.sql(connection)
    due, due_params = clock.sql(connection, max(delay, conf().DEBOUNCE_SECONDS))
    rest = f"%s, {due}, {now}, {now}, {now}, '', '{{}}'"
    rest_params = [gone, *due_params, *now_params * 3]
    if connection.vendor == "postgresql" and len(order_pks) > 1:
        # One placeholder for all keys: parsing one for each value would cost more than the rest.
        source = f"SELECT %s, pk, {rest} FROM unnest(%s::text[]) AS pk"  # noqa: S608
        params: list[Any] = [order_type, *rest_params, order_pks]
    else:
        source = f"VALUES {', '.join([f'(%s, %s, {rest})'] * len(order_pks))}"
        params = [value for pk in order_pks for value in (order_type, pk, *rest_params)]
    with connection.cursor() as cursor:
        cursor.execute(f"{_insert(connection.vendor)} {source} {_conflict(connection.vendor)}", params)


@functools.cache
def _insert(vendor: str) -> str:
    table = OutboxEntry._meta.db_table
    columns = "order_type, order_pk, gone, due_at, not_before, recorded_at, changed_at, error_detail, error_fields"
    # MySQL knows no alias here. Elsewhere it keeps short what the database parses at each save.
    return f"INSERT INTO {table} {'' if vendor == 'mysql' else 'AS old '}({columns})"


@functools.cache
def _conflict(vendor: str) -> str:
    mysql = vendor == "mysql"
    old = OutboxEntry._meta.db_table if mysql else "old"
    new = "VALUES({0})".format if mysql else "EXCLUDED.{0}".format
    waiting = f"{old}.state = 'pending'"
    # MySQL applies assignments one after the other, so what is read stands before what is written.
    assignments = ", ".join(
        [
            f"due_at = CASE WHEN {waiting} AND {old}.version <> {old}.claimed_version "
            f"AND {old}.due_at < {new('due_at')} THEN {old}.due_at ELSE {new('due_at')} END",
            f"attempts = CASE WHEN {waiting} THEN {old}.attempts ELSE 0 END",
            f"failures = CASE WHEN {waiting} THEN {old}.failures ELSE 0 END",
            f"failing_since = CASE WHEN {waiting} THEN {old}.failing_since ELSE NULL END",
            "state = 'pending'",
            f"version = {old}.version + 1",
            "integration_id = NULL",
            f"gone = {new('gone')}",
            f"changed_at = {new('changed_at')}",
        ]
    )
    if mysql:
        return f"ON DUPLICATE KEY UPDATE {assignments}"
    return f"ON CONFLICT (order_type, order_pk) DO UPDATE SET {assignments}"


def enqueue(orders: models.QuerySet[Any] | models.Model | Iterable[models.Model]) -> int:
    """Record orders that were changed without signals: bulk writes, raw SQL, or by decision.

    ::

        Order.objects.filter(batch=7).update(status="paid")
        enqueue(Order.objects.filter(batch=7))

    Args:
        orders: A queryset of a registered model, one order, or several.

    Returns:
        How many orders were recorded. They are pushed after commit.

    Raises:
        RegistrationError: no adapter is responsible for the model.
        TypeError: something that is neither orders nor a queryset of them.
    """
    if isinstance(orders, models.QuerySet):
        order_type = registry.order_type(orders.model)
        if not orders.query.is_sliced:
            # No need to sort what is only counted up; a slice, though, depends on it.
            orders = orders.order_by()
        return record(order_type, orders.values_list("pk", flat=True).iterator(chunk_size=CHUNK), using=orders.db)
    if isinstance(orders, models.Model):
        orders = [orders]
    by_type: dict[tuple[str, str | None], list[Any]] = {}
    for order in orders:
        if not isinstance(order, models.Model):
            raise TypeError(f"enqueue() takes orders or a queryset of them, not {type(order).__name__}.")
        if order.pk is None:
            raise ValueError(f"enqueue() takes saved orders; this {type(order).__name__} has no primary key yet.")
        by_type.setdefault((registry.order_type(type(order)), order._state.db), []).append(order.pk)
    return sum(record(order_type, pks, using=using) for (order_type, using), pks in by_type.items())
