"""What people do with entries: trying again, waking; and what neither may touch."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud.clock import clock
from django_sendcloud.models import EntryState, Integration, OutboxEntry, outbox
from django_sendcloud.sync.pump import pump
from tests import factories

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)


def entry(number: int = 1, **values: Any) -> OutboxEntry:
    now = timezone.now()
    values = {"due_at": now, "not_before": now} | values
    return OutboxEntry.objects.create(order_type="shop.order", order_pk=str(number), **values)


def near(one: dt.datetime, other: dt.datetime) -> bool:
    return abs(one - other) < dt.timedelta(seconds=10)


# -- trying again -------------------------------------------------------------------------------------


def test_what_is_tried_again_begins_afresh_and_at_once() -> None:
    made = entry(
        state=EntryState.DEAD, failures=9, failing_since=timezone.now() - MINUTE, due_at=timezone.now() + 60 * MINUTE
    )
    assert OutboxEntry.objects.stuck().retry() == 1
    made.refresh_from_db()
    assert (made.state, made.failures, made.failing_since, made.version) == (EntryState.PENDING, 0, None, 2)
    assert near(made.due_at, timezone.now())
    assert not made.in_doubt


@pytest.mark.parametrize("state", [EntryState.PENDING, EntryState.REJECTED, EntryState.DEAD])
def test_a_quarantine_is_kept(state: EntryState) -> None:
    end = timezone.now() + 5 * MINUTE
    made = entry(state=state, not_before=end, due_at=end)
    OutboxEntry.objects.retry()
    made.refresh_from_db()
    assert near(made.not_before, end)
    assert made.due_at == made.not_before
    assert not OutboxEntry.objects.due(timezone.now()).exists()


def test_that_something_may_have_been_sent_is_remembered() -> None:
    tried, doubtful, untouched = entry(1, attempts=2), entry(2, in_doubt=True), entry(3)
    OutboxEntry.objects.retry()
    for made, in_doubt in ((tried, True), (doubtful, True), (untouched, False)):
        made.refresh_from_db()
        assert (made.attempts, made.in_doubt) == (0, in_doubt)


def test_what_is_in_a_workers_hands_is_looked_at_again_when_it_is_through() -> None:
    end = timezone.now() + 3 * MINUTE
    made = entry(lease="worker", attempts=1, not_before=end, due_at=end)
    OutboxEntry.objects.retry()
    made.refresh_from_db()
    assert (made.lease, made.attempts, made.version) == ("worker", 1, 2)
    assert near(made.due_at, end)
    assert near(made.not_before, end)


def test_a_lease_that_has_ended_holds_nothing() -> None:
    made = entry(lease="dead worker", attempts=3, not_before=timezone.now() - MINUTE, due_at=timezone.now() - MINUTE)
    OutboxEntry.objects.retry()
    made.refresh_from_db()
    assert (made.attempts, made.in_doubt) == (0, True)
    assert near(made.due_at, timezone.now())


def test_an_order_in_doubt_that_is_tried_again_is_told_though_nothing_has_changed(
    integration: Integration, sandbox: Any
) -> None:
    """A worker died over it, so nobody knows what Sendcloud has; the attempts that said so are set to zero."""
    order = factories.order()
    pump()
    factories.forget_transaction()
    order.save()
    factories.outbox().update(attempts=1)
    OutboxEntry.objects.retry()
    before = sandbox.count("POST", "/shipments")
    pump()
    assert sandbox.count("POST", "/shipments") == before + 1


# -- waking -------------------------------------------------------------------------------------------


def test_many_are_woken_in_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WOKEN_AT_ONCE", 2)
    for number in range(5):
        entry(number, due_at=timezone.now() + 60 * MINUTE)
    with CaptureQueriesContext(connection) as queries:
        OutboxEntry.objects.wake()
    assert OutboxEntry.objects.due(clock.now()).count() == 5
    assert sum(query["sql"].startswith("UPDATE") for query in queries) == 3


def test_waking_keeps_quarantines_and_what_is_due_or_stuck() -> None:
    now = timezone.now()
    resting = entry(1, not_before=now + 5 * MINUTE, due_at=now + 60 * MINUTE)
    due = entry(2, due_at=now - 5 * MINUTE)
    refused = entry(3, state=EntryState.REJECTED, due_at=now + 60 * MINUTE)
    OutboxEntry.objects.wake()
    for made in (resting, due, refused):
        made.refresh_from_db()
    assert near(resting.due_at, now + 5 * MINUTE)
    assert near(due.due_at, now - 5 * MINUTE)
    assert (refused.state, near(refused.due_at, now + 60 * MINUTE)) == (EntryState.REJECTED, True)


def test_only_those_asked_for_are_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "WOKEN_AT_ONCE", 2)
    for number in range(6):
        entry(number, due_at=timezone.now() + 60 * MINUTE, error_code="not_sent" if number % 2 else "no_integration")
    OutboxEntry.objects.nobodys().wake()
    assert set(OutboxEntry.objects.due(clock.now()).values_list("order_pk", flat=True)) == {"0", "2", "4"}


def test_what_no_integration_took_goes_when_one_is_connected(sandbox: Any, sendcloud_settings: Any) -> None:
    order = factories.order()
    pump()
    waiting = factories.outbox().get()
    assert (waiting.state, waiting.error_code, waiting.failures) == (EntryState.PENDING, "no_integration", 0)
    assert waiting.due_at > timezone.now() + 10 * MINUTE
    pump()
    assert not sandbox.requests
    factories.integration(sandbox)
    pump()
    assert sandbox.shipment(str(order.pk))


@pytest.mark.parametrize(
    "change", [{"is_active": True}, {"name": "Renamed"}], ids=["is used again", "whatever else changes"]
)
def test_saving_an_integration_wakes_what_none_took(integration: Integration, change: dict[str, Any]) -> None:
    later = timezone.now() + 15 * MINUTE
    nobodys = [
        entry(n, error_code=code, due_at=later) for n, code in enumerate(("no_integration", "integration_unknown"))
    ]
    others = [entry(7, error_code="server_error", due_at=later), entry(8, due_at=later)]
    for name, value in change.items():
        setattr(integration, name, value)
    integration.save()
    for made in (*nobodys, *others):
        made.refresh_from_db()
    assert all(near(made.due_at, timezone.now()) for made in nobodys)
    assert all(near(made.due_at, later) for made in others)
