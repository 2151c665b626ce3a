"""The record that an order changed: one INSERT, in the order's own transaction.

Nothing else happens in the web request. The record says only *look at this order again*; a worker decides later what
to push. An inserted row belongs to one transaction: the shop's transactions wait neither for each other nor for a
worker here, and cannot deadlock.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import operator
import weakref
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from django.db import OperationalError, ProgrammingError, connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.signals import post_migrate, pre_migrate

from ..conf import lenient_conf
from ..core.clock import clock
from ..models import Change, OutboxEntry
from ..orders import OrderRef, database_of, order_model_of, own_key, stored_key
from ..registry import registry
from ..signals import work_due

__all__ = ["enqueue", "paused", "record"]

logger = logging.getLogger("django_sendcloud.sync")

# Rows per statement: below every database's limit on parameters, and one round trip per thousand orders.
CHUNK = 1000
# Orders of one transaction that are remembered, so that their next change costs nothing. Beyond, it costs a row.
REMEMBERED = 10_000
MAX_KEY_LENGTH = 255
# Seconds that an order in another database has to be committed, before a worker looks at it without a notification.
OTHER_DATABASE_SECONDS = 60.0
# Seconds between two checks for tables that are not there yet.
MIGRATE_SECONDS = 10.0

_COLUMNS = ("order_type", "order_pk", "is_deletion", "only_related", "is_bulk", "due_at", "recorded_at")

_paused: ContextVar[bool] = ContextVar("django_sendcloud.paused", default=False)


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Record nothing within the block, in this thread or task.

    For imports and migrations of orders that Sendcloud shall not receive. Changes in the block are not remembered:
    call ``enqueue()`` afterwards for what should be sent after all.
    """
    before = _paused.get()
    _paused.set(True)
    try:
        yield
    finally:
        _paused.set(before)


# -- the memory of a transaction ------------------------------------------------------------------------


class _Recorded(NamedTuple):
    """One change; the fields are those of ``Change``."""

    order_type: str
    order_pk: str
    is_deletion: bool
    only_related: bool
    is_bulk: bool


_KIND = operator.attrgetter("order_type", "is_deletion", "only_related", "is_bulk")


class _Savepoints(set[str]):
    """The savepoints that a hook belongs to, with those made without ``atomic()``.

    Django forgets a hook if a savepoint that it names is rolled back, and names those of ``atomic()`` only. A savepoint
    that was there when the change was recorded takes the record with it, however it was made.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        super().__init__(connection.savepoint_ids)
        self._latest = connection.savepoint_state

    def __contains__(self, savepoint: object) -> bool:
        number = str(savepoint).rpartition("_x")[2]
        return super().__contains__(savepoint) or (number.isdigit() and int(number) <= self._latest)


class _Hook:
    """Waits for the commit of one recorded change. Django drops it together with the record."""

    __qualname__ = "django_sendcloud.sync.record"  # for Django's log

    def __init__(self, transaction: _Transaction, change: _Recorded) -> None:
        self.transaction = transaction
        self.change = change

    def __call__(self) -> None:
        self.transaction.committed()


class _Transaction:
    """The changes recorded in one open transaction, so that a second save of an order costs nothing.

    Each has an ``on_commit`` hook, which Django removes with the transaction or the savepoint that is rolled back. So a
    change is remembered as long as its hook is registered.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.recorded: set[_Recorded] = set()
        self._alias = connection.alias
        self._elsewhere = connection.alias != lenient_conf().DATABASE
        self._last = -1
        self._done = False

    def is_open(self, connection: BaseDatabaseWrapper) -> bool:
        """Return whether anything recorded here still waits for the commit; forget what was rolled back."""
        hooks = connection.run_on_commit
        if self._done:
            return False
        # A rollback removes the latest hooks, so that one check of the last one suffices.
        if 0 <= self._last < len(hooks) and self._is_ours(hooks[self._last]):
            return True
        mine = [position for position, hook in enumerate(hooks) if self._is_ours(hook)]
        self.recorded = {hooks[position][1].change for position in mine}  # type: ignore[attr-defined]
        self._last = mine[-1] if mine else -1
        return bool(mine)

    def _is_ours(self, hook: Any) -> bool:
        return isinstance(hook[1], _Hook) and hook[1].transaction is self

    def covers(self, change: _Recorded) -> bool:
        """Return whether this change, or one that says more, is recorded already."""
        order_type, order_pk, is_deletion, only_related, is_bulk = change
        kinds = itertools.product({False, only_related}, {False, is_bulk})
        return any((order_type, order_pk, is_deletion, *kind) in self.recorded for kind in kinds)

    def remember(self, change: _Recorded, connection: BaseDatabaseWrapper) -> None:
        self.recorded.add(change)
        # Robust: an error here must not stop the shop's own hooks.
        transaction.on_commit(_Hook(self, change), using=self._alias, robust=True)
        _, *rest = connection.run_on_commit[-1]
        connection.run_on_commit[-1] = (_Savepoints(connection), *rest)  # type: ignore[assignment]
        self._last = len(connection.run_on_commit) - 1

    def committed(self) -> None:
        """Notify the workers, once for all changes."""
        if self._done:
            return
        self._done = True
        if not self._elsewhere:
            work_due.send_robust(sender=OutboxEntry, queue="outbox")
            return
        # A worker may have planned what was recorded beforehand before the orders were committed.
        for (order_type, is_deletion, only_related, is_bulk), changes in itertools.groupby(
            sorted(self.recorded, key=_KIND), key=_KIND
        ):
            keys = [change.order_pk for change in changes]
            record(order_type, keys, is_deletion=is_deletion, only_related=only_related, is_bulk=is_bulk)


