"""Recording that an order changed: one INSERT, in the order's own transaction.

Nothing else happens in the web request. What is recorded is only *look at this order again*; a
worker finds out later what Sendcloud has to be told. A row that is inserted is nobody else's: the shop's
transactions neither wait for each other nor for a worker here, and cannot run into a deadlock.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import operator
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from django.core.exceptions import ValidationError
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from ..adapters import in_database, registry
from ..clock import clock
from ..conf import conf_while_selling
from ..models import Change, OutboxEntry
from ..signals import work_due

__all__ = ["enqueue", "paused", "record"]

logger = logging.getLogger("django_sendcloud.sync")

# Rows per statement: below every database's limit on parameters, and one round trip per thousand orders.
CHUNK = 1000
# Orders of one transaction that are remembered, so that their next change costs nothing. Beyond, it costs a row.
REMEMBERED = 10_000
MAX_KEY_LENGTH = 255
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
        self._elsewhere = connection.alias != conf_while_selling().DATABASE
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
        using: Alias of the database in which the orders were changed; the one their model is written to by default.

    Returns:
        How many orders were written.
    """
    if _paused.get():
        return 0
    settings = conf_while_selling()
    connection = connections[settings.DATABASE]
    # Whose commit makes the change true.
    deciding, delay = connection, 0.0
    if using not in (None, connection.alias) and connections[using].in_atomic_block:
        deciding, delay = connections[using], OTHER_DATABASE_SECONDS
    recorded: set[tuple[str, str, bool]] | None = None
    if deciding.in_atomic_block:
        _watch(connection=deciding)
        recorded = _current(deciding).recorded
    order_type, to_python = _stored(order_type, using)
    keys = ((order_type, key, gone) for pk in order_pks if (key := _key(pk, to_python)) is not None)
    fresh = keys if recorded is None else (key for key in keys if key not in recorded)
    written = 0
    while chunk := list(dict.fromkeys(itertools.islice(fresh, CHUNK))):
        _insert(connection, order_type, [key[1] for key in chunk], gone, max(delay, settings.DEBOUNCE_SECONDS))
        # (Those of another database are recorded again at its commit, all of them.)
        if recorded is not None and (len(recorded) < REMEMBERED or delay):
            recorded.update(chunk)
        written += len(chunk)
    if written and ring and not deciding.in_atomic_block and deciding.get_autocommit():
        work_due.send_robust(sender=OutboxEntry, queue="outbox")
    return written


def _stored(order_type: str, using: str | None) -> tuple[str, Callable[[Any], Any]]:
    """What names this kind of order in our tables, and how its keys are brought into their one form."""
    adapter = registry.for_order_type(order_type)
    if adapter is None:
        return order_type, str
    if using is not None and "@" not in order_type and using != router.db_for_write(adapter.model):
        order_type = in_database(order_type, using)
    return order_type, adapter.model._meta.pk.to_python


def _key(pk: Any, to_python: Callable[[Any], Any]) -> str | None:
    """A primary key as text, in the form in which it is read from the database: an instance may bear another."""
    try:
        key = str(to_python(pk))
    except (ValidationError, ValueError, TypeError):
        key = str(pk)
    if len(key) > MAX_KEY_LENGTH:
        # A system check says so; and no checkout fails on it.
        logger.error("An order could not be recorded: its key has more than %d characters.", MAX_KEY_LENGTH)
        return None
    return key


def _insert(connection: BaseDatabaseWrapper, order_type: str, order_pks: list[str], gone: bool, seconds: float) -> None:
    """Append a row for each order, due in so many seconds by the database's clock."""
    now, now_params = clock.sql(connection)
    due, due_params = clock.sql(connection, seconds)
    rest, rest_params = f"%s, {due}, {now}", [gone, *due_params, *now_params]
    if connection.vendor == "postgresql" and len(order_pks) > 1:
        # One placeholder for all keys: parsing one for each value would cost more than the rest.
        source = f"SELECT %s, pk, {rest} FROM unnest(%s::text[]) AS pk"  # noqa: S608
        params: list[Any] = [order_type, *rest_params, order_pks]
    else:
        source = f"VALUES {', '.join([f'(%s, %s, {rest})'] * len(order_pks))}"
        params = [value for pk in order_pks for value in (order_type, pk, *rest_params)]
    table = Change._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {table} (order_type, order_pk, gone, due_at, recorded_at) {source}", params)


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
        # From the primary database, unless the queryset names one: a replica may not have them yet.
        using = getattr(orders, "_db", None) or router.db_for_write(orders.model)
        pks = orders.using(using).values_list("pk", flat=True).iterator(chunk_size=CHUNK)
        return record(order_type, pks, using=using)
    if isinstance(orders, models.Model):
        orders = [orders]
    by_type: dict[tuple[str, str], list[Any]] = {}
    for order in orders:
        if not isinstance(order, models.Model):
            raise TypeError(f"enqueue() takes orders or a queryset of them, not {type(order).__name__}.")
        if order.pk is None:
            raise ValueError(f"enqueue() takes saved orders; this {type(order).__name__} has no primary key yet.")
        using = router.db_for_write(type(order), instance=order)
        by_type.setdefault((registry.order_type(type(order)), using), []).append(order.pk)
    return sum(record(order_type, pks, using=using) for (order_type, using), pks in by_type.items())
