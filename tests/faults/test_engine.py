"""Faults that the engine survives, numbered as in docs/faults.md. Other faults are tested beside their code (``test_f…``)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from django_sendcloud import enqueue
from django_sendcloud.core.clock import clock
from django_sendcloud.models import Account, EntryState, Integration, Shipment
from django_sendcloud.sync import breaker, drift
from django_sendcloud.sync.backends import BACKENDS, Backend
from django_sendcloud.sync.claim import claim, dead_letter_exhausted
from django_sendcloud.sync.fold import fold_all
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order

pytestmark = pytest.mark.long


@pytest.fixture(params=["v2", "v3"])
def generation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def upserts(sandbox: Any) -> int:
    """Return the number of upserts, of either generation."""
    return int(sandbox.count("POST", "/shipments") + sandbox.count("POST", "/orders"))


def at_sendcloud(sandbox: Any) -> set[str]:
    return {shipment["external_order_id"] for shipment in sandbox.shipments()}


@pytest.mark.long
def test_f07_saves_in_one_transaction_are_one_request(
    sandbox: Any, transactional_db: None, sendcloud_settings: Any, generation: str
) -> None:
    factories.integration(sandbox, api_generation=generation)
    order = factories.order()
    with transaction.atomic():
        for number in range(300):
            order.address = f"Markt {number}"
            order.save()
    push_due()
    assert upserts(sandbox) == 1
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 299"


@pytest.mark.long
def test_f07_transactions_during_one_push_are_two_requests(
    sandbox: Any, transactional_db: None, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch, generation: str
) -> None:
    factories.integration(sandbox, api_generation=generation)
    order = factories.order()
    backend = BACKENDS[generation]
    upsert = backend.upsert

    def save_then_send(self: Backend, items: Any) -> Any:
        monkeypatch.setattr(backend, "upsert", upsert)
        for number in range(300):
            with transaction.atomic():
                order.address = f"Markt {number}"
                order.save()
        return upsert(self, items)

    monkeypatch.setattr(backend, "upsert", save_then_send)
    push_due()
    assert upserts(sandbox) == 2
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 299"


def test_f09_deletion_waits_for_the_upserts_quarantine(
    sandbox: Any, integration: Integration, sendcloud_settings: Any, later: Callable[[float], None]
) -> None:
    sendcloud_settings(QUARANTINE_SECONDS=60.0)
    order = factories.order()
    sandbox.drop_answer(times=1, after_apply=True)
    push_due()
    forget_transaction()
    order.delete()
    later(30)
    push_due()
    assert sandbox.count(path="/shipments/delete") + sandbox.count("DELETE") == 0
    later(31)
    push_due()
    assert sandbox.shipments() == []
    assert not factories.outbox().exists()


def test_f15_order_killing_workers_ends_alone_and_dead(
    sandbox: Any, integration: Integration, later: Callable[[float], None], settings: Any
) -> None:
    """The order is claimed three times with others, then alone, and is dead after eight; the others go out meanwhile."""
    orders = [factories.order() for _ in range(5)]
    poison = str(orders[2].pk)
    claims: list[int] = []
    fold_all()
    for _ in range(40):
        taken = claim(500)
        pks = [entry.order_pk for entry in taken.entries]
        if poison in pks:
            claims.append(len(pks))  # its worker dies here and settles nothing
        elif pks:
            factories.outbox().filter(order_pk__in=pks).delete()
        later(200)
    assert len(claims) == 8
    assert claims[0] == 5
    assert set(claims[3:]) == {1}, "alone after three"
    dead_letter_exhausted()
    entry = factories.outbox().get()
    assert (entry.order_pk, entry.state, entry.error_code) == (poison, EntryState.DEAD, "worker_died")
    # A change requeues the order.
    forget_transaction()
    orders[2].save()
    assert factories.outbox().get().state == EntryState.PENDING


@pytest.mark.long
@pytest.mark.parametrize("retry_after", [None, "date", "-5", "1e9", "60"])
def test_f16_storm_of_429_costs_no_attempts(
    sandbox: Any, integration: Integration, later: Callable[[float], None], retry_after: str | None
) -> None:
    """Sendcloud answers 429 for ten minutes, with any ``Retry-After``; afterwards all orders go out."""
    for _ in range(3):
        factories.order()
    if retry_after == "date":
        at = timezone.now() + dt.timedelta(minutes=2)
        retry_after = at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"Retry-After": retry_after} if retry_after else {}
    sandbox.fail_next(status=429, times=1000, headers=headers)
    for _ in range(120):
        push_due()
        later(5)
    assert 1 <= len(sandbox.requests) <= 11
    assert set(factories.outbox().values_list("attempts", "failures", "state")) == {(0, 0, EntryState.PENDING)}
    sandbox.clear_faults()
    later(3600)
    push_due()
    assert len(sandbox.shipments()) == 3


@pytest.mark.long
def test_f18_two_hours_of_500_cost_only_probes(
    sandbox: Any, integration: Integration, later: Callable[[float], None]
) -> None:
    for _ in range(150):
        factories.order(lines=0)
    sandbox.fail_next(status=503, times=100_000)
    for _ in range(2 * 60 * 4):
        push_due()
        later(15)
    sent = len(sandbox.requests)
    # Five requests open the breaker; then come the first, shorter pauses, and later one probe in five minutes at most.
    assert 20 <= sent <= 5 + 4 + 24 + 2
    assert all(len(request.body) == 1 for request in sandbox.requests[10:])
    assert not factories.outbox().filter(state=EntryState.DEAD).exists()
    sandbox.clear_faults()
    for _ in range(120):
        push_due()
        later(15)
    assert len(sandbox.shipments()) == 150
    assert not factories.outbox().exists()
    assert Account.objects.get().openings == 0


def test_f18_half_of_twenty_failures_close_account(db: None, later: Callable[[float], None]) -> None:
    account = Account.objects.create(name="shaky")
    closed = [breaker.failed(account) if number % 2 else breaker.succeeded(account) for number in range(20)]
    assert closed.index(True) > 10
    assert breaker.closed_until(account, clock.now()) is not None


def test_f18_quarter_of_requests_failing_changes_nothing(db: None, later: Callable[[float], None]) -> None:
    account = Account.objects.create(name="shaky")
    for number in range(100):
        assert not (breaker.succeeded(account) if number % 4 else breaker.failed(account))


@pytest.mark.long
def test_f20_integration_with_revoked_keys_resumes_automatically(
    sandbox: Any, integration: Integration, later: Callable[[float], None]
) -> None:
    from django_sendcloud.signals import integration_paused
    from django_sendcloud.sync.probe import probe_paused

    reasons: list[str] = []

    def note(reason: str, **kwargs: Any) -> None:
        reasons.append(reason)

    integration_paused.connect(note)
    try:
        for _ in range(3):
            factories.order()
        sandbox.revoke_credentials()
        for _ in range(24 * 12):
            push_due()
            probe_paused()
            later(300)
    finally:
        integration_paused.disconnect(note)
    assert reasons == ["credentials"], "sent once"
    assert len(sandbox.requests) <= 1 + 24 * 12, "at most one probe in five minutes"
    assert set(factories.outbox().values_list("attempts", "failures", "state")) == {(0, 0, EntryState.PENDING)}
    sandbox.restore_credentials()
    later(301)
    probe_paused()
    push_due()
    assert len(sandbox.shipments()) == 3


def test_f23_orders_written_without_signals_are_found(
    sandbox: Any, integration: Integration, later: Callable[[float], None]
) -> None:
    """``bulk_create`` and ``update`` send no signals: ``enqueue`` records these orders, and drift finds the rest."""
    customer = factories.customer()
    Order.objects.bulk_create(Order(number=str(number), customer=customer) for number in range(3))
    assert not factories.outbox().exists()
    later(1000)
    drift.scan()
    later(1)
    push_due()
    assert len(sandbox.shipments()) == 3
    forget_transaction()
    Order.objects.update(address="Markt 1", modified=clock.now())
    assert not factories.outbox().exists()
    later(1000)
    drift.scan()
    later(1)
    push_due()
    assert {shipment["address"] for shipment in sandbox.shipments()} == {"Markt 1"}
    forget_transaction()
    Order.objects.update(address="Markt 2")  # the modification time stays, so drift cannot see it
    enqueue(Order.objects.all())
    later(1)
    push_due()
    assert {shipment["address"] for shipment in sandbox.shipments()} == {"Markt 2"}


@pytest.mark.long
def test_f24_deletions_and_upserts_starve_neither(
    sandbox: Any, integration: Integration, sendcloud_settings: Any
) -> None:
    """Each deletion costs a request: while both kinds wait, about one request in five is a deletion."""
    gone = [factories.order(lines=0) for _ in range(120)]
    push_due()
    forget_transaction()
    for order in gone:
        order.delete()
    new = [factories.order(lines=0) for _ in range(600)]
    sendcloud_settings(BATCH_SIZE=5, CLAIM_SIZE=50)
    before = len(sandbox.requests)
    factories.outbox().update(due_at=timezone.now() - dt.timedelta(minutes=1))
    push_due()
    writes = [request for request in sandbox.requests[before:] if request.method != "GET"]
    kinds = [request.method == "DELETE" or request.path.endswith("/delete") for request in writes]
    assert at_sendcloud(sandbox) == {str(order.pk) for order in new}
    last_upsert = max(index for index, deletion in enumerate(kinds) if not deletion)
    both = kinds[: last_upsert + 1]
    assert 0.1 <= sum(both) / len(both) <= 0.35
    # Neither kind waits until the other is done.
    assert any(both[: len(both) // 2])
    assert not all(both[: len(both) // 2])


@pytest.mark.services("postgresql")
def test_f22_long_shop_transaction_delays_no_order(make_project: Callable[..., Any]) -> None:
    project = make_project("postgresql", DEBOUNCE_SECONDS=0)
    held, *_ = project.place_orders(10)
    release = project.folder / "release"
    shop = project.start(
        f"""