_transactions: weakref.WeakKeyDictionary[BaseDatabaseWrapper, _Transaction] = weakref.WeakKeyDictionary()


def _current(connection: BaseDatabaseWrapper) -> _Transaction:
    current = _transactions.get(connection)
    if current is None or not current.is_open(connection):
        current = _transactions[connection] = _Transaction(connection)
    return current


def forget_transaction() -> None:
    """Record the next change of an order even though it was recorded in the open transaction already.

    For tests, which push in the very transaction they change orders in.
    """
    _transactions.clear()


# -- recording ------------------------------------------------------------------------------------------


def record(
    order_type: str,
    order_pks: Iterable[Any],
    *,
    is_deletion: bool = False,
    only_related: bool = False,
    is_bulk: bool = False,
    notify: bool = True,
    using: str | None = None,
) -> int:
    """Record that these orders changed, in the transaction that is open on the app's database.

    Costs one SQL statement per thousand orders, and none for those recorded in this transaction already. Notifies the
    workers once, after commit. Where this app's tables are not migrated yet, nothing is recorded and an error is
    logged: no checkout fails on it.

    Orders that live in another database are recorded twice: before they are committed, due a minute later, so that a
    process that dies after the commit loses nothing; and as due when they are committed.

    Args:
        order_type: Label of the registered model, as the registry gives it.
        order_pks: Primary keys.
        is_deletion: A hint that the orders are being deleted.
        only_related: A row that the orders depend on changed, not the orders themselves.
        is_bulk: It goes after changes that a signal reported.
        notify: ``False`` notifies no worker for what is recorded outside a transaction; the caller pushes it.
        using: Alias of the database in which the orders were changed; the one their model is written to by default.

    Returns:
        How many orders were written.
    """
    if _paused.get():
        return 0
    settings = lenient_conf()
    connection = connections[settings.DATABASE]
    # The connection whose commit makes the change true.
    deciding, delay = connection, 0.0
    if using not in (None, connection.alias) and connections[using].in_atomic_block:
        deciding, delay = connections[using], OTHER_DATABASE_SECONDS
    current = _current(deciding) if deciding.in_atomic_block else None
    adapter = registry.for_order_type(order_type)
    ref = OrderRef.stored(order_type, "")
    if adapter and using and not ref.database and using != router.db_for_write(adapter.model):
        order_type = dataclasses.replace(ref, database=using).order_type
    keys = (stored_key(adapter.model, pk) if adapter else str(pk) for pk in order_pks)
    changes = (_Recorded(order_type, key, is_deletion, only_related, is_bulk) for key in keys if _is_storable(key))
    fresh = changes if current is None else (change for change in changes if not current.covers(change))
    written = 0
    while chunk := list(dict.fromkeys(itertools.islice(fresh, CHUNK))):
        seconds = max(delay, settings.DEBOUNCE_SECONDS)
        kind = is_deletion, only_related, is_bulk
        if not _insert(connection, order_type, [change.order_pk for change in chunk], kind, seconds):
            return 0
        if current is not None:
            for change in chunk:
                # (Orders of another database are recorded again at its commit, all of them.)
                if len(current.recorded) < REMEMBERED or delay:
                    current.remember(change, deciding)
        written += len(chunk)
    if written and notify and not deciding.in_atomic_block and deciding.get_autocommit():
        work_due.send_robust(sender=OutboxEntry, queue="outbox")
    return written


def _is_storable(key: str) -> bool:
    if len(key) > MAX_KEY_LENGTH:
        # A system check names the model; no checkout fails on it.
        logger.error("An order could not be recorded: its key has more than %d characters.", MAX_KEY_LENGTH)
        return False
    return True


