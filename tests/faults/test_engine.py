"""Faults that the engine survives, each under its number. Others stand beside the code they are about (``test_f…``)."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from django_sendcloud import enqueue
from django_sendcloud.clock import clock
from django_sendcloud.models import Account, EntryState, Integration, Shipment
from django_sendcloud.sync import breaker, drift
from django_sendcloud.sync.claim import claim
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.sync.pump import bury_the_dead, pump
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order


def at_sendcloud(sandbox: Any) -> set[str]:
    return {shipment["external_order_id"] for shipment in sandbox.shipments()}


def test_f07_three_hundred_saves_in_one_transaction_are_one_request(
    sandbox: Any, transactional_db: None, sendcloud_settings: Any
) -> None:
    factories.integration(sandbox)
    order = factories.order()
    with transaction.atomic():
        for number in range(300):
            order.address = f"Markt {number}"
            order.save()
    pump()
    assert sandbox.count("POST", "/shipments") == 1
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 299"


def test_f07_three_hundred_transactions_during_one_flight_are_two_requests(
    sandbox: Any, transactional_db: None, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django_sendcloud.api.v2.shipments import Shipments

    factories.integration(sandbox)
    order = factories.order()
    upsert = Shipments.upsert

    def save_then_send(self: Shipments, payloads: Any) -> Any:
        monkeypatch.setattr(Shipments, "upsert", upsert)
        for number in range(300):
            with transaction.atomic():
                order.address = f"Markt {number}"
                order.save()
        return upsert(self, payloads)

    monkeypatch.setattr(Shipments, "upsert", save_then_send)
    pump()
    assert sandbox.count("POST", "/shipments") == 2
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 299"


def test_f09_a_deletion_waits_until_a_late_upsert_can_no_longer_land(
    sandbox: Any, integration: Integration, sendcloud_settings: Any, later: Callable[[float], None]
) -> None:
    sendcloud_settings(QUARANTINE_SECONDS=60.0)
    order = factories.order()
    sandbox.drop_answer(times=1, after_apply=True)
    pump()
    forget_transaction()
    order.delete()
    later(30)
    pump()
    assert sandbox.count(path="/shipments/delete") == 0
    later(31)
    pump()
    assert sandbox.shipments() == []
    assert not factories.outbox().exists()


def test_f15_what_kills_its_worker_goes_alone_and_is_given_up(
    sandbox: Any, integration: Integration, later: Callable[[float], None], settings: Any
) -> None:
    """Three claims in company, then alone, dead after eight; all others go out meanwhile."""
    orders = [factories.order() for _ in range(5)]
    poison = str(orders[2].pk)
    claims: list[int] = []
    fold_all()
    for _ in range(40):
        taken = claim(500)
        pks = [entry.order_pk for entry in taken.entries]
        if poison in pks:
            claims.append(len(pks))  # its worker dies here: nothing is settled
        elif pks:
            factories.outbox().filter(order_pk__in=pks).delete()
        later(200)
    assert len(claims) == 8
    assert claims[0] == 5
    assert set(claims[3:]) == {1}, "alone after three"
    bury_the_dead()
    entry = factories.outbox().get()
    assert (entry.order_pk, entry.state, entry.error_code) == (poison, EntryState.DEAD, "worker_died")
    # A change gives it another chance.
    forget_transaction()
    orders[2].save()
    assert factories.outbox().get().state == EntryState.PENDING


@pytest.mark.parametrize("retry_after", [None, "date", "-5", "1e9", "60"])
def test_f16_a_storm_of_429_costs_a_request_a_pause_and_no_attempt(
    sandbox: Any, integration: Integration, later: Callable[[float], None], retry_after: str | None
) -> None:
    """Ten minutes of 429, whatever they say of when to come back; afterwards everything goes out."""
    for _ in range(3):
        factories.order()
    if retry_after == "date":
        at = timezone.now() + dt.timedelta(minutes=2)
        retry_after = at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"Retry-After": retry_after} if retry_after else {}
    sandbox.fail_next(status=429, times=1000, headers=headers)
    for _ in range(120):
        pump()
        later(5)
    assert 1 <= len(sandbox.requests) <= 11
    assert set(factories.outbox().values_list("attempts", "failures", "state")) == {(0, 0, EntryState.PENDING)}
    sandbox.clear_faults()
    later(3600)
    pump()
    assert len(sandbox.shipments()) == 3


def test_f18_two_hours_of_500_cost_one_probe_each_time_the_breaker_closes(
    sandbox: Any, integration: Integration, later: Callable[[float], None]
) -> None:
    for _ in range(150):
        factories.order(lines=0)
    sandbox.fail_next(status=503, times=100_000)
    for _ in range(2 * 60 * 4):
        pump()
        later(15)
    sent = len(sandbox.requests)
    # Five to open it, and then at most one every five minutes, but for the first shorter ones.
    assert 20 <= sent <= 5 + 4 + 24 + 2
    assert all(len(request.body) == 1 for request in sandbox.requests[10:])
    assert not factories.outbox().filter(state=EntryState.DEAD).exists()
    sandbox.clear_faults()
    for _ in range(120):
        pump()
        later(15)
    assert len(sandbox.shipments()) == 150
    assert not factories.outbox().exists()
    assert Account.objects.get().openings == 0


def test_f18_the_breaker_opens_when_half_of_twenty_requests_fail(db: None, later: Callable[[float], None]) -> None:
    account = Account.objects.create(name="shaky")
    for number in range(19):
        assert not (breaker.failed(account) if number % 2 else breaker.succeeded(account))
    assert breaker.failed(account), "ten of twenty"
    assert breaker.closed_until(account, clock.now()) is not None


def test_f18_failures_that_are_far_apart_do_not_open_it(db: None, later: Callable[[float], None]) -> None:
    account = Account.objects.create(name="shaky")
    for number in range(40):
        later(4)
        assert not (breaker.failed(account) if number % 2 else breaker.succeeded(account))


def test_f20_keys_revoked_for_a_day_burn_nothing_and_it_resumes_by_itself(
    sandbox: Any, integration: Integration, later: Callable[[float], None]
) -> None:
    from django_sendcloud.signals import integration_paused
    from django_sendcloud.sync.probe import probe_paused

    told: list[str] = []

    def note(reason: str, **kwargs: Any) -> None:
        told.append(reason)

    integration_paused.connect(note)
    try:
        for _ in range(3):
            factories.order()
        sandbox.revoke_credentials()
        for _ in range(24 * 12):
            pump()
            probe_paused()
            later(300)
    finally:
        integration_paused.disconnect(note)
    assert told == ["credentials"], "told once"
    assert len(sandbox.requests) <= 1 + 24 * 12, "at most one probe in five minutes"
    assert set(factories.outbox().values_list("attempts", "failures", "state")) == {(0, 0, EntryState.PENDING)}
    sandbox.restore_credentials()
    later(301)
    probe_paused()
    pump()
    assert len(sandbox.shipments()) == 3


def test_f23_what_was_written_without_signals_is_found(
    sandbox: Any, integration: Integration, later: Callable[[float], None]
) -> None:
    """``bulk_create`` and ``update`` send no signals: ``enqueue`` says so, and what is forgotten is found."""
    customer = factories.customer()
    Order.objects.bulk_create(Order(number=str(number), customer=customer) for number in range(3))
    assert not factories.outbox().exists()
    later(1000)
    drift.scan()
    later(1)
    pump()
    assert len(sandbox.shipments()) == 3
    forget_transaction()
    Order.objects.update(address="Markt 1", modified=clock.now())
    assert not factories.outbox().exists()
    later(1000)
    drift.scan()
    later(1)
    pump()
    assert {shipment["address"] for shipment in sandbox.shipments()} == {"Markt 1"}
    forget_transaction()
    Order.objects.update(address="Markt 2")  # and the modification time does not say so
    enqueue(Order.objects.all())
    later(1)
    pump()
    assert {shipment["address"] for shipment in sandbox.shipments()} == {"Markt 2"}


def test_f24_many_cancellations_do_not_starve_new_orders_nor_the_reverse(
    sandbox: Any, integration: Integration, sendcloud_settings: Any
) -> None:
    """A deletion costs a request each: of five requests at most one is a deletion while both wait."""
    gone = [factories.order(lines=0) for _ in range(120)]
    pump()
    forget_transaction()
    for order in gone:
        order.delete()
    new = [factories.order(lines=0) for _ in range(600)]
    sendcloud_settings(BATCH_SIZE=5, CLAIM_SIZE=50)
    before = len(sandbox.requests)
    factories.outbox().update(due_at=timezone.now() - dt.timedelta(minutes=1))
    pump()
    kinds = [request.path.endswith("/delete") for request in sandbox.requests[before:]]
    assert at_sendcloud(sandbox) == {str(order.pk) for order in new}
    last_upsert = max(index for index, deletion in enumerate(kinds) if not deletion)
    both = kinds[: last_upsert + 1]
    assert 0.1 <= sum(both) / len(both) <= 0.35
    # Neither ever waits for all of the other.
    assert any(both[: len(both) // 2])
    assert not all(both[: len(both) // 2])


@pytest.mark.services("postgresql")
def test_f22_a_long_transaction_of_the_shop_keeps_no_order_waiting(make_project: Callable[..., Any]) -> None:
    project = make_project("postgresql")
    held, *_ = project.place_orders(10)
    time.sleep(project.settings["DEBOUNCE_SECONDS"])
    import psycopg

    with psycopg.connect(project.database_url) as shop:
        # A change of an order, recorded in a transaction that stays open.
        shop.execute("UPDATE shop_order SET address = 'Markt 7' WHERE id = %s", [held])
        shop.execute(
            "INSERT INTO django_sendcloud_change (order_type, order_pk, gone, due_at, recorded_at) "
            "VALUES ('shop.order', %s, false, now(), now())",
            [held],
        )
        project.run("from django_sendcloud.sync.pump import pump; pump()")
        assert len(project.sandbox.shipments()) == 10
        assert project.outbox() == 0
        shop.commit()
    project.run("from django_sendcloud.sync.pump import pump; pump()")
    assert project.outbox() == 0
    assert [s["address"] for s in project.sandbox.shipments() if s["external_order_id"] == held] == ["Markt 7"]


@pytest.mark.services("postgresql")
def test_f22_the_shop_never_waits_for_what_a_worker_holds(make_project: Callable[..., Any]) -> None:
    """An order is saved although its entry is locked, and with a lock timeout that would not forgive waiting."""
    project = make_project("postgresql")
    held = project.place_orders(1)[0]
    project.outbox()
    import psycopg

    with psycopg.connect(project.database_url) as worker:
        worker.execute("SELECT * FROM django_sendcloud_outboxentry FOR UPDATE")
        project.run(
            f"""
