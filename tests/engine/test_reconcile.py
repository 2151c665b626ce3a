"""Comparing both sides: one reads at a time, it goes on where it was, and two that agree are needed to act."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest
from django.core.exceptions import ObjectDoesNotExist

from django_sendcloud.clock import clock
from django_sendcloud.exceptions import ServerError
from django_sendcloud.models import Account, Integration, PauseReason, Scan, Shipment
from django_sendcloud.payloads import ShipmentPayload
from django_sendcloud.sync import limiter, reconcile
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.processes.conftest import Project
from tests.processes.conftest import make_project as make_project
from tests.shop.models import Order


class Interrupted(Exception):
    """Whatever ends a process in the middle of it."""


def interrupt(scan: Scan) -> None:
    raise Interrupted


@pytest.fixture
def orders(integration: Integration, sandbox: Any) -> list[Order]:
    """Five at Sendcloud since an hour ago, read two a page."""
    made = [factories.order() for _ in range(5)]
    pump()
    Shipment.objects.update(told_at=clock.now() - dt.timedelta(hours=1))
    factories.clear_outbox()
    sandbox.page_size = 2
    return made


@pytest.fixture
def missing(orders: list[Order], sandbox: Any) -> Order:
    """One of them that somebody has deleted there."""
    sandbox.delete_shipment(sandbox.shipment(str(orders[0].pk))["shipment_uuid"])
    return orders[0]


@pytest.fixture
def stale(orders: list[Order], sandbox: Any) -> Order:
    """One of them that stands on the first page, and is older there."""
    (first, *_) = sandbox.shipments()
    order = next(order for order in orders if str(order.pk) == first["external_order_id"])
    Shipment.objects.filter(order_pk=str(order.pk)).update(stamp=1)
    return order


def suspicion(order: Order) -> int:
    return Shipment.objects.get(order_pk=str(order.pk)).suspicion


def reads(sandbox: Any) -> int:
    return int(sandbox.count("GET", "/shipments"))


# -- one at a time ------------------------------------------------------------------------------------


def test_of_two_at_once_the_second_is_told_that_another_process_compares(
    missing: Order, integration: Integration, sandbox: Any
) -> None:
    refused: list[str] = []

    def meanwhile(scan: Scan) -> None:
        with pytest.raises(reconcile.Postponed) as reason:
            reconcile.scan(integration)
        refused.append(str(reason.value))

    scan = reconcile.scan(integration, progress=meanwhile)
    assert len(refused) == 2, "at each page"
    assert "Another process is comparing this integration" in refused[0]
    assert reads(sandbox) == 2, "who was refused has read nothing"
    assert (scan.seen, scan.missing) == (4, 1)
    assert suspicion(missing) == 1
    assert Scan.objects.count() == 1


@pytest.mark.services("postgresql")
@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_of_several_that_begin_at_the_same_moment_one_begins(
    make_project: Callable[..., Project], database: str
) -> None:
    project = make_project(database)
    said = project.run(
        """
import threading
from django.db import connections
from django_sendcloud.models import Integration, Scan
from django_sendcloud.sync import reconcile
integration = Integration.objects.get()
for _ in range(10):
    Scan.objects.all().delete()
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
    print(len(begun), len(postponed), Scan.objects.count())
