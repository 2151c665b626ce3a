"""Outcomes of a request, by the table of outcomes: the waiting times, the pauses, and the divided batches."""

from __future__ import annotations

import datetime as dt
import http.server
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud import enqueue
from django_sendcloud.core.clock import clock
from django_sendcloud.models import Account, EntryState, Integration, OutboxEntry, PauseReason, Shipment
from django_sendcloud.sync import breaker, limiter
from django_sendcloud.sync.backends import BACKENDS, Backend
from django_sendcloud.sync.outcomes import ON_HOLD
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order

Later = Callable[[float], None]


@pytest.fixture(params=["v2", "v3"])
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def at_sendcloud(sandbox: Any) -> set[str]:
    return {shipment["external_order_id"] for shipment in sandbox.shipments()}


def upserts(sandbox: Any) -> list[int]:
    """Return the number of shipments in each upsert, in their order."""
    return [len(r.items) for r in sandbox.requests if r.operation.startswith("upsert ")]


def orders(number: int) -> list[Order]:
    customer = factories.customer()
    return [factories.order(lines=0, customer=customer) for _ in range(number)]


def not_sent() -> list[OutboxEntry]:
    """Return the entries of orders that Sendcloud has not accepted: by API v3, accepted ones wait to be confirmed."""
    accepted = Shipment.objects.exclude(last_pushed_at=None).values("order_pk")
    return list(factories.outbox().exclude(order_pk__in=accepted))


def waits(entry: OutboxEntry) -> float:
    return (entry.due_at - clock.now()).total_seconds()


# -- waiting times -------------------------------------------------------------------------------------


@pytest.mark.long
def test_409_waits_seconds_then_ever_longer(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "jitter", lambda upper: upper)
    orders(1)
    sandbox.fail_next(status=409, times=20)
    seen = []
    later(2)
    for _ in range(18):
        push_due()
        entry = factories.outbox().get()
        assert (entry.state, entry.error_code, entry.failures) == (EntryState.PENDING, "processing", 0)
        seen.append(waits(entry))
        later(waits(entry) + 0.1)
    assert all(0.5 < seconds <= 5 for seconds in seen[:10])
    assert seen[13] > 50
    assert seen[17] > 400


def test_503_says_how_long_to_wait(sandbox: Any, integration: Integration, later: Later) -> None:
    orders(1)
    later(2)
    sandbox.fail_next(status=503, times=1, headers={"Retry-After": "700"})
    push_due()
    assert 690 < waits(factories.outbox().get()) <= 700


@pytest.mark.parametrize(("hours", "failures", "state"), [(71, 20, "pending"), (73, 20, "dead"), (73, 3, "pending")])
def test_dead_letter_needs_three_days_and_attempts(
    sandbox: Any, integration: Integration, later: Later, hours: int, failures: int, state: str
) -> None:
    orders(1)
    later(2)
    since = clock.now() - dt.timedelta(hours=hours)
    factories.outbox().update(failures=failures, failing_since=since)
    sandbox.fail_next(status=500, times=1)
    push_due()
    assert factories.outbox().get().state == state


# -- pauses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (401, {}, PauseReason.CREDENTIALS),
        (403, {}, PauseReason.PERMISSION),
        (404, {}, PauseReason.GONE),
        (302, {"Location": "https://example.com/"}, PauseReason.CONFIGURATION),
    ],
)
def test_permanent_error_pauses_integration_and_keeps_attempts(
    sandbox: Any, integration: Integration, later: Later, status: int, headers: dict[str, str], reason: PauseReason
) -> None:
    orders(3)
    later(2)
    sandbox.fail_next(status=status, times=1, headers=headers)
    push_due()
    integration.refresh_from_db()
    assert integration.paused_reason == reason
    found = factories.outbox().values_list("state", "attempts", "failures", "in_doubt")
    assert set(found) == {(EntryState.PENDING, 0, 0, False)}
    before = len(sandbox.requests)
    later(7 * 3600)
    push_due()
    assert len(sandbox.requests) == before, "a paused integration costs nothing"
    assert factories.outbox().exclude(error_code="").count() == 3, "each says what it waits for"
    assert set(factories.outbox().values_list("error_code", flat=True)) <= ON_HOLD
    integration.resume()
    push_due()
    assert len(at_sendcloud(sandbox)) == 3


def test_server_without_tls_pauses_integration(db: None, sandbox: Any, sendcloud_settings: Any, later: Later) -> None:
    """A server that speaks no TLS cannot prove to be Sendcloud, so it gets neither orders nor keys."""
    heard: list[bytes] = []

    class Plain(http.server.BaseHTTPRequestHandler):
        def handle(self) -> None:
            heard.append(self.request.recv(4096))
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        sendcloud_settings(BASE_URL=f"https://127.0.0.1:{server.server_port}/api/v2")
        integration = factories.integration(sandbox)
        order = orders(1)[0]
        later(2)
        push_due()
        integration.refresh_from_db()
        assert integration.paused_reason == PauseReason.CONFIGURATION
        assert factories.outbox().get().error_code in ON_HOLD
        assert heard
        assert not any(str(order.pk).encode() in each for each in heard)
        assert not any(integration.public_key.encode() in each for each in heard)
    finally:
        server.shutdown()
        server.server_close()