from django.db import connection, transaction
from tests.shop.models import Order
connection.cursor().execute("SET lock_timeout = '200ms'")
with transaction.atomic():
    Order.objects.get(pk="{held}").save()
"""
        )


@pytest.mark.services("postgresql")
def test_f22_an_order_that_is_held_when_it_is_settled_keeps_no_other_waiting(make_project: Callable[..., Any]) -> None:
    project = make_project("postgresql")
    held, *others = project.place_orders(10)
    time.sleep(project.settings["DEBOUNCE_SECONDS"])
    project.run(
        f"""
from django.db import connection
import os, psycopg
from django_sendcloud.sync import pump, push
original, shop = push.settle, psycopg.connect(os.environ["TEST_DATABASE_URL"])
def hold(*args):
    push.settle = original
    shop.execute("UPDATE django_sendcloud_outboxentry SET version = version + 1 WHERE order_pk = {held!r}")
    return original(*args)
push.settle = hold
with connection.cursor() as cursor:
    # Whoever waits for the lock gives up, rather than for ever.
    cursor.execute("SET lock_timeout = '2s'")
pump.pump()
shop.commit()
"""
    )
    assert project.outbox() == 1, "the others are settled"
    assert len(project.sandbox.shipments()) == 10
    time.sleep(project.settings["LEASE_SECONDS"])
    for _ in range(2):
        project.run("from django_sendcloud.sync.pump import pump; pump()")
        time.sleep(project.settings["QUARANTINE_SECONDS"])
    assert project.outbox() == 0
    assert len(project.sandbox.shipments()) == 1 + len(others)


@pytest.mark.services("postgresql")
@pytest.mark.parametrize("step", ["build", "settle"])
def test_f21_a_database_that_hangs_up_costs_at_most_a_lease(make_project: Callable[..., Any], step: str) -> None:
    """The server ends the worker's connection, as a restart would, before it builds or when it settles."""
    project = make_project("postgresql")
    orders = project.place_orders(5)
    time.sleep(project.settings["DEBOUNCE_SECONDS"])
    project.run(
        f"""
from django.db import connection
import psycopg, os
from django_sendcloud.sync import pump, push
original = push.{step}
def hang_up(*args):
    push.{step} = original
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    return original(*args)
push.{step} = hang_up
pump.pump()
""",
        check=False,
    )
    time.sleep(project.settings["LEASE_SECONDS"])
    for _ in range(2):
        project.run("from django_sendcloud.sync.pump import pump; pump()")
        time.sleep(project.settings["QUARANTINE_SECONDS"])
    assert project.outbox() == 0
    assert sorted(s["external_order_id"] for s in project.sandbox.shipments()) == sorted(orders)


