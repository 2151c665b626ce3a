"""Changes of an order fold into one outbox entry, exactly once and without blocking the shop."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, transaction
from django.utils import timezone

from django_sendcloud.core.transactions import InsideTransaction
from django_sendcloud.models import Change, EntryState, OutboxEntry
from django_sendcloud.sync import fold as folding
from django_sendcloud.sync.fold import CHUNK, add_entries, fold, fold_all

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)


def change(pk: str = "1", *, seconds: float = 0.0, **values: Any) -> Change:
    moment = NOW + dt.timedelta(seconds=seconds)
    return Change.objects.create(
        **{"order_type": "shop.order", "order_pk": pk, "due_at": moment, "recorded_at": moment} | values
    )


@pytest.mark.django_db
def test_changes_of_an_order_become_one_entry() -> None:
    change(seconds=5)
    change(seconds=1, is_deletion=True)
    change("2", seconds=3)
    change(seconds=9)
    assert fold() == 4
    assert not Change.objects.exists()
    first, second = OutboxEntry.objects.order_by("order_pk")
    assert (first.order_pk, first.version, second.order_pk) == ("1", 1, "2")
    assert not first.is_deletion, "the last change is not a deletion"
    seconds = [(moment - NOW).total_seconds() for moment in (first.due_at, first.recorded_at, first.changed_at)]
    assert seconds == [1, 1, 9], "due when the first of them is; known since then; last changed with the last"
    assert first.due_at >= first.not_before
    assert first.state == EntryState.PENDING


@pytest.mark.django_db
def test_deletion_as_last_change_marks_entry() -> None:
    change()
    fold()
    change(is_deletion=True)
    fold()
    entry = OutboxEntry.objects.get()
    assert (entry.is_deletion, entry.version) == (True, 2)


@pytest.mark.django_db
def test_claimed_entry_keeps_its_lease() -> None:
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
def test_parked_entry_requeues_and_keeps_quarantine(state: EntryState) -> None:
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
def test_change_during_backoff_shortens_it() -> None:
    later = NOW + dt.timedelta(minutes=15)
    OutboxEntry.objects.create(order_type="shop.order", order_pk="1", not_before=NOW, due_at=later, failures=3)
    change(seconds=2)
    fold()
    entry = OutboxEntry.objects.get()
    assert (entry.due_at, entry.failures) == (NOW + dt.timedelta(seconds=2), 3)


@pytest.mark.django_db
def test_keys_differing_in_case_stay_apart() -> None:
    for key in ("a", "A", "ä"):
        change(key)
    fold()
    assert set(OutboxEntry.objects.values_list("order_pk", flat=True)) == {"a", "A", "ä"}


@pytest.mark.django_db(transaction=True)
def test_interrupted_fold_loses_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    change()
    with monkeypatch.context() as broken:
        broken.setattr(folding, "_conflict", lambda vendor: "ON CONFLICT NONSENSE")
        with pytest.raises(DatabaseError):
            fold()
    assert Change.objects.count() == 1
    assert not OutboxEntry.objects.exists()
    assert fold() == 1


@pytest.mark.long
@pytest.mark.django_db(transaction=True)
def test_changes_are_folded_in_portions() -> None:
    Change.objects.bulk_create(Change(order_type="shop.order", order_pk=str(n)) for n in range(CHUNK + 5))
    with pytest.raises(InsideTransaction), transaction.atomic():
        fold_all()
    assert fold_all() == CHUNK + 5
    assert OutboxEntry.objects.count() == CHUNK + 5
    Change.objects.bulk_create(Change(order_type="shop.order", order_pk=str(n)) for n in range(2 * CHUNK))
    assert fold_all() == 2 * CHUNK
    assert fold_all() == 0


@pytest.mark.django_db
def test_added_entries_count_as_changed() -> None:
    add_entries("shop.order", ["1", "2"])
    add_entries("shop.order", ["2"])
    assert dict(OutboxEntry.objects.values_list("order_pk", "version")) == {"1": 1, "2": 2}
    assert OutboxEntry.objects.due(timezone.now() + dt.timedelta(seconds=1)).count() == 2


@pytest.mark.django_db(transaction=True)
def test_changes_taken_meanwhile_are_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker deletes the changes after this one read them: the other worker folds them."""
    change()
    change("2")
    monkeypatch.setattr(folding, "_delete", lambda *args: 1)
    assert fold() == 0
    assert Change.objects.count() == 2
    assert not OutboxEntry.objects.exists()


@pytest.mark.django_db
def test_transient_lock_error_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    change()
    original = folding._fold
    failures = iter([OperationalError("deadlock"), OperationalError("locked")])

    def refuse(*args: Any) -> int:
        for error in failures:
            raise error
        return original(*args)

    monkeypatch.setattr(folding, "_fold", refuse)
    monkeypatch.setattr("django_sendcloud.core.retry.connections", _OutsideOfTransactions())
    monkeypatch.setattr("django_sendcloud.core.retry.clock.sleep", lambda seconds: None)
    assert fold() == 1


class _OutsideOfTransactions:
    """Connections outside a transaction: inside one, as in a test, no database work is retried."""

    in_atomic_block = False

    def __getitem__(self, alias: str) -> _OutsideOfTransactions:
        return self

    def close_if_unusable_or_obsolete(self) -> None:
        pass
