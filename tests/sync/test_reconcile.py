"""Reconciliation: one comparison at a time, continued after an interruption, and two comparisons that agree before a repair."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import F

from django_sendcloud.core.clock import clock
from django_sendcloud.exceptions import ServerError
from django_sendcloud.models import Account, Integration, PauseReason, ReconciliationRun, Shipment
from django_sendcloud.payloads import ShipmentPayload
from django_sendcloud.sync import limiter, reconcile
from django_sendcloud.sync.backends import Item, backend_for, v3
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.project import Project
from tests.shop.models import Order


@pytest.fixture(params=["v2", "v3"])
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Interrupted(Exception):
    """Any end of a process in the middle of a comparison."""


def interrupt(run: ReconciliationRun) -> None:
    raise Interrupted


@pytest.fixture
def orders(integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """Push five orders as if an hour ago, and serve two shipments a page."""
    made = [factories.order() for _ in range(5)]
    push_due()
    Shipment.objects.update(last_pushed_at=clock.now() - dt.timedelta(hours=1))
    factories.clear_outbox()
    sandbox.page_size = 2
    monkeypatch.setattr(v3, "MAX_PAGE", 2)
    return made


@pytest.fixture
def missing(orders: list[Order], sandbox: Any) -> Order:
    """Delete the shipment of one order at Sendcloud."""
    sandbox.delete_shipment(sandbox.shipment(str(orders[0].pk))["shipment_uuid"])
    return orders[0]


@pytest.fixture
def stale(orders: list[Order], sandbox: Any) -> Order:
    """Pick an order of the first page, and make its shipment older at Sendcloud than here."""
    (first, *_) = sandbox.shipments()
    order = next(order for order in orders if str(order.pk) == first["external_order_id"])
    Shipment.objects.filter(order_pk=str(order.pk)).update(stamp=1)
    return order


# Both generations' error, as each shows it.
UNKNOWN_CURSOR = b'{"message": "Invalid cursor", "errors": [{"status": "404", "detail": "Invalid cursor"}]}'


def mismatches(order: Order) -> int:
    return Shipment.objects.get(order_pk=str(order.pk)).mismatches


def reads(sandbox: Any) -> int:
    """Return the number of pages that comparisons have read, of either generation: theirs are the oldest first."""
    return sum(
        request.operation in ("list shipments", "list orders") and "sort=-" not in request.query
        for request in sandbox.requests
    )


# -- one at a time ------------------------------------------------------------------------------------


def test_second_comparison_is_postponed_while_first_runs(
    missing: Order, integration: Integration, sandbox: Any
) -> None:
    refused: list[str] = []

    def meanwhile(run: ReconciliationRun) -> None:
        with pytest.raises(reconcile.Postponed) as reason:
            reconcile.compare(integration)
        refused.append(str(reason.value))

    run = reconcile.compare(integration, progress=meanwhile)
    assert len(refused) == 2, "at each page"
    assert "Another process is comparing this integration" in refused[0]
    assert reads(sandbox) == 2, "who was refused has read nothing"
    assert (run.seen, run.missing) == (4, 1)
    assert mismatches(missing) == 1
    assert ReconciliationRun.objects.count() == 1


@pytest.mark.services("postgresql")
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
@pytest.mark.exhaustive
def test_concurrent_comparisons_start_one(make_project: Callable[..., Project], database: str) -> None:
    project = make_project(database)
    said = project.run(
        """
