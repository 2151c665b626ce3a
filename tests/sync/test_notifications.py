"""Rule 19: every change has a notification, for every pattern of changes."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError

from django_sendcloud import broker, tasks
from django_sendcloud.conf import conf
from django_sendcloud.core.clock import clock
from django_sendcloud.models import Account, Integration, OutboxEntry, PauseReason
from django_sendcloud.sync import limiter, slots, worker
from django_sendcloud.sync.integrations import Integrations
from django_sendcloud.sync.worker import push_due, run_in_turn, take_next_run
from tests import factories
from tests.factories import forget_transaction

Later = Callable[[float], None]


@pytest.fixture
def debounce(integration: Integration, sendcloud_settings: Any) -> float:
    # So long that a slow machine does not matter.
    sendcloud_settings(DEBOUNCE_SECONDS=60.0)
    return 60.0


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Collect the delays of the notifications that tasks request."""
    found: list[float] = []
    app = Celery("shop", broker="memory://", set_as_current=False)
    monkeypatch.setattr(broker, "celery_app", lambda: app)
    here = threading.get_ident()

    def publish(task: str, *args: Any, delay: float = 0.0) -> None:
        # The notifier's thread serves signals, not tasks.
        if threading.get_ident() == here:
            found.append(delay)

    monkeypatch.setattr(tasks, "publish", publish)
    return found


def test_first_change_does_not_wait_for_debounce(sandbox: Any, debounce: float, later: Later) -> None:
    factories.order()
    assert run_in_turn() is None
    assert len(sandbox.shipments()) == 1


@pytest.mark.parametrize("gap", [0.05, 0.5, 1.0])
@pytest.mark.long
def test_orders_in_series_are_each_pushed_immediately(sandbox: Any, debounce: float, later: Later, gap: float) -> None:
    """The second of two orders, half a second apart, once waited for the sweep."""
    for number in range(1, 6):
        forget_transaction()
        factories.order()
        run_in_turn()
        assert len(sandbox.shipments()) == number
        later(gap)


def test_change_after_push_is_debounced_and_notified(
    sandbox: Any, debounce: float, later: Later, planned: list[float]
) -> None:
    order = factories.order()
    push_due()
    for address in ("Markt 1", "Markt 2", "Markt 3"):
        forget_transaction()
        order.address = address
        order.save()
        later(0.1)
        tasks.push()
    assert sandbox.count("POST", "/shipments") == 1, "they wait for each other"
    assert len(planned) == 1
    assert 0 < planned[0] <= debounce, "and the worker comes back by then"
    later(planned[0] + 0.01)
    tasks.push()
    assert sandbox.shipment(str(order.pk))["address"] == "Markt 3"
    assert sandbox.count("POST", "/shipments") == 2


def test_retry_has_planned_notification(sandbox: Any, debounce: float, later: Later, planned: list[float]) -> None:
    factories.order()
    sandbox.fail_next(status=409)
    tasks.push()
    (delay,) = planned
    assert 0 < delay <= 5
    later(delay + 0.01)
    tasks.push()
    assert len(sandbox.shipments()) == 1
    assert planned == [delay], "nothing is left to plan a run for"


def test_quarantine_and_closed_account_have_notifications(
    sandbox: Any, debounce: float, later: Later, planned: list[float], sendcloud_settings: Any
) -> None:
    sendcloud_settings(QUARANTINE_SECONDS=60.0)
    factories.order()
    sandbox.drop_answer(after_apply=True)
    tasks.push()
    assert 59 <= planned[0] <= 300
    Account.objects.update(closed_until=clock.now() + dt.timedelta(seconds=20), closed_reason="rate_limited")
    forget_transaction()
    factories.order()
    tasks.push()
    assert 19 < planned[1] <= 20
    assert len(planned) == 2


def test_paused_integration_has_no_notification(integration: Integration, later: Later, planned: list[float]) -> None:
    factories.order()
    integration.pause(PauseReason.PERSON)
    tasks.push()
    assert planned == []


def test_notification_is_planned_once(db: None, later: Later) -> None:
    assert take_next_run(20.0)
    assert not take_next_run(20.0), "one run serves all workers"
    assert take_next_run(5.0), "an earlier one is another"
    assert not take_next_run(10.0), "it plans the next one itself"
    later(6.0)
    assert take_next_run(14.0)


def test_time_that_is_up_notifies_immediately(planned: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.jobs, "push", lambda: 0.0)
    tasks.push()
    assert planned == [0.0]


