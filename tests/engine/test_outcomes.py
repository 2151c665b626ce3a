"""What comes of a request, by the table of outcomes: who waits for how long, and what is sent again in which company."""

from __future__ import annotations

import datetime as dt
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud import enqueue
from django_sendcloud.clock import clock
from django_sendcloud.models import Account, EntryState, Integration, OutboxEntry, PauseReason, Shipment
from django_sendcloud.sync import breaker, limiter
from django_sendcloud.sync.batches import batch_sizes
from django_sendcloud.sync.outcomes import AT_REST
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order

Later = Callable[[float], None]


@pytest.fixture(autouse=True)
def forget_sizes() -> Iterator[None]:
    batch_sizes.forget()
    yield
    batch_sizes.forget()


def at_sendcloud(sandbox: Any) -> set[str]:
    return {shipment["external_order_id"] for shipment in sandbox.shipments()}


def upserts(sandbox: Any) -> list[int]:
    """How many shipments each upsert had, in turn."""
    return [len(r.items) for r in sandbox.requests if r.method == "POST" and r.path.endswith("/shipments")]


def orders(number: int) -> list[Order]:
    customer = factories.customer()
    return [factories.order(lines=0, customer=customer) for _ in range(number)]


def waits(entry: OutboxEntry) -> float:
    return (entry.due_at - clock.now()).total_seconds()


# -- who waits for how long -----------------------------------------------------------------------------


def test_409_waits_a_few_seconds_and_after_ten_times_as_long_as_others(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock, "jitter", lambda upper: upper)
    orders(1)
    sandbox.fail_next(status=409, times=20)
    seen = []
    later(2)
    for _ in range(14):
        pump()
        entry = factories.outbox().get()
        assert (entry.state, entry.error_code) == (EntryState.PENDING, "conflict")
        seen.append(waits(entry))
        later(waits(entry) + 0.1)
    assert all(0.5 < seconds <= 5 for seconds in seen[:10])
    assert all(seconds > 100 for seconds in seen[11:]), "it has been busy for so long that it is a failure like others"


def test_503_says_how_long_to_wait(sandbox: Any, integration: Integration, later: Later) -> None:
    orders(1)
    later(2)
    sandbox.fail_next(status=503, times=1, headers={"Retry-After": "700"})
    pump()
    assert 690 < waits(factories.outbox().get()) <= 700


@pytest.mark.parametrize(("hours", "failures", "state"), [(71, 20, "pending"), (73, 20, "dead"), (73, 3, "pending")])
def test_nothing_that_may_heal_is_given_up_within_three_days_or_a_few_attempts(
    sandbox: Any, integration: Integration, later: Later, hours: int, failures: int, state: str
) -> None:
    orders(1)
    later(2)
    since = clock.now() - dt.timedelta(hours=hours)
    factories.outbox().update(failures=failures, failing_since=since)
    sandbox.fail_next(status=500, times=1)
    pump()
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
def test_what_no_repetition_mends_pauses_the_integration_and_burns_nothing(
    sandbox: Any, integration: Integration, later: Later, status: int, headers: dict[str, str], reason: PauseReason
) -> None:
    orders(3)
    later(2)
    sandbox.fail_next(status=status, times=1, headers=headers)
    pump()
    integration.refresh_from_db()
    assert integration.paused_reason == reason
    found = factories.outbox().values_list("state", "attempts", "failures", "in_doubt")
    assert set(found) == {(EntryState.PENDING, 0, 0, False)}
    before = len(sandbox.requests)
    later(7 * 3600)
    pump()
    assert len(sandbox.requests) == before, "a paused integration costs nothing"
    assert factories.outbox().exclude(error_code="").count() == 3, "each says what it waits for"
    assert set(factories.outbox().values_list("error_code", flat=True)) <= AT_REST
    integration.resume()
    pump()
    assert len(at_sendcloud(sandbox)) == 3


def test_one_that_cannot_prove_to_be_sendcloud_pauses_it_and_is_sent_nothing(
    db: None, sandbox: Any, sendcloud_settings: Any, later: Later
) -> None:
    """Something that speaks no TLS where TLS is spoken to."""
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
        pump()
        integration.refresh_from_db()
        assert integration.paused_reason == PauseReason.CONFIGURATION
        assert factories.outbox().get().error_code in AT_REST
        assert heard
        assert not any(str(order.pk).encode() in each for each in heard)
        assert not any(integration.public_key.encode() in each for each in heard)
    finally:
        server.shutdown()
        server.server_close()