import pathlib, time
from django.db import transaction
from tests.shop.models import Order
with transaction.atomic():
    order = Order.objects.get(pk="{held}")
    order.address = "Markt 7"
    order.save()
    print("recorded", flush=True)
    while not pathlib.Path({str(release)!r}).exists():
        time.sleep(0.01)
"""
    )
    project.wait_for(lambda: "recorded" in project.logs(), what="the open transaction")
    project.run("from django_sendcloud.sync.worker import push_due; push_due()")
    assert len(project.sandbox.shipments()) == 10
    assert project.outbox() == 0
    release.touch()
    assert shop.wait(60) == 0, project.logs()
    project.run("from django_sendcloud.sync.worker import push_due; push_due()")
    assert project.outbox() == 0
    assert [s["address"] for s in project.sandbox.shipments() if s["external_order_id"] == held] == ["Markt 7"]


@pytest.mark.services("postgresql")
def test_f22_save_does_not_wait_for_claimed_entry(make_project: Callable[..., Any]) -> None:
    """The shop saves an order while a worker locks its entry; its lock timeout leaves no time to wait."""
    project = make_project("postgresql", DEBOUNCE_SECONDS=0)
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
def test_f22_order_locked_while_settling_delays_no_other(make_project: Callable[..., Any]) -> None:
    project = make_project("postgresql", DEBOUNCE_SECONDS=0)
    held, *others = project.place_orders(10)
    project.run(
        f"""
