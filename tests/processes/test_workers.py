"""The whole way of an order, with real workers and real brokers."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.project import Project, kill

BROKERS = [
    pytest.param("redis", marks=pytest.mark.services("postgresql", "redis")),
    pytest.param("rabbitmq", marks=pytest.mark.services("postgresql", "rabbitmq")),
]


@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.parametrize("broker", BROKERS)
def test_saved_order_notifies_worker_and_arrives(make_project: Callable[..., Project], broker: str, api: str) -> None:
    project = make_project("postgresql", broker, api=api)
    # Without periodic work, only the notification can start the push, and the saving process ends immediately.
    project.worker(beat=False)
    project.wait_for(lambda: "ready." in project.logs(), what="the worker's start")
    (order,) = project.place_orders(1)
    project.wait_for(lambda: project.sandbox.shipment(order), seconds=30, what="the order's arrival")
    project.wait_for(lambda: project.outbox() == 0, what="settling")


@pytest.mark.services("postgresql", "redis")
def test_f03_broker_down_leaves_delivery_to_sweep(
    make_project: Callable[..., Project],
) -> None:
    project = make_project("postgresql", "redis")
    broker_url, project.broker_url = project.broker_url, "redis://127.0.0.1:1/0"
    # No server listens at that address. Only the notifier's thread may wait for it, never the thread that saves.
    callers = project.run(
        "import socket, threading\n"
        "callers, connect = [], socket.socket.connect\n"
        "def watched(self, address):\n"
        "    callers.append(threading.current_thread().name)\n"
        "    return connect(self, address)\n"
        "socket.socket.connect = watched\n"
        "from tests import factories\n"
        "order = factories.order()\n"
        "for _ in range(20): order.save()\n"
        "import time\n"
        "end = time.monotonic() + 10\n"
        "while not callers and time.monotonic() < end: time.sleep(0.05)\n"
        "print(*sorted(set(callers)), sep=',')"
    )
    assert callers
    assert "MainThread" not in callers.split(",")
    project.broker_url = broker_url
    project.worker()
    project.wait_for(lambda: len(project.sandbox.shipments()) == 1, seconds=30, what="the sweep")


@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.services("postgresql", "redis")
def test_f05_lost_messages_are_found_by_sweep(make_project: Callable[..., Project], api: str) -> None:
    project = make_project("postgresql", "redis", api=api)
    # The process that places the orders sends its notification before it ends.
    orders = project.place_orders(3)
    project.lose_messages()
    project.worker()
    project.wait_for(lambda: project.outbox() == 0, what="the sweep")
    assert {s["external_order_id"] for s in project.sandbox.shipments()} == set(orders)


@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.services("postgresql")
@pytest.mark.exhaustive
def test_eight_concurrent_workers_send_orders_once(make_project: Callable[..., Project], api: str) -> None:
    project = make_project("postgresql", api=api, CLAIM_SIZE=100)
    orders = project.place_orders(600)
    children = [project.start(PUSH_DUE) for _ in range(8)]
    for child in children:
        assert child.wait(timeout=120) == 0, project.logs()
    # On a busy machine a lease may end before all its orders are sent: they come due after the workers have ended.
    project.push_the_rest()
    assert {s["external_order_id"] for s in project.sandbox.shipments()} == set(orders)
    pushed = [item for request in project.sandbox.requests for item in request.items]
    assert len(pushed) == 600


PUSH_DUE = "from django_sendcloud.sync.worker import push_due; push_due()"


@pytest.mark.services("postgresql", "redis")
def test_periodic_work_runs_automatically(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql", "redis")
    worker = project.worker()
    project.wait_for(lambda: "django_sendcloud.sweep" in project.logs() and "succeeded" in project.logs())
    kill(worker)


@pytest.mark.services("postgresql", "redis")
def test_rejected_order_appears_in_sendclouds_log(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql", "redis", EXCEPTION_LOGS=True)
    project.worker()
    project.run("from tests import factories; factories.order(country='XX')")
    project.wait_for(lambda: project.sandbox.connection_log, what="the entry in the log")
    assert "payload_invalid: country" in str(project.sandbox.connection_log)


@pytest.mark.services("postgresql", "redis")
def test_short_time_limits_spare_our_tasks(make_project: Callable[..., Project]) -> None:
    """The shop limits its own tasks to one second; a push to a slow Sendcloud takes longer and completes."""
    slow = {"READ_TIMEOUT_SECONDS": 8.0, "DEADLINE_SECONDS": 8.0, "LEASE_SECONDS": 20.0}
    project = make_project("postgresql", "redis", **slow)
    project.sandbox.latency = 2.5
    orders = project.place_orders(2)
    project.lose_messages()
    project.worker(options=("--time-limit", "1", "--soft-time-limit", "1"))
    project.wait_for(lambda: len(project.sandbox.shipments()) == len(orders), seconds=40, what="the sweep")
    project.wait_for(lambda: project.outbox() == 0, what="settling")
    assert project.sandbox.count("POST", "/shipments") == 1, "nobody was ended and began again"