@pytest.mark.services("postgresql")
def test_f21_a_deadlock_is_tried_again(make_project: Callable[..., Any]) -> None:
    project = make_project("postgresql")
    orders = project.place_orders(3)
    time.sleep(project.settings["DEBOUNCE_SECONDS"])
    said = project.run(
        """
from django.db import OperationalError
from django_sendcloud.sync import pump, settle
original, tries = settle._write, []
def deadlock(*args):
    tries.append(1)
    if len(tries) < 3:
        raise OperationalError("deadlock detected")
    return original(*args)
settle._write = deadlock
pump.pump()
print(len(tries))
"""
    )
    assert int(said) >= 3
    assert project.outbox() == 0
    assert len(project.sandbox.shipments()) == len(orders)
    assert project.sandbox.count("POST", "/shipments") == 1


PUMP = "import django; django.setup()\nfrom django_sendcloud.sync.pump import pump\npump()"


@pytest.mark.services("postgresql")
def test_f12_a_worker_that_wakes_from_a_long_sleep_sends_nothing(make_project: Callable[..., Any]) -> None:
    """Stopped between its claim and its request for longer than its lease, it leaves the order to its new owner."""
    import signal

    project = make_project("postgresql")
    (order,) = project.place_orders(1)
    time.sleep(project.settings["DEBOUNCE_SECONDS"])
    zombie = project.start(
        "-c",
        "import django; django.setup()\n"
        "import os, signal\n"
        "from django_sendcloud.sync import push, pump\n"
        "original = push.build\n"
        "def stop(*args):\n"
        "    plans = original(*args)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    return plans\n"
        "push.build = stop\n"
        "pump.pump(0.1)\n"
        "print('awake')",
    )
    project.wait_for(lambda: stopped(zombie.pid), what="the worker's sleep")
    assert project.sandbox.count("POST") == 0
    time.sleep(project.settings["LEASE_SECONDS"] + project.settings["QUARANTINE_SECONDS"])
    # Meanwhile the order changes, and its new owner sends it.
    project.run(
        f"from tests.shop.models import Order; o = Order.objects.get(pk={order!r}); o.address = 'New 1'; o.save()\n"
        "import time; time.sleep(0.3)\nfrom django_sendcloud.sync.pump import pump; pump()"
    )
    assert project.sandbox.shipment(order)["address"] == "New 1"
    sent = project.sandbox.count("POST")
    zombie.send_signal(signal.SIGCONT)
    assert zombie.wait(timeout=60) == 0, project.logs()
    assert project.sandbox.count("POST") == sent, "it has nothing to say any more"
    assert project.sandbox.shipment(order)["address"] == "New 1"


