"""Retries of outbox entries, and entries made due before their time."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud.core.clock import clock
from django_sendcloud.models import EntryState, Integration, OutboxEntry, outbox
from django_sendcloud.sync.claim import DEAD_AFTER, dead_letter_exhausted
from django_sendcloud.sync.problems import Problem, columns_of
from django_sendcloud.sync.worker import push_due
from django_sendcloud.violations import Violation
from tests import factories

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)


def entry(number: int = 1, **values: Any) -> OutboxEntry:
    now = timezone.now()
    values = {"due_at": now, "not_before": now} | values
    return OutboxEntry.objects.create(order_type="shop.order", order_pk=str(number), **values)


def near(one: dt.datetime, other: dt.datetime) -> bool:
    return abs(one - other) < dt.timedelta(seconds=10)


def test_dead_letter_leaves_no_older_problem() -> None:
    wrong = columns_of(Problem("payload_invalid", "Order 1", {"lines[2].weight": [Violation("required")]}))
    made = entry(attempts=DEAD_AFTER, **wrong)
    assert (made.error_field, made.error_rule) == ("lines.weight", "required")
    assert dead_letter_exhausted() == 1
    made.refresh_from_db()
    assert made.state == EntryState.DEAD
    assert {name: getattr(made, name) for name in wrong} == columns_of(Problem("worker_died"))


# -- retry --------------------------------------------------------------------------------------------


def test_retried_entry_is_due_immediately_without_failures() -> None:
    made = entry(
        state=EntryState.DEAD, failures=9, failing_since=timezone.now() - MINUTE, due_at=timezone.now() + 60 * MINUTE
    )
    assert OutboxEntry.objects.stuck().retry() == 1
    made.refresh_from_db()
    assert (made.state, made.failures, made.failing_since, made.version) == (EntryState.PENDING, 0, None, 2)
    assert near(made.due_at, timezone.now())
    assert not made.in_doubt


@pytest.mark.parametrize("state", [EntryState.PENDING, EntryState.REJECTED, EntryState.DEAD])
def test_retry_keeps_quarantine(state: EntryState) -> None:
    end = timezone.now() + 5 * MINUTE
    made = entry(state=state, not_before=end, due_at=end)
    OutboxEntry.objects.retry()
    made.refresh_from_db()
    assert near(made.not_before, end)
    assert made.due_at == made.not_before
    assert not OutboxEntry.objects.due(timezone.now()).exists()


def test_retry_keeps_doubt_of_attempted_entry() -> None:
    tried, doubtful, untouched = entry(1, attempts=2), entry(2, in_doubt=True), entry(3)
    OutboxEntry.objects.retry()
    for made, in_doubt in ((tried, True), (doubtful, True), (untouched, False)):
        made.refresh_from_db()
        assert (made.attempts, made.in_doubt) == (0, in_doubt)


def test_retry_of_leased_entry_keeps_lease() -> None:
    end = timezone.now() + 3 * MINUTE
    made = entry(lease="worker", attempts=1, not_before=end, due_at=end)
    OutboxEntry.objects.retry()
    made.refresh_from_db()
    assert (made.lease, made.attempts, made.version) == ("worker", 1, 2)
    assert near(made.due_at, end)
    assert near(made.not_before, end)


def test_retry_ignores_ended_lease() -> None:
    made = entry(lease="dead worker", attempts=3, not_before=timezone.now() - MINUTE, due_at=timezone.now() - MINUTE)
    OutboxEntry.objects.retry()
    made.refresh_from_db()
    assert (made.attempts, made.in_doubt) == (0, True)
    assert near(made.due_at, timezone.now())


def test_lease_ends_by_the_databases_clock(later: Any) -> None:
    """This machine's clock, which may be wrong by an hour, decides nothing."""
    leased = entry(lease="a worker", not_before=clock.now() + dt.timedelta(minutes=2))
    assert leased.is_leased
    later(180)
    assert not leased.is_leased


def test_retried_order_in_doubt_is_pushed_unchanged(integration: Integration, sandbox: Any) -> None:
    """A worker died during the push, so Sendcloud's state is unknown. The retry resets the attempts that said so."""
    order = factories.order()
    push_due()
    factories.forget_transaction()
    order.save()
    factories.outbox().update(attempts=1)
    OutboxEntry.objects.retry()
    before = sandbox.count("POST", "/shipments")
    push_due()
    assert sandbox.count("POST", "/shipments") == before + 1


# -- making due ---------------------------------------------------------------------------------------


def test_many_entries_become_due_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "REQUEUE_CHUNK", 2)
    for number in range(5):
        entry(number, due_at=timezone.now() + 60 * MINUTE)
    with CaptureQueriesContext(connection) as queries:
        OutboxEntry.objects.requeue()
    assert OutboxEntry.objects.due(clock.now()).count() == 5
    assert sum(query["sql"].startswith("UPDATE") for query in queries) == 3


def test_quarantined_due_and_stuck_entries_keep_times() -> None:
    now = timezone.now()
    resting = entry(1, not_before=now + 5 * MINUTE, due_at=now + 60 * MINUTE)
    due = entry(2, due_at=now - 5 * MINUTE)
    refused = entry(3, state=EntryState.REJECTED, due_at=now + 60 * MINUTE)
    OutboxEntry.objects.requeue()
    for made in (resting, due, refused):
        made.refresh_from_db()
    assert near(resting.due_at, now + 5 * MINUTE)
    assert near(due.due_at, now - 5 * MINUTE)
    assert (refused.state, near(refused.due_at, now + 60 * MINUTE)) == (EntryState.REJECTED, True)


def test_queryset_limits_entries_made_due(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "REQUEUE_CHUNK", 2)
    for number in range(6):
        entry(number, due_at=timezone.now() + 60 * MINUTE, error_code="not_sent" if number % 2 else "no_integration")
    OutboxEntry.objects.unassigned().requeue()
    assert set(OutboxEntry.objects.due(clock.now()).values_list("order_pk", flat=True)) == {"0", "2", "4"}


def test_unassigned_order_is_pushed_after_integration_connects(sandbox: Any, sendcloud_settings: Any) -> None:
    order = factories.order()
    push_due()
    waiting = factories.outbox().get()
    assert (waiting.state, waiting.error_code, waiting.failures) == (EntryState.PENDING, "no_integration", 0)
    assert waiting.due_at > timezone.now() + 10 * MINUTE
    push_due()
    assert not sandbox.requests
    factories.integration(sandbox)
    push_due()
    assert sandbox.shipment(str(order.pk))


@pytest.mark.parametrize(
    "change", [{"is_active": True}, {"name": "Renamed"}], ids=["is used again", "whatever else changes"]
)
def test_saved_integration_makes_unassigned_entries_due(integration: Integration, change: dict[str, Any]) -> None:
    later = timezone.now() + 15 * MINUTE
    unassigned = [
        entry(n, error_code=code, due_at=later) for n, code in enumerate(("no_integration", "integration_unknown"))
    ]
    others = [entry(7, error_code="server_error", due_at=later), entry(8, due_at=later)]
    for name, value in change.items():
        setattr(integration, name, value)
    integration.save()
    for made in (*unassigned, *others):
        made.refresh_from_db()
    assert all(near(made.due_at, timezone.now()) for made in unassigned)
    assert all(near(made.due_at, later) for made in others)