from django.db import connection
import os, psycopg
from django_sendcloud.sync import worker
from django_sendcloud.sync.push import ledger
original, shop = ledger.settle, psycopg.connect(os.environ["TEST_DATABASE_URL"])
def hold(*args):
    ledger.settle = original
    shop.execute("UPDATE django_sendcloud_outboxentry SET version = version + 1 WHERE order_pk = {held!r}")
    return original(*args)
ledger.settle = hold
with connection.cursor() as cursor:
    # The worker fails instead of waiting for the lock forever.
    cursor.execute("SET lock_timeout = '2s'")
worker.push_due()
shop.commit()
"""
    )
    assert project.outbox() == 1, "the others are settled"
    assert len(project.sandbox.shipments()) == 10
    # Once after the lease, and once after the quarantine.
    for _ in range(2):
        project.make_due()
        project.run("from django_sendcloud.sync.worker import push_due; push_due()")
    assert project.outbox() == 0
    assert len(project.sandbox.shipments()) == 1 + len(others)


@pytest.mark.services("postgresql")
@pytest.mark.parametrize("step", ["pipeline.plan_orders", "ledger.settle"])
def test_f21_lost_connection_costs_at_most_a_lease(make_project: Callable[..., Any], step: str) -> None:
    """The server ends the worker's connection, as a restart would, before the worker plans or when it settles."""
    project = make_project("postgresql", DEBOUNCE_SECONDS=0)
    orders = project.place_orders(5)
    project.run(
        f"""
from django.db import connection
import psycopg, os
from django_sendcloud.sync import worker
from django_sendcloud.sync.push import ledger, pipeline
original = {step}
def hang_up(*args):
    {step} = original
    with psycopg.connect(os.environ["TEST_DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
    return original(*args)
{step} = hang_up
worker.push_due()
""",
        check=False,
    )
    # Once after the lease, and once after the quarantine.
    for _ in range(2):
        project.make_due()
        project.run("from django_sendcloud.sync.worker import push_due; push_due()")
    assert project.outbox() == 0
    assert sorted(s["external_order_id"] for s in project.sandbox.shipments()) == sorted(orders)


@pytest.mark.services("postgresql")
def test_f21_deadlock_is_retried(make_project: Callable[..., Any]) -> None:
    project = make_project("postgresql", DEBOUNCE_SECONDS=0)
    orders = project.place_orders(3)
    said = project.run(
        """
from django.db import OperationalError
from django_sendcloud.sync import worker
from django_sendcloud.sync.push import settle
original, tries = settle._write, []
def deadlock(*args):
    tries.append(1)
    if len(tries) < 3:
        raise OperationalError("deadlock detected")
    return original(*args)
settle._write = deadlock
worker.push_due()
print(len(tries))
"""
    )
    assert int(said) >= 3
    assert project.outbox() == 0
    assert len(project.sandbox.shipments()) == len(orders)
    assert project.sandbox.count("POST", "/shipments") == 1


