"""The whole way with real workers and real brokers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from .conftest import Project, kill

BROKERS = [
    pytest.param("redis", marks=pytest.mark.services("postgresql", "redis")),
    pytest.param("rabbitmq", marks=pytest.mark.services("postgresql", "rabbitmq")),
]


@pytest.mark.parametrize("broker", BROKERS)
def test_a_saved_order_wakes_a_worker_and_arrives(make_project: Callable[..., Project], broker: str) -> None:
    project = make_project("postgresql", broker)
    # No periodic work: only the wake-up can do it, though the process that saves ends at once.
    project.worker(beat=False)
    project.wait_for(lambda: "ready." in project.logs(), what="the worker's start")
    (order,) = project.place_orders(1)
    project.wait_for(lambda: project.sandbox.shipment(order), seconds=30, what="the order's arrival")
    project.wait_for(lambda: project.outbox() == 0, what="settling")


@pytest.mark.services("postgresql", "redis")
def test_f03_with_the_broker_down_saving_does_not_wait_and_the_sweep_delivers(
    make_project: Callable[..., Project],
) -> None:
    project = make_project("postgresql", "redis")
    project.broker_url = "redis://127.0.0.1:1/0"
    # Nobody listens there: whoever waits for it is to be the doorbell's thread, never the one that saves.
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
    from tests import services

    project.broker_url = services.URLS["redis"]
    project.worker()
    project.wait_for(lambda: len(project.sandbox.shipments()) == 1, seconds=30, what="the sweep")


@pytest.mark.services("postgresql", "redis")
def test_f05_what_is_lost_with_the_broker_is_found_by_the_sweep(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql", "redis")
    orders = project.place_orders(3)
    time.sleep(0.5)
    import redis

    redis.Redis.from_url(project.broker_url).flushdb()
    project.worker()
    project.wait_for(lambda: project.outbox() == 0, what="the sweep")
    assert {s["external_order_id"] for s in project.sandbox.shipments()} == set(orders)


@pytest.mark.services("postgresql")
def test_eight_workers_at_once_send_every_order_once(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql")
    project.settings["CLAIM_SIZE"] = 100
    orders = project.place_orders(600)
    children = [project.start("-c", PUMP) for _ in range(8)]
    for child in children:
        assert child.wait(timeout=120) == 0, project.logs()
    # What a lease left no time for, on a machine that is busy, is due a moment later, when nobody looks any more.
    project.push_the_rest()
    assert {s["external_order_id"] for s in project.sandbox.shipments()} == set(orders)
    told = [item for request in project.sandbox.requests for item in request.items]
    assert len(told) == 600


PUMP = "import django; django.setup()\nfrom django_sendcloud.sync.pump import pump\npump()"


@pytest.mark.services("postgresql", "redis")
def test_the_periodic_work_runs_by_itself(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql", "redis")
    worker = project.worker()
    project.wait_for(lambda: "django_sendcloud.sweep" in project.logs() and "succeeded" in project.logs())
    kill(worker)


@pytest.mark.services("postgresql", "redis")
def test_a_failure_of_the_shops_side_is_written_to_sendclouds_log(make_project: Callable[..., Project]) -> None:
    project = make_project("postgresql", "redis")
    project.settings["EXCEPTION_LOGS"] = True
    project.worker()
    project.run("from tests import factories; factories.order(country='XX')")
    project.wait_for(lambda: project.sandbox.connection_log, what="the entry in the log")
    assert "payload_invalid: country" in str(project.sandbox.connection_log)


@pytest.mark.services("postgresql", "redis")
def test_a_workers_short_time_limits_do_not_end_our_tasks(make_project: Callable[..., Project]) -> None:
    """The shop's own tasks may end after a second; what waits for a slow Sendcloud takes longer, and is done."""
    project = make_project("postgresql", "redis")
    project.settings |= {"READ_TIMEOUT_SECONDS": 8.0, "DEADLINE_SECONDS": 8.0, "LEASE_SECONDS": 20.0}
    project.sandbox.latency = 2.5
    orders = project.place_orders(2)
    import redis

    redis.Redis.from_url(project.broker_url).flushdb()
    project.worker(options=("--time-limit", "1", "--soft-time-limit", "1"))
    project.wait_for(lambda: len(project.sandbox.shipments()) == len(orders), seconds=40, what="the sweep")
    project.wait_for(lambda: project.outbox() == 0, what="settling")
    assert project.sandbox.count("POST", "/shipments") == 1, "nobody was ended and began again"