def test_an_integration_paused_in_the_middle_of_a_round_is_sent_no_further_request(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a worker has read of it may be minutes old: it asks again with each request."""
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
    pump()
    assert upserts(sandbox) == [2, 2]
    assert set(factories.outbox().values_list("error_code", "attempts")) == {("paused", 0)}
    assert factories.outbox().count() == 8


def test_an_account_blocked_in_the_middle_of_a_round_is_sent_no_further_request(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendcloud_settings(BATCH_SIZE=2)
    orders(12)
    later(2)
    ask, asked = limiter.ask, 0

    def another_worker_is_told_to_wait(*args: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            breaker.block(Account.objects.get(), 300.0)
        return ask(*args, **options)

    monkeypatch.setattr(limiter, "ask", another_worker_is_told_to_wait)
    pump()
    assert upserts(sandbox) == [2, 2]
    entries = factories.outbox().all()
    assert {entry.error_code for entry in entries} == {"rate_limited"}
    assert all(299 < waits(entry) < 302 for entry in entries), "not before it may be, and not all at once"


# -- what is divided ------------------------------------------------------------------------------------


class _TooLarge:
    """Refuses requests with more than so many shipments, or with one certain order, as too large (413)."""

    def __init__(self, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from django_sendcloud.api.v2.shipments import Shipments
        from django_sendcloud.exceptions import TooLarge

        self.limit = 1000
        self.culprit = ""
        self.sizes: list[int] = []
        original = Shipments.upsert

        def upsert(resource: Any, payloads: Any) -> Any:
            self.sizes.append(len(payloads))
            if len(payloads) > self.limit or self.culprit in {p.external_order_id for p in payloads}:
                raise TooLarge("Request Entity Too Large", status=413, operation="upsert shipments")
            return original(resource, payloads)

        monkeypatch.setattr(Shipments, "upsert", upsert)


def test_413_is_halved_until_it_fits_and_the_size_is_remembered_for_an_hour(
    sandbox: Any, integration: Integration, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = _TooLarge(sandbox, monkeypatch)
    large.limit = 30
    orders(100)
    later(2)
    pump()
    assert sorted(large.sizes) == [25, 25, 25, 25, 50, 50, 100]
    assert len(at_sendcloud(sandbox)) == 100
    large.sizes.clear()
    forget_transaction()
    orders(50)
    later(2)
    pump()
    assert large.sizes == [25, 25], "as large as it has been seen to go"
    large.sizes.clear()
    large.limit = 1000
    forget_transaction()
    orders(50)
    later(3601)
    pump()
    assert large.sizes == [50], "it is forgotten after an hour"


def test_413_because_of_one_order_is_its_own_and_no_reason_for_small_batches(
    sandbox: Any, integration: Integration, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = _TooLarge(sandbox, monkeypatch)
    made = orders(16)
    large.culprit = str(made[5].pk)
    later(2)
    pump()
    assert len(at_sendcloud(sandbox)) == 15
    entry = factories.outbox().get()
    assert (entry.order_pk, entry.state) == (large.culprit, EntryState.REJECTED)
    large.sizes.clear()
    forget_transaction()
    orders(16)
    later(2)
    pump()
    assert large.sizes == [16]


def test_an_order_that_makes_sendcloud_fail_is_found_and_lets_the_others_pass(
    sandbox: Any, integration: Integration, later: Later
) -> None:
    """A 500 for the whole batch: after three times it is tried in ever smaller company."""
    made = orders(40)
    sandbox.poison_batch(str(made[7].pk), status=500)
    later(2)
    rounds = 0
    while factories.outbox().count() > 1 and rounds < 60:
        rounds += 1
        pump()
        later(1000)
    assert len(at_sendcloud(sandbox)) == 39
    entry = factories.outbox().get()
    assert (entry.order_pk, entry.state, entry.error_code) == (str(made[7].pk), EntryState.PENDING, "server_error")
    assert rounds < 30


def test_a_shipment_accepted_with_an_id_that_is_none_is_accepted(
    sandbox: Any, integration: Integration, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v2 import shipments as v2

    original = v2._result
    monkeypatch.setattr(
        v2, "_result", lambda payload, answers: original(payload, [a | {"shipment_uuid": "no-uuid"} for a in answers])
    )
    orders(2)
    later(2)
    pump()
    assert not factories.outbox().exists()
    assert set(Shipment.objects.values_list("status", "uuid")) == {("synced", None)}


# -- deletions beside others ----------------------------------------------------------------------------


def test_cancellations_that_say_nothing_beforehand_are_told_in_proportion(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any
) -> None:
    """Cancelled orders come among the others, and a deletion costs a request each."""
    sendcloud_settings(BATCH_SIZE=10, CLAIM_SIZE=40)
    cancelled = orders(80)
    later(2)
    while pump():
        pass
    forget_transaction()
    Order.objects.update(status="cancelled")
    enqueue(Order.objects.all())
    new = orders(80)
    for number, pair in enumerate(zip(cancelled, new, strict=True)):
        due_at = clock.now() + dt.timedelta(milliseconds=number)
        factories.outbox().filter(order_pk__in=[order.pk for order in pair]).update(due_at=due_at)
    later(2)
    before = len(sandbox.requests)
    pump()
    kinds = [request.path.endswith("/delete") for request in sandbox.requests[before:]]
    first = kinds[: max(index for index, deletion in enumerate(kinds) if not deletion)]
    assert 0 < sum(first) <= len(first) / 2, "new orders do not stand behind eighty deletions"
    assert at_sendcloud(sandbox) == {str(order.pk) for order in new}
    assert not factories.outbox().exists()


# -- the lease ------------------------------------------------------------------------------------------


def test_a_request_that_has_not_begun_when_the_lease_ends_is_not_begun(
    sandbox: Any, integration: Integration, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may be stopped between its last look at the clock and the request."""
    from django_sendcloud.api.v2.shipments import Shipments

    sendcloud_settings(LEASE_SECONDS=6.5, DEADLINE_SECONDS=3.0)
    orders(1)
    factories.outbox().update(due_at=timezone.now())
    original = Shipments.upsert

    def after_a_stop(resource: Any, payloads: Any) -> Any:
        time.sleep(5.0)
        return original(resource, payloads)

    monkeypatch.setattr(Shipments, "upsert", after_a_stop)
    pump()
    assert not upserts(sandbox)
    entry = factories.outbox().get()
    assert (entry.attempts, entry.failures, entry.in_doubt) == (0, 0, False), "nothing was sent, and nobody failed"
    assert Account.objects.get().failures == 0


# -- the limiter and the breaker ------------------------------------------------------------------------


def test_a_limit_far_in_the_future_is_as_if_all_had_just_been_used(db: None, settings: Any) -> None:
    """The database's clock went back by a day, or the rate was changed: nobody waits for a day."""
    account = Account.objects.create(name="limited", unsafe_tat=int(time.time() * 1e6) + 86_400 * 1_000_000)
    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNSAFE_REQUESTS_PER_MINUTE": 85, "UNSAFE_BURST": 15}
    wait = limiter.acquire(account.pk, "unsafe")
    assert 0 < wait < 2
    account.refresh_from_db()
    assert account.unsafe_tat < time.time() * 1e6 + 15 * 1e6


def test_what_had_been_sent_before_neither_prolongs_nor_closes_an_open_breaker(db: None, later: Later) -> None:
    account = Account.objects.create(name="main")
    for _ in range(breaker.FAILURES_TO_OPEN):
        before_it_opened = Account.objects.get()
        breaker.failed(account)
    opened = account.open_until
    assert account.openings == 1
    breaker.failed(account)
    account.refresh_from_db()
    assert (account.openings, account.open_until) == (1, opened)
    for reader in (account, before_it_opened):
        breaker.succeeded(reader)
        account.refresh_from_db()
        assert (account.openings, account.open_until) == (1, opened)
    later(40)
    assert breaker.take_probe(account, clock.now())
    assert not breaker.take_probe(account, clock.now()), "one of many"
    breaker.failed(account, trial=True)
    assert account.openings == 2
    later(70)
    breaker.succeeded(account, trial=True)
    account.refresh_from_db()
    assert (account.openings, account.open_until, account.failures) == (0, None, 0)


def test_a_success_does_not_end_the_pause_that_sendcloud_asked_for(db: None) -> None:
    account = Account.objects.create(name="main")
    until = breaker.block(account, 120.0)
    breaker.succeeded(account)
    account.refresh_from_db()
    assert account.blocked_until == until
    assert breaker.block(account, 10.0) == until, "of two answers, the one that asks for more time counts"


@pytest.mark.parametrize("status", [400, 413, 401, 404])
def test_a_refusal_tells_that_sendcloud_is_back_as_well(
    sandbox: Any, integration: Integration, later: Later, status: int
) -> None:
    """The one order that tries may be a bad one: what was asked is whether anybody is there."""
    Account.objects.update(failures=5, openings=2, open_until=clock.now())
    orders(1)
    later(2)
    sandbox.fail_next(status=status, times=1)
    pump()
    account = Account.objects.get()
    assert (account.failures, account.openings, account.open_until) == (0, 0, None)