def stopped(pid: int) -> bool:
    import psutil

    return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)


@pytest.mark.services("postgresql")
def test_f17_eight_workers_and_three_integrations_keep_one_accounts_rate(make_project: Callable[..., Any]) -> None:
    """In no window are there more requests than the limit: it is one row, shared by all, in the database's time.

    Sixty seconds are scaled down to three: 85 requests a minute with a burst of 15 become 1,700 a minute with 15.
    """
    project = make_project("postgresql")
    project.settings |= {"UNSAFE_REQUESTS_PER_MINUTE": 1700, "UNSAFE_BURST": 15, "BATCH_SIZE": 1, "CLAIM_SIZE": 10}
    others = [project.sandbox.add_integration(shop_name=name) for name in ("B", "C")]
    project.run(
        "from tests import factories\nfrom django_sendcloud.models import Integration\nfirst = Integration.objects.get()\n"
        + "".join(
            f"class S: integration_id, public_key, secret_key = {o.id}, {o.public_key!r}, {o.secret_key!r}\n"
            "factories.integration(S)\n"
            for o in others
        )
        + "pks = list(Integration.objects.values_list('pk', flat=True))\n"
        "for n in range(270): factories.order(lines=0, integration=pks[n % 3])"
    )
    children = [project.start("-c", PUMP) for _ in range(8)]
    for child in children:
        assert child.wait(timeout=120) == 0, project.logs()
    # What the last of them had no time left for is due a moment later, when nobody looks any more.
    project.push_the_rest()
    times = sorted(request.time for request in project.sandbox.requests if request.method == "POST")
    assert len(times) == 270
    window = 3.0
    # What arrives is a little later than what was allowed; the window is shorter by what that may be.
    most = max(sum(1 for other in times if at <= other < at + window - 0.2) for at in times)
    assert most <= 100