def test_eager_task_pushes_until_nothing_is_due(
    sandbox: Any, debounce: float, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Celery("eager", broker="memory://", set_as_current=False)
    app.conf.task_always_eager = True
    monkeypatch.setattr(broker, "celery_app", lambda: app)
    factories.order()
    broker.notify_workers(queue="outbox")
    assert len(sandbox.shipments()) == 1


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("redis://broker:6379/0", {"socket_timeout", "socket_connect_timeout"}),
        ("redis://one:6379/0;redis://two:6379/0", {"socket_timeout", "socket_connect_timeout"}),
        (["redis://one:6379/0", "redis://two:6379/0"], {"socket_timeout", "socket_connect_timeout"}),
        ("sentinel://one:26379;sentinel://two:26379", {"socket_timeout", "socket_connect_timeout"}),
        ("amqp://guest:guest@broker:5672//", {"read_timeout", "write_timeout"}),
        ("memory://", set()),
    ],
)
def test_broker_url_of_any_form_notifies(url: Any, options: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The notifier accepts every URL that Celery accepts, and each client has a time limit."""
    seen: list[Any] = []

    def connect(self: Any, **how: Any) -> Any:
        seen.append((dict(self.transport_options), how["max_retries"]))
        raise ConnectionError

    monkeypatch.setattr(Connection, "ensure_connection", connect)
    app = Celery("shop", broker=url, set_as_current=False)
    monkeypatch.setattr(broker, "celery_app", lambda: app)
    with pytest.raises(ConnectionError):
        broker.publish(broker.PUSH)
    ((found, tries),) = seen
    assert options <= set(found)
    assert tries == (2 if isinstance(url, list) or ";" in url else 1)


def test_second_broker_is_reached_while_first_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that refuses costs no time; one that is silent would take all of it."""
    monkeypatch.setattr(broker, "BROKER_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        app = Celery("shop", broker=f"redis://127.0.0.1:{port}/0;memory://", set_as_current=False)
        app.conf.task_default_queue = "second"
        monkeypatch.setattr(broker, "celery_app", lambda: app)
        broker.publish(broker.PUSH)
    with Connection("memory://") as connection, connection.SimpleQueue("second") as queue:
        message = queue.get(timeout=5)
        message.ack()
    assert message.headers["task"] == broker.PUSH


def test_silent_sentinel_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client would ask it four times, with pauses: 26 seconds for each message."""
    monkeypatch.setattr(broker, "BROKER_TIMEOUT", 0.2)
    asked = 0
    with socket.create_server(("127.0.0.1", 0), backlog=20) as silent:
        app = Celery("shop", broker=f"sentinel://127.0.0.1:{silent.getsockname()[1]}", set_as_current=False)
        app.conf.broker_transport_options = {"master_name": "shop", "sentinel_kwargs": {"password": "secret"}}
        monkeypatch.setattr(broker, "celery_app", lambda: app)
        with pytest.raises(OperationalError):
            broker.publish(broker.PUSH)
        silent.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while True:
                peer, _ = silent.accept()
                asked += b"secret" in peer.recv(1000)
    assert 1 <= asked <= 2, "once for each try"


def test_message_names_task_and_wants_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is published by name, so that a web process need not import the tasks."""
    app = Celery("shop", broker="memory://", set_as_current=False)
    app.conf.update(result_backend="cache+memory://", task_default_queue="notifications")
    monkeypatch.setattr(broker, "celery_app", lambda: app)
    broker.publish(broker.REPORT_EXCEPTION, 7, "gone", delay=20.0)
    with app.connection_for_read() as connection, connection.SimpleQueue("notifications") as queue:
        message = queue.get(timeout=5)
        message.ack()
    assert message.headers["task"] == tasks.report_exception.name
    assert message.headers["ignore_result"] is True
    assert message.headers["eta"]
    assert message.decode()[0] == [7, "gone"]


# -- fairness -------------------------------------------------------------------------------------------


@pytest.fixture
def second(sandbox: Any, integration: Integration) -> Integration:
    """Create an integration of another account."""
    return factories.integration(sandbox.add_integration(shop_name="Second"), account=Account.objects.create(name="b"))


@pytest.mark.long
def test_signal_goes_before_bulk_work(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any
) -> None:
    from django_sendcloud import enqueue
    from tests.shop.models import Order

    sendcloud_settings(BATCH_SIZE=10, CLAIM_SIZE=10)
    customer = factories.customer()
    Order.objects.bulk_create(Order(number=f"B-{n}", customer=customer) for n in range(50))
    enqueue(Order.objects.all())
    later(2)
    checkout = factories.order()
    push_due()
    first = next(request for request in sandbox.requests if request.method == "POST")
    assert str(checkout.pk) in {item.external_order_id for item in first.items}
    assert len(sandbox.shipments()) == 51


@pytest.mark.long
def test_claims_go_round_accounts(
    sandbox: Any, integration: Integration, second: Integration, later: Later, sendcloud_settings: Any
) -> None:
    """An account's only order does not wait behind another's backlog."""
    sendcloud_settings(BATCH_SIZE=5, CLAIM_SIZE=5)
    for _ in range(40):
        factories.order(integration=integration.pk)
    only = factories.order(integration=second.pk)
    later(2)
    # The orders are assigned to their integrations, as after a first push.
    factories.outbox().update(integration=integration)
    factories.outbox().filter(order_pk=str(only.pk)).update(integration=second)
    push_due()
    posts = [request.path for request in sandbox.requests if request.method == "POST"]
    position = next(n for n, path in enumerate(posts) if f"/{second.remote_id}/" in path)
    assert position <= 1, "the second request at the latest"


def test_order_of_closed_account_is_not_claimed(
    sandbox: Any, integration: Integration, second: Integration, later: Later
) -> None:
    for each in (integration, second):
        order = factories.order(integration=each.pk)
        factories.outbox().filter(order_pk=str(order.pk)).update(integration=each)
    later(2)
    waiting = factories.outbox().get(integration=integration)
    until = clock.now() + dt.timedelta(minutes=1)
    Account.objects.filter(pk=integration.account.pk).update(closed_until=until, closed_reason="failing")
    version = OutboxEntry.objects.get(pk=waiting.pk).stamp
    assert run_in_turn() == pytest.approx(60, abs=2)
    entry = OutboxEntry.objects.get()
    assert (entry.pk, entry.stamp, entry.lease) == (waiting.pk, version, ""), "it was not touched"
    assert len(sandbox.shipments(second.remote_id)) == 1


def test_third_process_leaves_account_to_two(sandbox: Any, integration: Integration, later: Later) -> None:
    account = integration.account
    factories.order()
    held = [slots.take(account.pk) for _ in range(slots.SLOTS)]
    assert None not in held
    assert slots.take(account.pk) is None
    wait = run_in_turn()
    assert not sandbox.requests
    assert wait is not None, "should both die, a worker comes back"
    held[0].release()
    assert run_in_turn() is None
    assert len(sandbox.shipments()) == 1


def test_slot_of_dead_process_is_taken_again(integration: Integration, later: Later) -> None:
    for _ in range(slots.SLOTS):
        slots.take(integration.account.pk)
    later(conf().DEADLINE_SECONDS + slots.MARGIN_SECONDS + 1)
    assert slots.take(integration.account.pk) is not None


@pytest.mark.long
def test_worker_ends_when_rate_is_exhausted(
    sandbox: Any, integration: Integration, later: Later, sendcloud_settings: Any
) -> None:
    """Six hundred deletions once took every process of a shop for ten minutes."""
    sendcloud_settings(BATCH_SIZE=1, UNSAFE_REQUESTS_PER_MINUTE=20, UNSAFE_BURST=4)
    for _ in range(10):
        factories.order()
    later(2)
    begin = clock.monotonic()
    wait = run_in_turn()
    assert clock.monotonic() - begin < 3, "it does not sleep through the rate"
    assert 1 < wait <= 3
    assert not OutboxEntry.objects.exclude(lease="").exists(), "it leaves nothing claimed"
    assert 0 < len(sandbox.shipments()) < 10


def test_person_gets_turn_while_workers_wait(integration: Integration, settings: Any, later: Later) -> None:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "UNSAFE_REQUESTS_PER_MINUTE": 85, "UNSAFE_BURST": 15}
    while limiter.ask(integration, "unsafe") == 0:
        pass
    assert limiter.acquire(integration.account.pk, "unsafe") == 0
    assert limiter.ask(integration, "unsafe") > 0
    limiter.wait_for_turn(integration.account.pk, "unsafe", 3.0)


@pytest.mark.long
def test_deletions_get_their_share_in_short_runs(
    integration: Integration, sandbox: Any, sendcloud_settings: Any
) -> None:
    """A run in turn may end after one request: a fifth of all are deletions, not half."""
    orders = [factories.order() for _ in range(20)]
    push_due()
    forget_transaction()
    for order in orders:
        order.delete()
    for _ in range(40):
        factories.order()
    sendcloud_settings(DEBOUNCE_SECONDS=0, CLAIM_SIZE=1, BATCH_SIZE=1, UNSAFE_REQUESTS_PER_MINUTE=1e6, UNSAFE_BURST=100)
    factories.outbox().update(due_at=clock.now(), not_before=clock.now())
    before = sandbox.count("POST", "/shipments/delete")
    sent = len(sandbox.requests)
    for _ in range(25):
        run = worker._Run(10.0, wait_budget=1.0, in_turn=True)
        with run.session:
            run.integrations = Integrations()
            assert run._serve()
    assert len(sandbox.requests) - sent == 25
    assert sandbox.count("POST", "/shipments/delete") - before == 5