import threading
from django.db import connections
from django_sendcloud.models import Integration, ReconciliationRun
from django_sendcloud.sync import reconcile
integration = Integration.objects.get()
for _ in range(10):
    ReconciliationRun.objects.all().delete()
    together, begun, postponed = threading.Barrier(4), [], []
    def begin():
        Integration.objects.count()
        together.wait()
        try:
            begun.append(reconcile._take(integration))
        except reconcile.Postponed:
            postponed.append(1)
        finally:
            connections.close_all()
    threads = [threading.Thread(target=begin) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    print(len(begun), len(postponed), ReconciliationRun.objects.count())
"""
    )
    assert said.splitlines() == ["1 3 1"] * 10


@pytest.mark.long
def test_comparison_of_other_integration_runs_concurrently(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    other = factories.integration(sandbox.add_integration("Other"))
    seen: list[int] = []
    reconcile.compare(integration, progress=lambda run: seen.append(reconcile.compare(other).seen))
    assert seen == [0, 0, 0]


@pytest.mark.long
def test_f37_interrupted_comparison_continues_from_its_page(
    missing: Order, stale: Order, integration: Integration, sandbox: Any
) -> None:
    with pytest.raises(Interrupted):
        reconcile.compare(integration, progress=interrupt)
    assert mismatches(missing) == 0, "it is not known yet whether it comes"
    begun = ReconciliationRun.objects.get()
    assert (begun.finished_at, begun.lease, begun.leased_until) == (None, "", None)
    run = reconcile.compare(integration)
    assert run.pk == begun.pk
    assert (run.pages, run.seen, run.missing, run.stale) == (2, 4, 1, 1)
    assert reads(sandbox) == 2
    assert (mismatches(missing), mismatches(stale)) == (1, 1)
    reconcile.compare(integration)
    assert (mismatches(missing), mismatches(stale)) == (2, 2)


@pytest.mark.long
def test_comparison_interrupted_after_last_page_finishes(
    missing: Order, stale: Order, integration: Integration, sandbox: Any
) -> None:
    def interrupt_at_the_last(run: ReconciliationRun) -> None:
        if not run.cursor:
            raise Interrupted

    with pytest.raises(Interrupted):
        reconcile.compare(integration, progress=interrupt_at_the_last)
    run = reconcile.compare(integration)
    assert (run.pages, run.seen, run.missing, run.stale) == (2, 4, 1, 1), "nothing is counted twice"
    assert reads(sandbox) == 2
    assert (mismatches(missing), mismatches(stale)) == (1, 1)


@pytest.mark.long
def test_comparison_continues_after_sendcloud_failed(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    def fail(run: ReconciliationRun) -> None:
        sandbox.fail_next(500, times=20, match="list")

    with pytest.raises(ServerError):
        reconcile.compare(integration, progress=fail)
    sandbox.clear_faults()
    before = reads(sandbox)
    assert reconcile.compare(integration).seen == 5
    assert reads(sandbox) - before == 2


@pytest.mark.long
def test_expired_comparison_is_taken_over(
    missing: Order, stale: Order, integration: Integration, later: Callable[[float], None]
) -> None:
    finished: list[ReconciliationRun] = []

    def stand_still(run: ReconciliationRun) -> None:
        later(4 * 60)
        with pytest.raises(reconcile.Postponed, match="Another process is comparing"):
            reconcile.compare(integration)
        later(61)
        finished.append(reconcile.compare(integration))

    with pytest.raises(reconcile.Postponed, match="taken over this comparison"):
        reconcile.compare(integration, progress=stand_still)
    run = ReconciliationRun.objects.get()
    assert [run] == finished
    assert (run.pages, run.seen, run.missing, run.stale) == (2, 4, 1, 1)
    assert (mismatches(missing), mismatches(stale)) == (1, 1)


def test_expired_comparison_cannot_finish_after_last_page(
    missing: Order, integration: Integration, later: Callable[[float], None]
) -> None:
    def stand_still(run: ReconciliationRun) -> None:
        if not run.cursor:
            later(5 * 60 + 1)
            reconcile.compare(integration)

    with pytest.raises(reconcile.Postponed, match="taken over this comparison"):
        reconcile.compare(integration, progress=stand_still)
    assert mismatches(missing) == 1
    assert ReconciliationRun.objects.get().finished_at is not None


def test_expired_comparison_does_not_start_again(
    orders: list[Order], integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    """Sendcloud has forgotten the page of the expired process by then, and another process has taken over the comparison."""

    def stand_still(run: ReconciliationRun) -> None:
        later(5 * 60 + 1)
        with pytest.raises(Interrupted):
            reconcile.compare(integration, progress=interrupt)
        sandbox.fail_next(404, body=UNKNOWN_CURSOR, match="list")

    with pytest.raises(reconcile.Postponed, match="taken over this comparison"):
        reconcile.compare(integration, progress=stand_still)
    assert ReconciliationRun.objects.get().pages == 2, "what the other one has read is kept"


@pytest.mark.long
def test_page_renews_lease_of_comparison(
    orders: list[Order], integration: Integration, later: Callable[[float], None]
) -> None:
    def slowly(run: ReconciliationRun) -> None:
        with pytest.raises(reconcile.Postponed):
            reconcile.compare(integration)
        later(4 * 60)

    assert reconcile.compare(integration, progress=slowly).pages == 3


# -- old comparisons ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "reads_again"), [(1.9, 2), (2.1, 3)])
@pytest.mark.long
def test_comparison_older_than_two_days_starts_again(
    orders: list[Order],
    integration: Integration,
    sandbox: Any,
    later: Callable[[float], None],
    days: float,
    reads_again: int,
) -> None:
    with pytest.raises(Interrupted):
        reconcile.compare(integration, progress=interrupt)
    before = reads(sandbox)
    later(days * 86_400)
    run = reconcile.compare(integration)
    assert reads(sandbox) - before == reads_again
    assert (run.pages, run.seen) == (3, 5)
    assert ReconciliationRun.objects.get().pk == run.pk


@pytest.mark.long
def test_abandoned_comparison_counts_no_mismatches(
    stale: Order, integration: Integration, later: Callable[[float], None]
) -> None:
    with pytest.raises(Interrupted):
        reconcile.compare(integration, progress=interrupt)
    later(2.1 * 86_400)
    reconcile.compare(integration)
    assert mismatches(stale) == 1, "one comparison was finished"
    assert not reconcile.to_repair(integration).exists()


@pytest.mark.long
def test_forgotten_page_restarts_comparison_and_counts_once(
    stale: Order, integration: Integration, sandbox: Any
) -> None:
    with pytest.raises(Interrupted):
        reconcile.compare(integration, progress=interrupt)
    ReconciliationRun.objects.update(cursor="bm8tc3VjaC1wYWdl")
    run = reconcile.compare(integration)
    assert (run.pages, run.seen, run.stale) == (3, 5, 1)
    assert mismatches(stale) == 1
    assert ReconciliationRun.objects.count() == 1


# -- obstacles ---------------------------------------------------------------------------------------


def pause(integration: Integration) -> None:
    integration.pause(PauseReason.PERSON)


def switch_off(integration: Integration) -> None:
    Integration.objects.update(is_active=False)


def block(integration: Integration) -> None:
    Account.objects.update(closed_until=clock.now() + dt.timedelta(minutes=1), closed_reason="rate_limited")


def open_the_breaker(integration: Integration) -> None:
    Account.objects.update(
        failures=5, openings=1, closed_until=clock.now() + dt.timedelta(minutes=1), closed_reason="failing"
    )


REASONS = [
    (pause, "paused, or not in use"),
    (switch_off, "paused, or not in use"),
    (block, "asked to be left alone"),
    (open_the_breaker, "has failed several times"),
]


@pytest.mark.parametrize(("obstacle", "says"), REASONS)
def test_unavailable_integration_gets_no_requests(
    orders: list[Order], integration: Integration, sandbox: Any, obstacle: Any, says: str
) -> None:
    obstacle(integration)
    before = len(sandbox.requests)
    with pytest.raises(reconcile.Postponed, match=says):
        reconcile.compare(integration)
    assert len(sandbox.requests) == before


@pytest.mark.parametrize(("obstacle", "says"), REASONS)
def test_obstructed_comparison_continues_after_obstacle(
    missing: Order, integration: Integration, sandbox: Any, obstacle: Any, says: str
) -> None:
    with pytest.raises(reconcile.Postponed, match=says):
        reconcile.compare(integration, progress=lambda run: obstacle(integration))
    assert reads(sandbox) == 1
    assert mismatches(missing) == 0
    Integration.objects.update(is_active=True, paused_since=None)
    Account.objects.update(closed_until=None, closed_reason="", failures=0, openings=0)
    run = reconcile.compare(integration)
    assert (run.pages, run.seen, run.missing) == (2, 4, 1)
    assert reads(sandbox) == 2


def test_periodic_reconciliation_skips_postponed_integration(
    missing: Order, integration: Integration, sandbox: Any
) -> None:
    account = Account.objects.create(name="another")
    other = factories.integration(sandbox.add_integration("Other"), account=account)
    Account.objects.filter(pk=integration.account_id).update(
        closed_until=clock.now() + dt.timedelta(minutes=1), closed_reason="rate_limited"
    )
    assert reconcile.reconcile_all() == 1
    assert ReconciliationRun.objects.get(integration=other).finished_at is not None
    assert ReconciliationRun.objects.get(integration=integration).finished_at is None


@pytest.mark.long
def test_f37_reconcile_error_of_one_integration_spares_others(
    missing: Order, integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection lost in one ends neither the run nor the day: it is due again in a minute."""
    from django.db import OperationalError

    from django_sendcloud import broker, tasks

    other = factories.integration(sandbox.add_integration("Other"), account=Account.objects.create(name="another"))
    compare, failing = reconcile.compare, {integration.pk}

    def lose_connection(each: Integration, **options: Any) -> ReconciliationRun:
        if each.pk in failing:
            raise OperationalError("server closed the connection unexpectedly")
        return compare(each, **options)

    monkeypatch.setattr(reconcile, "compare", lose_connection)
    again: list[float] = []

    def publish(task: str, *args: Any, delay: float = 0.0) -> None:
        # The notifier's thread may still notify workers of the orders that the test has placed.
        if task == broker.RECONCILE:
            again.append(delay)

    monkeypatch.setattr(tasks, "publish", publish)
    tasks.reconcile()
    assert again == [60.0]
    assert ReconciliationRun.objects.get().integration == other
    failing.clear()
    tasks.reconcile()
    assert again == [60.0]
    assert ReconciliationRun.objects.filter(integration=other).count() == 1, "it is not compared twice a day"
    assert ReconciliationRun.objects.filter(integration=integration).count() == 1


@pytest.mark.long
def test_reconcile_asks_person_before_pushing_large_share(
    missing: Order, integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """An empty list that is believed would push everything again."""
    monkeypatch.setattr(reconcile, "MISSING_WITHOUT_APPROVAL", 0)
    for _ in range(reconcile.RUNS_TO_ACT):
        run = reconcile.compare(integration)
    assert reconcile.repair(integration, run) == 0
    run.refresh_from_db()
    assert run.held_back == 1
    assert "sendcloud_reconcile --fix" in caplog.text
    assert not factories.outbox().exists()
    assert reconcile.repair(integration, run, by_person=True) == 1
    assert run.held_back == 0
    push_due()
    assert sandbox.shipment(str(missing.pk)) is not None


# -- requests -----------------------------------------------------------------------------------------


def test_shipment_older_than_any_known_is_seen(orders: list[Order], integration: Integration, sandbox: Any) -> None:
    sandbox.clock = lambda: dt.datetime.now(dt.UTC) - dt.timedelta(days=3 * 365)
    long_ago = clock.now() - dt.timedelta(days=3 * 365)
    payload = ShipmentPayload(
        external_order_id="from-before",
        external_shipment_id="from-before",
        order_number="OLD-1",
        name="Jane Doe",
        address="Markt 1",
        city="Eindhoven",
        postal_code="5611 EM",
        country="NL",
        currency="EUR",
        created_at=long_ago,
        updated_at=long_ago,
    )
    with backend_for(integration) as backend:
        backend.upsert([Item(payload, Shipment())])
    sandbox.clock = lambda: dt.datetime.now(dt.UTC)
    found: list[str] = []
    run = reconcile.compare(integration, unknown=lambda difference: found.append(difference.order_number))
    assert (run.seen, run.unknown, found) == (6, 1, ["OLD-1"])
    if integration.api_generation == "v2":
        first = next(request for request in sandbox.requests if request.method == "GET")
        assert parse_qs(first.query)["start_date"] < ["2011"], "v2 shows only the last year without it"


def test_page_takes_two_of_accounts_reads(
    orders: list[Order], integration: Integration, sendcloud_settings: Any
) -> None:
    """Comparisons leave at least half of the reads for people and for polls."""
    sendcloud_settings(SAFE_REQUESTS_PER_MINUTE=1, SAFE_BURST=50)
    reconcile.compare(integration)
    assert limiter.left(integration.account_id)["safe"] == 50 - 2 * 3


def test_comparison_waits_for_its_turn(
    orders: list[Order], integration: Integration, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendcloud_settings(SAFE_REQUESTS_PER_MINUTE=60, SAFE_BURST=1)
    waited: list[float] = []

    def pass_by(seconds: float) -> None:
        waited.append(seconds)
        account = Account.objects.get()
        account.safe_tat -= int(seconds * 1_000_000)
        account.save()

    monkeypatch.setattr(clock, "sleep", pass_by)
    assert reconcile.compare(integration).pages == 3
    assert 4 < sum(waited) <= 5.1, "six reads, a second each, of which the first is free"


# -- orders that vanished -----------------------------------------------------------------------------


def delete_behind_our_back(order: Order) -> None:
    """Delete an order without a signal, as a program does that knows nothing of Django."""
    rows = Order.objects.filter(pk=order.pk)
    order.lines.all()._raw_delete("default")
    order.tags.clear()
    rows._raw_delete("default")
    with pytest.raises(ObjectDoesNotExist):
        rows.get()


@pytest.mark.long
def test_ignored_difference_is_not_repaired(missing: Order, integration: Integration, sandbox: Any) -> None:
    reconcile.compare(integration)
    Shipment.objects.filter(order_pk=str(missing.pk)).update(ignored_stamp=F("stamp"))
    run = reconcile.compare(integration)
    assert (mismatches(missing), list(reconcile.differences(integration, run))) == (2, [])
    assert reconcile.repair(integration, run) == 0
    Shipment.objects.filter(order_pk=str(missing.pk)).update(stamp=F("stamp") + 1)
    (difference,) = reconcile.differences(integration, run)
    assert difference.kind == "missing"
    assert reconcile.repair(integration, run) == 1


@pytest.mark.long
def test_vanished_order_is_deleted_after_two_comparisons(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    vanished = orders[3]
    factories.clear_outbox()
    delete_behind_our_back(vanished)
    factories.clear_outbox()
    for confirmed in (False, True):
        assert sandbox.shipment(str(vanished.pk)) is not None, "never after one"
        run = reconcile.compare(integration)
        (difference,) = reconcile.differences(integration, run)
        assert (run.orphaned, difference.kind, difference.order_number) == (1, "orphaned", vanished.number)
        assert reconcile.repair(integration, run) == confirmed
        push_due()
        factories.forget_transaction()
    assert sandbox.shipment(str(vanished.pk)) is None
    assert len(sandbox.shipments()) == 4
    assert reconcile.compare(integration).orphaned == 0


@pytest.mark.long
def test_order_restored_between_comparisons_is_kept(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    """Only one comparison misses the order, during a restore or an import that deletes and inserts."""
    vanished = orders[0]
    copy = Order.objects.get(pk=vanished.pk)
    delete_behind_our_back(vanished)
    reconcile.repair(integration, reconcile.compare(integration))
    Order.objects.bulk_create([copy])
    factories.clear_outbox()
    assert reconcile.repair(integration, reconcile.compare(integration)) == 0
    assert mismatches(vanished) == 0
    assert sandbox.shipment(str(vanished.pk)) is not None


def test_successful_comparison_closes_breaker(integration: Integration, sandbox: Any) -> None:
    Account.objects.update(
        failures=5, openings=3, closed_until=clock.now() - dt.timedelta(seconds=1), closed_reason="failing"
    )
    reconcile.compare(integration)
    account = Account.objects.get()
    assert (account.failures, account.openings, account.closed_until) == (0, 0, None)


def test_failed_comparison_keeps_breaker_open(integration: Integration, sandbox: Any) -> None:
    Account.objects.update(
        failures=5, openings=3, closed_until=clock.now() - dt.timedelta(seconds=1), closed_reason="failing"
    )
    sandbox.fail_next(status=500, times=9)
    with pytest.raises(ServerError):
        reconcile.compare(integration)
    tried = len(sandbox.requests)
    with pytest.raises(reconcile.Postponed, match="left alone"):
        reconcile.compare(integration)
    assert len(sandbox.requests) == tried
    assert Account.objects.get().openings == 3


def test_empty_list_of_small_shop_asks(integration: Integration, sandbox: Any) -> None:
    """A share counts as well where all is little."""
    for _ in range(12):
        factories.order(lines=0)
    push_due()
    for shipment in sandbox.shipments():
        sandbox.delete_shipment(shipment["shipment_uuid"])
    for _ in range(reconcile.RUNS_TO_ACT):
        run = reconcile.compare(integration)
    assert reconcile.repair(integration, run) == 0
    assert run.held_back == 12