def test_integration_paused_during_round_gets_no_requests(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker may have read the integration minutes ago, so it reads the pause again before each request."""
    sendcloud_settings(BATCH_SIZE=2)
    orders(12)
    later(2)
    ask, asked = limiter.ask, 0

    def a_person_pauses(*args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            Integration.objects.get().pause(PauseReason.PERSON)
        return ask(*args, **options)

    monkeypatch.setattr(limiter, "ask", a_person_pauses)
    push_due()
    assert upserts(sandbox) == [2, 2]
    waiting = not_sent()
    assert {(entry.error_code, entry.attempts) for entry in waiting} == {("paused", 0)}
    assert len(waiting) == 8


def test_account_blocked_during_round_gets_no_requests(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendcloud_settings(BATCH_SIZE=2)
    orders(12)
    later(2)
    ask, asked = limiter.ask, 0

    def another_worker_has_to_wait(*args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            breaker.block(Account.objects.get(), 300.0)
        return ask(*args, **options)

    monkeypatch.setattr(limiter, "ask", another_worker_has_to_wait)
    push_due()
    assert upserts(sandbox) == [2, 2]
    entries = not_sent()
    assert {entry.error_code for entry in entries} == {"rate_limited"}
    assert all(299 < waits(entry) < 302 for entry in entries), "not before it may be, and not all at once"


# -- divided batches ------------------------------------------------------------------------------------


class _TooLarge:
    """Rejection (413) of requests above a number of shipments, or with one certain order."""

    def __init__(self, integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
        from django_sendcloud.exceptions import TooLarge

        self.limit = 1000
        self.culprit = ""
        self.sizes: list[int] = []
        backend = BACKENDS[integration.api_generation]
        original = backend.upsert

        def upsert(backend: Backend, items: Any) -> Any:
            self.sizes.append(len(items))
            if len(items) > self.limit or self.culprit in {item.payload.external_order_id for item in items}:
                raise TooLarge("Request Entity Too Large", status=413, operation="upsert")
            return original(backend, items)

        monkeypatch.setattr(backend, "upsert", upsert)


@pytest.mark.long
def test_batch_too_large_is_halved_until_accepted(
    sandbox: Any, integration: Integration, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No process remembers a size: a hundred orders cost seven requests instead of four, and always all arrive."""
    large = _TooLarge(integration, monkeypatch)
    large.limit = 30
    orders(100)
    later(2)
    push_due()
    assert sorted(large.sizes) == [25, 25, 25, 25, 50, 50, 100]
    assert len(at_sendcloud(sandbox)) == 100
    large.sizes.clear()
    large.limit = 1000
    forget_transaction()
    orders(50)
    later(2)
    push_due()
    assert large.sizes == [50]


@pytest.mark.long
def test_413_of_one_order_keeps_batch_size(
    sandbox: Any, integration: Integration, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = _TooLarge(integration, monkeypatch)
    made = orders(16)
    large.culprit = str(made[5].pk)
    later(2)
    push_due()
    assert len(at_sendcloud(sandbox)) == 15
    entry = factories.outbox().get()
    assert (entry.order_pk, entry.state) == (large.culprit, EntryState.REJECTED)
    large.sizes.clear()
    forget_transaction()
    orders(16)
    later(2)
    push_due()
    assert large.sizes == [16]


@pytest.mark.long
def test_order_failing_its_batch_is_isolated(sandbox: Any, integration: Integration, later: Later) -> None:
    """A 500 for the whole batch: after three failures, workers push its orders in ever smaller batches."""
    made = orders(40)
    sandbox.poison_batch(str(made[7].pk), status=500)
    later(2)
    rounds = 0
    while factories.outbox().count() > 1 and rounds < 60:
        rounds += 1
        push_due()
        later(1000)
    assert len(at_sendcloud(sandbox)) == 39
    entry = factories.outbox().get()
    assert (entry.order_pk, entry.state, entry.error_code) == (str(made[7].pk), EntryState.PENDING, "server_error")
    assert rounds < 30


@pytest.mark.parametrize("generation", ["v2"], indirect=True)
def test_shipment_accepted_with_invalid_uuid_is_settled(
    sandbox: Any, integration: Integration, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v2 import shipments as v2

    original = v2._result
    monkeypatch.setattr(
        v2, "_result", lambda payload, answers: original(payload, [a | {"shipment_uuid": "no-uuid"} for a in answers])
    )
    orders(2)
    later(2)
    push_due()
    assert not factories.outbox().exists()
    assert set(Shipment.objects.values_list("status", "uuid")) == {("synced", None)}


# -- deletions beside others ----------------------------------------------------------------------------


@pytest.mark.long
def test_bulk_cancellations_leave_half_to_new_orders(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any
) -> None:
    """A deletion costs a request of its own, so at most half of the requests before the last new order are deletions."""
    sendcloud_settings(BATCH_SIZE=10, CLAIM_SIZE=40)
    cancelled = orders(80)
    later(2)
    while push_due():
        pass
    forget_transaction()
    Order.objects.update(status="cancelled")
    enqueue(Order.objects.all())
    new = orders(80)
    for number, pair in enumerate(zip(cancelled, new, strict=True)):
        due_at = clock.now() + dt.timedelta(milliseconds=number)
        factories.outbox().filter(order_pk__in=[order.pk for order in pair]).update(due_at=due_at, is_bulk=False)
    later(2)
    before = len(sandbox.requests)
    push_due()
    writes = [request for request in sandbox.requests[before:] if request.method != "GET"]
    kinds = [request.operation.startswith("delete ") for request in writes]
    first = kinds[: max(index for index, deletion in enumerate(kinds) if not deletion)]
    assert 0 < sum(first) <= len(first) / 2, "new orders do not stand behind eighty deletions"
    assert at_sendcloud(sandbox) == {str(order.pk) for order in new}
    assert not factories.outbox().exists()


# -- the lease ------------------------------------------------------------------------------------------


@pytest.mark.long
def test_request_after_end_of_lease_is_withheld(
    sandbox: Any, integration: Integration, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may be stopped between its last look at the clock and the request."""
    backend = BACKENDS[integration.api_generation]
    sendcloud_settings(LEASE_SECONDS=6.5, DEADLINE_SECONDS=3.0)
    orders(1)
    factories.outbox().update(due_at=timezone.now())
    original = backend.upsert

    def after_a_stop(each: Backend, items: Any) -> Any:
        time.sleep(5.0)
        return original(each, items)

    monkeypatch.setattr(backend, "upsert", after_a_stop)
    push_due()
    assert not upserts(sandbox)
    entry = factories.outbox().get()
    assert (entry.attempts, entry.failures, entry.in_doubt) == (0, 0, False), "nothing was sent, and nobody failed"
    assert Account.objects.get().failures == 0


# -- the limiter and the breaker ------------------------------------------------------------------------


def test_limit_far_in_future_is_capped(db: None, settings: Any) -> None:
    """The database's clock went back by a day, or the rate was changed: no request waits for a day."""
    account = Account.objects.create(name="limited", unsafe_tat=int(time.time() * 1e6) + 86_400 * 1_000_000)
    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNSAFE_REQUESTS_PER_MINUTE": 85, "UNSAFE_BURST": 15}
    wait = limiter.acquire(account.pk, "unsafe")
    assert 0 < wait < 2
    account.refresh_from_db()
    assert account.unsafe_tat < time.time() * 1e6 + 15 * 1e6


def test_earlier_request_leaves_open_breaker_unchanged(db: None, later: Later) -> None:
    account = Account.objects.create(name="main")
    for _ in range(breaker.POINTS_TO_OPEN // breaker.POINTS_PER_FAILURE):
        before_it_opened = Account.objects.get()
        breaker.failed(account)
    opened = account.closed_until
    assert account.openings == 1
    breaker.failed(account)
    account.refresh_from_db()
    assert (account.openings, account.closed_until) == (1, opened)
    for reader in (account, before_it_opened):
        breaker.succeeded(reader)
        account.refresh_from_db()
        assert (account.openings, account.closed_until) == (1, opened)
    later(40)
    assert breaker.take_trial(account, clock.now())
    assert not breaker.take_trial(account, clock.now()), "one of many"
    breaker.failed(account, trial=True)
    assert account.openings == 2
    later(70)
    breaker.succeeded(account, trial=True)
    account.refresh_from_db()
    assert (account.openings, account.closed_until, account.failures) == (0, None, 0)


def test_account_closes_when_half_of_requests_fail(db: None, later: Later) -> None:
    account = Account.objects.create(name="main")
    requests = 0
    while not account.openings:
        requests += 1
        breaker.failed(account) if requests % 2 else breaker.succeeded(account)
        assert requests < 30
    assert requests > 10


def test_account_stays_open_when_few_requests_fail(db: None) -> None:
    account = Account.objects.create(name="main")
    for number in range(200):
        breaker.succeeded(account) if number % 5 else breaker.failed(account)
    account.refresh_from_db()
    assert (account.openings, account.closed_until) == (0, None)


def test_success_keeps_block_requested_by_sendcloud(db: None) -> None:
    account = Account.objects.create(name="main")
    until = breaker.block(account, 120.0)
    breaker.succeeded(account)
    account.refresh_from_db()
    assert account.closed_until == until
    assert breaker.block(account, 10.0) == until, "of two answers, the one that asks for more time counts"


@pytest.mark.parametrize("status", [400, 413, 401, 404])
def test_rejected_trial_closes_breaker(sandbox: Any, integration: Integration, later: Later, status: int) -> None:
    """The one order of the trial may be a bad one. Its rejection proves as well that Sendcloud answers."""
    Account.objects.update(failures=5, openings=2, closed_until=clock.now(), closed_reason="failing")
    orders(1)
    later(2)
    sandbox.fail_next(status=status, times=1)
    push_due()
    account = Account.objects.get()
    assert (account.failures, account.openings, account.closed_until) == (0, 0, None)