"""
    )
    assert said.splitlines() == ["1 3 1"] * 10


def test_one_of_another_integration_is_nobody_elses_business(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    other = factories.integration(sandbox.add_integration("Other"))
    seen: list[int] = []
    reconcile.scan(integration, progress=lambda scan: seen.append(reconcile.scan(other).seen))
    assert seen == [0, 0, 0]


def test_an_interrupted_one_goes_on_at_once_from_its_page(
    missing: Order, stale: Order, integration: Integration, sandbox: Any
) -> None:
    with pytest.raises(Interrupted):
        reconcile.scan(integration, progress=interrupt)
    assert suspicion(missing) == 0, "it is not known yet whether it comes"
    begun = Scan.objects.get()
    assert (begun.finished_at, begun.lease, begun.leased_until) == (None, "", None)
    scan = reconcile.scan(integration)
    assert scan.pk == begun.pk
    assert (scan.pages, scan.seen, scan.missing, scan.stale) == (2, 4, 1, 1)
    assert reads(sandbox) == 2
    assert (suspicion(missing), suspicion(stale)) == (1, 1)
    reconcile.scan(integration)
    assert (suspicion(missing), suspicion(stale)) == (2, 2)


def test_interrupted_after_its_last_page_it_only_has_to_be_finished(
    missing: Order, stale: Order, integration: Integration, sandbox: Any
) -> None:
    def interrupt_at_the_last(scan: Scan) -> None:
        if not scan.cursor:
            raise Interrupted

    with pytest.raises(Interrupted):
        reconcile.scan(integration, progress=interrupt_at_the_last)
    scan = reconcile.scan(integration)
    assert (scan.pages, scan.seen, scan.missing, scan.stale) == (2, 4, 1, 1), "nothing is counted twice"
    assert reads(sandbox) == 2
    assert (suspicion(missing), suspicion(stale)) == (1, 1)


def test_sendcloud_fails_in_between_and_the_next_goes_on(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    def fail(scan: Scan) -> None:
        sandbox.fail_next(500, times=20, match="GET shipments")

    with pytest.raises(ServerError):
        reconcile.scan(integration, progress=fail)
    sandbox.clear_faults()
    before = reads(sandbox)
    assert reconcile.scan(integration).seen == 5
    assert reads(sandbox) - before == 2


def test_who_is_heard_of_no_more_is_taken_over_from_and_can_save_nothing(
    missing: Order, stale: Order, integration: Integration, later: Callable[[float], None]
) -> None:
    finished: list[Scan] = []

    def stand_still(scan: Scan) -> None:
        later(4 * 60)
        with pytest.raises(reconcile.Postponed, match="Another process is comparing"):
            reconcile.scan(integration)
        later(61)
        finished.append(reconcile.scan(integration))

    with pytest.raises(reconcile.Postponed, match="gone on with this comparison"):
        reconcile.scan(integration, progress=stand_still)
    scan = Scan.objects.get()
    assert [scan] == finished
    assert (scan.pages, scan.seen, scan.missing, scan.stale) == (2, 4, 1, 1)
    assert (suspicion(missing), suspicion(stale)) == (1, 1)


def test_who_is_heard_of_no_more_after_the_last_page_cannot_finish(
    missing: Order, integration: Integration, later: Callable[[float], None]
) -> None:
    def stand_still(scan: Scan) -> None:
        if not scan.cursor:
            later(5 * 60 + 1)
            reconcile.scan(integration)

    with pytest.raises(reconcile.Postponed, match="gone on with this comparison"):
        reconcile.scan(integration, progress=stand_still)
    assert suspicion(missing) == 1
    assert Scan.objects.get().finished_at is not None


def test_who_is_heard_of_no_more_does_not_begin_anew_either(
    orders: list[Order], integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    """His page is forgotten at Sendcloud by then, and the comparison is somebody else's."""

    def stand_still(scan: Scan) -> None:
        later(5 * 60 + 1)
        with pytest.raises(Interrupted):
            reconcile.scan(integration, progress=interrupt)
        sandbox.fail_next(404, body=b'{"message": "Invalid cursor"}', match="GET shipments")

    with pytest.raises(reconcile.Postponed, match="gone on with this comparison"):
        reconcile.scan(integration, progress=stand_still)
    assert Scan.objects.get().pages == 2, "what the other one has read is kept"


def test_each_page_renews_the_right_to_read(
    orders: list[Order], integration: Integration, later: Callable[[float], None]
) -> None:
    def slowly(scan: Scan) -> None:
        with pytest.raises(reconcile.Postponed):
            reconcile.scan(integration)
        later(4 * 60)

    assert reconcile.scan(integration, progress=slowly).pages == 3


# -- what has been begun long ago ---------------------------------------------------------------------


@pytest.mark.parametrize(("days", "reads_again"), [(1.9, 2), (2.1, 3)])
def test_one_that_was_begun_more_than_two_days_ago_begins_anew(
    orders: list[Order],
    integration: Integration,
    sandbox: Any,
    later: Callable[[float], None],
    days: float,
    reads_again: int,
) -> None:
    with pytest.raises(Interrupted):
        reconcile.scan(integration, progress=interrupt)
    before = reads(sandbox)
    later(days * 86_400)
    scan = reconcile.scan(integration)
    assert reads(sandbox) - before == reads_again
    assert (scan.pages, scan.seen) == (3, 5)
    assert Scan.objects.get().pk == scan.pk