@pytest.mark.services("postgresql")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_f01_a_web_process_killed_between_commit_and_wake_up_loses_nothing(
    make_project: Callable[..., Any], database: str
) -> None:
    project = make_project(database)
    project.run(
        "import os, signal\nfrom django.db import transaction\nfrom tests import factories\n"
        "with transaction.atomic():\n"
        "    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
        "    factories.order()\n",
        check=False,
    )
    assert project.outbox() == 1
    time.sleep(project.settings["DEBOUNCE_SECONDS"])
    project.run("from django_sendcloud.tasks import sweep; sweep()")
    assert project.outbox() == 0
    assert len(project.sandbox.shipments()) == 1


def test_f30_a_page_that_misses_an_order_once_starts_no_storm(sandbox: Any, integration: Integration) -> None:
    """A list that changes while it is read can miss one: two comparisons in a row must agree."""
    from django_sendcloud.sync import reconcile

    orders = [factories.order() for _ in range(3)]
    pump()
    Shipment.objects.update(told_at=timezone.now() - dt.timedelta(hours=1))
    hidden = sandbox.shipment(str(orders[0].pk))
    sandbox.delete_shipment(hidden["shipment_uuid"])
    forget_transaction()
    assert reconcile.repair(integration, reconcile.scan(integration)) == 0
    # It is there again, as it always was.
    forget_transaction()
    factories.outbox().all().delete()
    Shipment.objects.filter(order_pk=str(orders[0].pk)).update(digest="")
    enqueue(orders[0])
    pump()
    Shipment.objects.update(told_at=timezone.now() - dt.timedelta(hours=1))
    before = sandbox.count("POST")
    forget_transaction()
    assert reconcile.repair(integration, reconcile.scan(integration)) == 0
    assert sandbox.count("POST") == before
    assert not Shipment.objects.filter(suspicion__gt=0).exists()
    assert not factories.outbox().exists()


def test_f05_f06_and_others_stand_elsewhere() -> None:
    """Every fault has a test under its number, here or beside what it is about."""
    import re
    from pathlib import Path

    root = Path(__file__).resolve().parent.parent
    found = {
        int(number)
        for path in root.rglob("test_*.py")
        for name in re.findall(r"^def (test_f\d\d\w*)", path.read_text(), re.MULTILINE)
        for number in re.findall(r"_?f(\d\d)(?=_)", name)
    }
    assert set(range(1, 33)) - found == set()
