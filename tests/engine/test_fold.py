"""What the shop has appended becomes one entry for each order, exactly once, and nobody waits for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, transaction
from django.utils import timezone

from django_sendcloud.models import Change, EntryState, OutboxEntry
from django_sendcloud.sync import fold as folding
from django_sendcloud.sync.fold import CHUNK, fold, fold_all, put_in

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


def change(pk: str = "1", *, seconds: float = 0.0, **values: Any) -> Change:
    moment = NOW + dt.timedelta(seconds=seconds)
    return Change.objects.create(
        **{"order_type": "shop.order", "order_pk": pk, "due_at": moment, "recorded_at": moment} | values
    )


@pytest.mark.django_db
def test_changes_of_an_order_become_one_entry() -> None:
    change(seconds=5)
    change(seconds=1, gone=True)
    change("2", seconds=3)
    change(seconds=9)
    assert fold() == 4
    assert not Change.objects.exists()
    first, second = OutboxEntry.objects.order_by("order_pk")
    assert (first.order_pk, first.version, second.order_pk) == ("1", 1, "2")
    assert not first.gone, "the last change is not a deletion"
    seconds = [(moment - NOW).total_seconds() for moment in (first.due_at, first.recorded_at, first.changed_at)]
    assert seconds == [1, 1, 9], "due when the first of them is; known since then; last changed with the last"
    assert first.due_at >= first.not_before
    assert first.state == EntryState.PENDING


@pytest.mark.django_db
def test_a_deletion_that_is_the_last_change_makes_a_deletion_of_the_entry() -> None:
    change()
    fold()
    change(gone=True)
    fold()
    entry = OutboxEntry.objects.get()
    assert (entry.gone, entry.version) == (True, 2)


@pytest.mark.django_db
def test_an_entry_in_a_workers_hands_stays_in_them() -> None:
    until = NOW + dt.timedelta(minutes=3)
    OutboxEntry.objects.create(
        order_type="shop.order", order_pk="1", lease="mine", not_before=until, due_at=until, attempts=2, in_doubt=True
    )
    change()
    fold()
    entry = OutboxEntry.objects.get()
    assert (entry.lease, entry.not_before, entry.due_at) == ("mine", until, until)
    assert (entry.version, entry.attempts, entry.in_doubt) == (2, 2, True)


@pytest.mark.django_db
@pytest.mark.parametrize("state", [EntryState.REJECTED, EntryState.DEAD])
def test_what_was_parked_gets_a_new_chance_but_keeps_its_quarantine(state: EntryState) -> None:
    until = NOW + dt.timedelta(minutes=1)
    OutboxEntry.objects.create(
        order_type="shop.order", order_pk="1", state=state, not_before=until, due_at=until, attempts=8, failures=9,
        failing_since=NOW, in_doubt=True,
    )  # fmt: skip
    change()
    fold()
    entry = OutboxEntry.objects.get()
    assert (entry.state, entry.attempts, entry.failures, entry.failing_since) == (EntryState.PENDING, 0, 0, None)
    assert (entry.due_at, entry.in_doubt) == (until, True)


@pytest.mark.django_db
def test_a_backoff_is_cut_short_by_a_change() -> None:
    later = NOW + dt.timedelta(minutes=15)
    OutboxEntry.objects.create(order_type="shop.order", order_pk="1", not_before=NOW, due_at=later, failures=3)
    change(seconds=2)
    fold()
    entry = OutboxEntry.objects.get()
    assert (entry.due_at, entry.failures) == (NOW + dt.timedelta(seconds=2), 3)


@pytest.mark.django_db
def test_keys_are_told_apart_to_the_letter() -> None:
    for key in ("a", "A", "ä"):
        change(key)
    fold()
    assert set(OutboxEntry.objects.values_list("order_pk", flat=True)) == {"a", "A", "ä"}


@pytest.mark.django_db
def test_nothing_is_lost_where_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    change()
    with monkeypatch.context() as broken:
        broken.setattr(folding, "_conflict", lambda vendor: "ON CONFLICT NONSENSE")
        with pytest.raises(DatabaseError), transaction.atomic():
            fold()
    assert Change.objects.count() == 1
    assert not OutboxEntry.objects.exists()
    assert fold() == 1


@pytest.mark.django_db(transaction=True)
def test_all_of_it_is_folded_in_portions_and_within_a_transaction_one() -> None:
    Change.objects.bulk_create(Change(order_type="shop.order", order_pk=str(n)) for n in range(CHUNK + 5))
    with transaction.atomic():
        assert fold_all() == CHUNK
    assert fold_all() == 5
    assert OutboxEntry.objects.count() == CHUNK + 5
    Change.objects.bulk_create(Change(order_type="shop.order", order_pk=str(n)) for n in range(2 * CHUNK))
    assert fold_all() == 2 * CHUNK
    assert fold_all() == 0


@pytest.mark.django_db
def test_a_worker_puts_orders_in_as_if_they_had_changed() -> None:
    put_in("shop.order", ["1", "2"])
    put_in("shop.order", ["2"])
    assert dict(OutboxEntry.objects.values_list("order_pk", "version")) == {"1": 1, "2": 2}
    assert OutboxEntry.objects.due(timezone.now() + dt.timedelta(seconds=1)).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_change_that_is_not_committed_is_neither_folded_nor_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else has taken the changes between the look at them and the deletion: they are his."""
    from django.db import connection

    if connection.vendor == "postgresql":
        pytest.skip("there it is one statement")
    change()
    change("2")
    monkeypatch.setattr(folding, "_delete", lambda *args: 1)
    assert fold() == 0
    assert Change.objects.count() == 2
    assert not OutboxEntry.objects.exists()


@pytest.mark.django_db
def test_a_lock_that_passes_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    change()
    name = "_fold_in_one_statement" if _is_postgresql() else "_fold_step_by_step"
    original: Callable[..., int] = getattr(folding, name)
    failures = iter([OperationalError("deadlock"), OperationalError("locked")])

    def refuse(*args: Any) -> int:
        for error in failures:
            raise error
        return original(*args)

    monkeypatch.setattr(folding, name, refuse)
    monkeypatch.setattr("django_sendcloud.patience.connections", _OutsideOfTransactions())
    monkeypatch.setattr("django_sendcloud.patience.clock.sleep", lambda seconds: None)
    assert fold() == 1


def _is_postgresql() -> bool:
    from django.db import connection

    return connection.vendor == "postgresql"


class _OutsideOfTransactions:
    """A test runs in a transaction, in which nothing may be tried twice."""

    in_atomic_block = False

    def __getitem__(self, alias: str) -> _OutsideOfTransactions:
        return self

    def close_if_unusable_or_obsolete(self) -> None:
        pass