def test_what_was_found_by_one_that_is_abandoned_does_not_count(
    stale: Order, integration: Integration, later: Callable[[float], None]
) -> None:
    with pytest.raises(Interrupted):
        reconcile.scan(integration, progress=interrupt)
    later(2.1 * 86_400)
    reconcile.scan(integration)
    assert suspicion(stale) == 1, "one comparison was finished"
    assert not reconcile.suspects(integration).exists()


def test_a_page_that_sendcloud_has_forgotten_begins_anew_and_counts_once(
    stale: Order, integration: Integration, sandbox: Any
) -> None:
    with pytest.raises(Interrupted):
        reconcile.scan(integration, progress=interrupt)
    Scan.objects.update(cursor="bm8tc3VjaC1wYWdl")
    scan = reconcile.scan(integration)
    assert (scan.pages, scan.seen, scan.stale) == (3, 5, 1)
    assert suspicion(stale) == 1
    assert Scan.objects.count() == 1


# -- when it may not be asked -------------------------------------------------------------------------


def pause(integration: Integration) -> None:
    integration.pause(PauseReason.PERSON)


def switch_off(integration: Integration) -> None:
    Integration.objects.update(is_active=False)


def block(integration: Integration) -> None:
    Account.objects.update(blocked_until=clock.now() + dt.timedelta(minutes=1))


def open_the_breaker(integration: Integration) -> None:
    Account.objects.update(failures=5, openings=1, open_until=clock.now() + dt.timedelta(minutes=1))


REASONS = [
    (pause, "paused, or not in use"),
    (switch_off, "paused, or not in use"),
    (block, "asked to be left alone"),
    (open_the_breaker, "has failed several times"),
]


@pytest.mark.parametrize(("obstacle", "says"), REASONS)
def test_an_integration_that_is_to_be_left_alone_is_not_asked(
    orders: list[Order], integration: Integration, sandbox: Any, obstacle: Any, says: str
) -> None:
    obstacle(integration)
    before = len(sandbox.requests)
    with pytest.raises(reconcile.Postponed, match=says):
        reconcile.scan(integration)
    assert len(sandbox.requests) == before


@pytest.mark.parametrize(("obstacle", "says"), REASONS)
def test_it_stops_in_the_middle_and_goes_on_when_it_may(
    missing: Order, integration: Integration, sandbox: Any, obstacle: Any, says: str
) -> None:
    with pytest.raises(reconcile.Postponed, match=says):
        reconcile.scan(integration, progress=lambda scan: obstacle(integration))
    assert reads(sandbox) == 1
    assert suspicion(missing) == 0
    Integration.objects.update(is_active=True, paused_since=None)
    Account.objects.update(blocked_until=None, failures=0, openings=0, open_until=None)
    scan = reconcile.scan(integration)
    assert (scan.pages, scan.seen, scan.missing) == (2, 4, 1)
    assert reads(sandbox) == 2


def test_the_periodic_comparison_leaves_what_is_postponed_for_the_next_time(
    missing: Order, integration: Integration, sandbox: Any
) -> None:
    account = Account.objects.create(name="another")
    other = factories.integration(sandbox.add_integration("Other"), account=account)
    Account.objects.filter(pk=integration.account_id).update(blocked_until=clock.now() + dt.timedelta(minutes=1))
    assert reconcile.reconcile_all() == 0
    assert Scan.objects.get(integration=other).finished_at is not None
    assert Scan.objects.get(integration=integration).finished_at is None


# -- what is asked for --------------------------------------------------------------------------------