PUSH_DUE = "from django_sendcloud.sync.worker import push_due; push_due()"


@pytest.mark.services("postgresql")
def test_f12_worker_stopped_past_its_lease_sends_nothing(make_project: Callable[..., Any]) -> None:
    """A worker stopped between claim and request for longer than its lease leaves the order to its new owner."""
    import signal

    project = make_project("postgresql", DEBOUNCE_SECONDS=0)
    asleep = project.settings["LEASE_SECONDS"] + project.settings["QUARANTINE_SECONDS"]
    (order,) = project.place_orders(1)
    zombie = project.start(
        f"""
import os, signal
from django_sendcloud.core.clock import clock
from django_sendcloud.sync import worker
from django_sendcloud.sync.push import pipeline
original, steady = pipeline.plan_orders, clock.monotonic
def stop(*args):
    plans = original(*args)
    os.kill(os.getpid(), signal.SIGSTOP)
    # Its clock shows how long it was stopped.
    clock.monotonic = lambda: steady() + {asleep}
    return plans
pipeline.plan_orders = stop
worker.push_due(0.1)
print("awake")
"""
    )
    project.wait_for(lambda: stopped(zombie.pid), what="the worker's sleep")
    assert project.sandbox.count("POST") == 0
    # Meanwhile its lease and the quarantine end, the order changes, and its new owner sends it.
    project.make_due()
    project.run(
        f"from tests.shop.models import Order; o = Order.objects.get(pk={order!r}); o.address = 'New 1'; o.save()\n"
        "from django_sendcloud.sync.worker import push_due; push_due()"
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
def test_f17_workers_together_keep_the_accounts_rate(make_project: Callable[..., Any]) -> None:
    """No window has more requests than the limit: all workers share one row, in the database's time.

    Sixty seconds are scaled down to three: 85 requests a minute with a burst of 15 become 1,700 a minute with 15.
    """
    limits = {"UNSAFE_REQUESTS_PER_MINUTE": 1700, "UNSAFE_BURST": 15, "BATCH_SIZE": 1, "CLAIM_SIZE": 10}
    project = make_project("postgresql", DEBOUNCE_SECONDS=0, **limits)
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
    children = [project.start(PUSH_DUE) for _ in range(8)]
    for child in children:
        assert child.wait(timeout=120) == 0, project.logs()
    # Entries the last worker had no time for are due a moment later, when no worker is left.
    project.push_the_rest()
    times = sorted(request.time for request in project.sandbox.requests if request.method == "POST")
    assert len(times) == 270
    window = 3.0
    # A request arrives a little after it was allowed, so the window is shorter by that delay.
    most = max(sum(1 for other in times if at <= other < at + window - 0.2) for at in times)
    assert most <= 100


@pytest.mark.services("postgresql")
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_f01_web_process_killed_after_commit_loses_nothing(make_project: Callable[..., Any], database: str) -> None:
    project = make_project(database, DEBOUNCE_SECONDS=0)
    project.run(
        "import os, signal\nfrom django.db import transaction\nfrom tests import factories\n"
        "with transaction.atomic():\n"
        "    transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
        "    factories.order()\n",
        check=False,
    )
    assert project.outbox() == 1
    project.run("from django_sendcloud.tasks import sweep; sweep()")
    assert project.outbox() == 0
    assert len(project.sandbox.shipments()) == 1


def test_f30_order_missing_once_is_not_repaired(sandbox: Any, integration: Integration) -> None:
    """A list that changes while it is read can miss an order, so two comparisons in a row must agree."""
    from django_sendcloud.sync import reconcile

    orders = [factories.order() for _ in range(3)]
    push_due()
    Shipment.objects.update(last_pushed_at=timezone.now() - dt.timedelta(hours=1))
    hidden = sandbox.shipment(str(orders[0].pk))
    sandbox.delete_shipment(hidden["shipment_uuid"])
    forget_transaction()
    assert reconcile.repair(integration, reconcile.compare(integration)) == 0
    # The next list has the order again.
    forget_transaction()
    factories.outbox().all().delete()
    Shipment.objects.filter(order_pk=str(orders[0].pk)).update(digest="")
    enqueue(orders[0])
    push_due()
    Shipment.objects.update(last_pushed_at=timezone.now() - dt.timedelta(hours=1))
    before = sandbox.count("POST")
    forget_transaction()
    assert reconcile.repair(integration, reconcile.compare(integration)) == 0
    assert sandbox.count("POST") == before
    assert not Shipment.objects.filter(mismatches__gt=0).exists()
    assert not factories.outbox().exists()