def _insert(
    connection: BaseDatabaseWrapper,
    order_type: str,
    order_pks: list[str],
    kind: tuple[bool, bool, bool],
    seconds: float,
) -> bool:
    """Append a row for each order, due after a delay by the database's clock. Return whether that was possible."""
    if not _is_migrated(connection):
        return False
    now, now_params = clock.sql(connection)
    due, due_params = clock.sql(connection, seconds)
    rest, rest_params = f"%s, %s, %s, {due}, {now}", [*kind, *due_params, *now_params]
    if connection.vendor == "postgresql" and len(order_pks) > 1:
        # One placeholder for all keys: parsing one for each value would cost more than the rest.
        source = f"SELECT %s, pk, {rest} FROM unnest(%s::text[]) AS pk"  # noqa: S608
        params: list[Any] = [order_type, *rest_params, order_pks]
    else:
        source = f"VALUES {', '.join([f'(%s, %s, {rest})'] * len(order_pks))}"
        params = [value for pk in order_pks for value in (order_type, pk, *rest_params)]
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {Change._meta.db_table} ({', '.join(_COLUMNS)}) {source}", params)
    except (ProgrammingError, OperationalError):
        _migrated.discard(connection.alias)
        if (connection.vendor == "postgresql" and connection.in_atomic_block) or _is_migrated(connection):
            raise
        return False
    return True


# Aliases of databases that have our tables, and when to check again those that do not (in seconds, steady clock).
_migrated: set[str] = set()
_check_again_at: dict[str, float] = {}


def _is_migrated(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a change can be stored. Asks the database once for each process.

    In a savepoint: PostgreSQL ends the shop's transaction at the first statement that fails.
    """
    alias = connection.alias
    if alias in _migrated:
        return True
    if clock.monotonic() < _check_again_at.get(alias, 0.0):
        return False
    sql = f"SELECT {', '.join(_COLUMNS)} FROM {Change._meta.db_table} WHERE 1 = 0"  # noqa: S608
    try:
        with (
            transaction.atomic(using=alias) if connection.in_atomic_block else contextlib.nullcontext(),
            connection.cursor() as cursor,
        ):
            cursor.execute(sql)
    except (ProgrammingError, OperationalError):
        if not _lacks_tables(connection):
            raise
        _check_again_at[alias] = clock.monotonic() + MIGRATE_SECONDS
        logger.error(
            "Orders are not recorded: the tables of django_sendcloud are missing or older than its code. Run migrate "
            "on the database %r, and sendcloud_sync for the orders that were changed until then.",
            alias,
        )
        return False
    _migrated.add(alias)
    return True


def _lacks_tables(connection: BaseDatabaseWrapper) -> bool:
    """Return whether the table of recorded changes, or a column of it, is missing."""
    with connection.cursor() as cursor:
        if Change._meta.db_table not in connection.introspection.table_names(cursor):
            return True
        columns = connection.introspection.get_table_description(cursor, Change._meta.db_table)
    return not {column.name for column in columns}.issuperset(_COLUMNS)


def _forget_tables(*, using: str, **kwargs: Any) -> None:
    _migrated.discard(using)
    _check_again_at.pop(using, None)


pre_migrate.connect(_forget_tables, dispatch_uid="django_sendcloud.sync.record")
post_migrate.connect(_forget_tables, dispatch_uid="django_sendcloud.sync.record")


def enqueue(orders: models.QuerySet[Any] | models.Model | Iterable[models.Model]) -> int:
    """Record orders that were changed without signals: bulk writes, raw SQL, or by decision.

    ::

        Order.objects.filter(batch=7).update(status="paid")
        enqueue(Order.objects.filter(batch=7))

    Args:
        orders: A queryset of a registered model, one order, or several.

    Returns:
        How many orders were recorded. They are pushed after commit; several of them go after the changes that signals
        report meanwhile.

    Raises:
        RegistrationError: no adapter is responsible for the model.
        TypeError: something that is neither orders nor a queryset of them.
        ValueError: an order that is not saved yet.
    """
    if isinstance(orders, models.QuerySet):
        registered = order_model_of(orders.model)
        if not orders.query.is_sliced:
            # Only a slice depends on the order of its rows.
            orders = orders.order_by()
        # From the primary database, also of a replica that the queryset names: it may not have them yet.
        using = router.db_for_write(orders.model)
        if named := getattr(orders, "_db", None):
            instance = orders.model()
            instance._state.db = named
            using = database_of(instance)
        pks = orders.using(using).values_list(registered._meta.pk.attname, flat=True).iterator(chunk_size=CHUNK)
        return record(registered._meta.label_lower, pks, is_bulk=True, using=using)
    if isinstance(orders, models.Model):
        orders = [orders]
    by_type: dict[tuple[str, str], list[Any]] = {}
    for order in orders:
        if not isinstance(order, models.Model):
            raise TypeError(f"enqueue() takes orders or a queryset of them, not {type(order).__name__}.")
        if order.pk is None:
            raise ValueError(f"enqueue() takes saved orders; this {type(order).__name__} has no primary key yet.")
        registered, using = order_model_of(type(order)), database_of(order)
        by_type.setdefault((registered._meta.label_lower, using), []).append(own_key(order, registered))
    is_bulk = sum(len(pks) for pks in by_type.values()) > 1
    return sum(record(order_type, pks, is_bulk=is_bulk, using=using) for (order_type, using), pks in by_type.items())