def test_shipments_older_than_any_that_is_known_here_are_seen(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    sandbox.clock = lambda: dt.datetime.now(dt.UTC) - dt.timedelta(days=3 * 365)
    long_ago = clock.now() - dt.timedelta(days=3 * 365)
    with integration.client() as client:
        client.shipments(integration.remote_id).upsert(
            [
                ShipmentPayload(
                    external_order_id="from-before",
                    external_shipment_id="from-before",
                    order_number="OLD-1",
                    name="Jane Doe",
                    address="Markt 1",
                    city="Eindhoven",
                    postal_code="5611 EM",
                    country="NL",
                    created_at=long_ago,
                    updated_at=long_ago,
                )
            ]
        )
    sandbox.clock = lambda: dt.datetime.now(dt.UTC)
    found: list[str] = []
    scan = reconcile.scan(integration, unknown=lambda difference: found.append(difference.order_number))
    assert (scan.seen, scan.unknown, found) == (6, 1, ["OLD-1"])
    first = next(request for request in sandbox.requests if request.method == "GET")
    assert parse_qs(first.query)["start_date"] < ["2011"]


def test_each_page_takes_two_of_the_accounts_reads(
    orders: list[Order], integration: Integration, sendcloud_settings: Any
) -> None:
    """So that at least half of them are left for people and for catching up."""
    sendcloud_settings(SAFE_REQUESTS_PER_MINUTE=1, SAFE_BURST=50)
    reconcile.scan(integration)
    assert limiter.left(integration.account_id)["safe"] == 50 - 2 * 3


def test_it_waits_for_its_turn(
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
    assert reconcile.scan(integration).pages == 3
    assert 4 < sum(waited) <= 5.1, "six reads, a second each, of which the first is free"


# -- orders that vanished -----------------------------------------------------------------------------


def delete_behind_our_back(order: Order) -> None:
    """As a program does that knows nothing of Django: no signal says so."""
    rows = Order.objects.filter(pk=order.pk)
    order.lines.all()._raw_delete("default")
    order.tags.clear()
    rows._raw_delete("default")
    with pytest.raises(ObjectDoesNotExist):
        rows.get()


def test_an_order_that_vanished_is_deleted_at_sendcloud_after_two_that_agree(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    vanished = orders[3]
    factories.clear_outbox()
    delete_behind_our_back(vanished)
    factories.clear_outbox()
    for confirmed in (False, True):
        assert sandbox.shipment(str(vanished.pk)) is not None, "never after one"
        scan = reconcile.scan(integration)
        (difference,) = reconcile.differences(integration, scan)
        assert (scan.orphaned, difference.kind, difference.order_number) == (1, "orphaned", vanished.number)
        assert reconcile.repair(integration, scan) == confirmed
        pump()
        factories.forget_transaction()
    assert sandbox.shipment(str(vanished.pk)) is None
    assert len(sandbox.shipments()) == 4
    assert reconcile.scan(integration).orphaned == 0


def test_one_that_comes_back_in_between_is_left_where_it_is(
    orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    """Seen by one comparison only: a restore, or an import that deletes and inserts."""
    vanished = orders[0]
    copy = Order.objects.get(pk=vanished.pk)
    delete_behind_our_back(vanished)
    reconcile.repair(integration, reconcile.scan(integration))
    Order.objects.bulk_create([copy])
    factories.clear_outbox()
    assert reconcile.repair(integration, reconcile.scan(integration)) == 0
    assert suspicion(vanished) == 0
    assert sandbox.shipment(str(vanished.pk)) is not None


def test_where_no_order_waits_the_comparison_finds_out_whether_sendcloud_is_back(
    integration: Integration, sandbox: Any
) -> None:
    Account.objects.update(failures=5, openings=3, open_until=clock.now() - dt.timedelta(seconds=1))
    reconcile.scan(integration)
    account = Account.objects.get()
    assert (account.failures, account.openings, account.open_until) == (0, 0, None)


def test_and_where_it_is_not_one_request_was_enough(integration: Integration, sandbox: Any) -> None:
    Account.objects.update(failures=5, openings=3, open_until=clock.now() - dt.timedelta(seconds=1))
    sandbox.fail_next(status=500, times=9)
    with pytest.raises(ServerError):
        reconcile.scan(integration)
    tried = len(sandbox.requests)
    with pytest.raises(reconcile.Postponed, match="left alone"):
        reconcile.scan(integration)
    assert len(sandbox.requests) == tried
    assert Account.objects.get().openings == 3
