"""Concurrent webhooks and workers, on PostgreSQL, with real connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from django_sendcloud.webhooks import signature
from tests.project import Project

from .messages import BEGIN, HOUR, parcel, raw

SERVE = (
    "from socketserver import ThreadingMixIn\n"
    "from wsgiref.simple_server import WSGIServer, make_server\n"
    "from django.core.wsgi import get_wsgi_application\n"
    "class Server(ThreadingMixIn, WSGIServer): request_queue_size = 256; daemon_threads = True\n"
    "server = make_server('127.0.0.1', 0, get_wsgi_application(), server_class=Server)\n"
    "print('port', server.server_port, flush=True)\n"
    "server.serve_forever()\n"
)
DRAIN = "from django_sendcloud.webhooks import apply\napply.drain()"
# Drains until nothing is due: events that another worker holds are skipped, and those that fail with it come again.
DRAIN_ALL = (
    DRAIN + "\nfrom django_sendcloud.models import WebhookEvent\n"
    "while WebhookEvent.objects.filter(state__in=('received', 'applied')).exists(): apply.drain()"
)
# Five updates of each of sixty parcels, in any order.
STORE = """
import random
from django_sendcloud.models import Integration
from django_sendcloud.webhooks import inbox
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw

news = [
    parcel(status, BEGIN + n * HOUR, id=number, tracking_number="last" if status == 11 else "")
    for number in range(1, 61)
    for n, status in enumerate([1000, 3, 8, 3, 11])
]
random.Random(4).shuffle(news)
for payload in news:
    inbox.store(Integration.objects.get(), raw(payload))
"""
PARCELS = (
    "from django_sendcloud.models import Parcel, ParcelStatus, WebhookEvent\n"
    "print(WebhookEvent.objects.filter(state='processed', attempts=0, failures=0).count(), Parcel.objects.count(), "
    "Parcel.objects.filter(status_id=11, tracking_number='last').count(), ParcelStatus.objects.count())"
)
ADDRESS = "from django_sendcloud.models import Integration; print(Integration.objects.get().webhook_path())"
COUNT = (
    "from django_sendcloud.models import Parcel, ParcelStatus, WebhookEvent\n"
    "print(WebhookEvent.objects.count(), WebhookEvent.objects.filter(state='processed', attempts=0, failures=0).count(), "
    "Parcel.objects.count(), ParcelStatus.objects.count(), Parcel.objects.first().status_id)"
)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project("postgresql")


def shop(project: Project) -> str:
    """Start the shop's web server and return the address of its webhook."""
    project.start(SERVE)
    project.wait_for(lambda: "port" in project.logs(), what="the web server")
    port = project.logs().split("port", 1)[1].split()[0]
    return f"http://127.0.0.1:{port}{project.run(ADDRESS)}"


def post(address: str, body: bytes, secret: str) -> int:
    headers = {signature.HEADER: signature.sign(body, secret), "Content-Type": "application/json"}
    return requests.post(address, body, headers=headers, timeout=60).status_code


@pytest.mark.services("postgresql")
@pytest.mark.exhaustive
def test_f27_thousand_concurrent_copies_are_one_event(project: Project) -> None:
    address, body = shop(project), raw(parcel(11))
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: post(address, body, project.sandbox.secret_key), range(1000)))
    assert set(answers) == {200}
    project.run(DRAIN)
    assert project.run(COUNT).split() == ["1", "1", "1", "1", "11"]


@pytest.mark.exhaustive
@pytest.mark.services("postgresql")
def test_concurrent_workers_apply_each_event_once(project: Project) -> None:
    address = shop(project)
    bodies = [raw(parcel(status, BEGIN + n * HOUR)) for n, status in enumerate([1000, 1, 3, 5, 7, 91, 92, 11] * 10)]
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda body: post(address, body, project.sandbox.secret_key), bodies)) == {200}
    workers = [project.start(DRAIN) for _ in range(4)]
    for worker in workers:
        assert worker.wait(60) == 0, project.logs()
    assert project.run(COUNT).split() == ["80", "80", "1", "80", "11"]


@pytest.mark.parametrize(
    "database", [pytest.param(name, marks=pytest.mark.services(name)) for name in ("postgresql", "mariadb")]
)
@pytest.mark.exhaustive
def test_concurrent_workers_create_each_parcel_once(make_project: Callable[..., Project], database: str) -> None:
    """Every batch has parcels that other workers are about to make, in another order."""
    project = make_project(database)
    project.run(STORE)
    workers = [project.start(DRAIN_ALL) for _ in range(4)]
    for worker in workers:
        assert worker.wait(120) == 0, project.logs()
    assert project.run(PARCELS).split() == ["300", "60", "60", "300"]


# Orders in transit with two parcels each, whose deliveries wait in the inbox, shuffled.
DELIVERIES = """
import random
from django_sendcloud.models import Integration, Shipment
from django_sendcloud.webhooks import apply, inbox
from tests import factories
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw

integration = Integration.objects.get()
updates = []
for n in range(40):
    order = factories.order(number=f"ORD-{n}")
    Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk=str(order.pk), order_number=order.number,
        external_order_id=str(order.pk), external_shipment_id=str(order.pk), status="synced",
    )
    for number in (2 * n + 1, 2 * n + 2):
        for status, at in ((3, BEGIN), (11, BEGIN + HOUR)):
            updates.append(parcel(status, at, id=number, order_number=order.number))
random.Random(7).shuffle(updates)
for payload in updates:
    inbox.store(integration, raw(payload))
"""
FOLLOWED = """
from django_sendcloud.registry import registry
from tests.shop.models import Order

adapter = registry.for_model(Order)
type(adapter).phase_statuses = {"in_transit": "shipped", "delivered": "completed"}
"""
DRAIN_FOLLOWED = FOLLOWED + DRAIN_ALL
STATUSES = (
    "from tests.shop.models import Order\n"
    "from django_sendcloud.models import WebhookEvent\n"
    "print(Order.objects.filter(status='completed').count(), WebhookEvent.objects.exclude(state='processed').count())"
)


ISOLATION = "?options=-c%20default_transaction_isolation%3D{}"


@pytest.mark.parametrize(
    ("database", "isolation"),
    [
        pytest.param("postgresql", "", marks=pytest.mark.services("postgresql")),
        pytest.param("postgresql", "repeatable%5C%20read", marks=pytest.mark.services("postgresql")),
        pytest.param("postgresql", "serializable", marks=pytest.mark.services("postgresql")),
        pytest.param("mariadb", "", marks=pytest.mark.services("mariadb")),
    ],
)
@pytest.mark.exhaustive
def test_concurrent_workers_complete_each_order(
    make_project: Callable[..., Project], database: str, isolation: str
) -> None:
    """Two workers deliver one parcel each, and the order is not left at "shipped".

    Where the database ends transactions that conflict, they are done again, at no event's expense.
    """
    project = make_project(database)
    project.run(DELIVERIES)
    project.database_url += ISOLATION.format(isolation) if isolation else ""
    workers = [project.start(DRAIN_FOLLOWED) for _ in range(3)]
    for worker in workers:
        assert worker.wait(120) == 0, project.logs()
    assert project.run(STATUSES).split() == ["40", "0"], project.logs()
    logs = project.logs()
    assert "database error" not in logs
    assert "failed" not in logs


@pytest.mark.exhaustive
@pytest.mark.services("postgresql")
def test_worker_killed_after_commit_is_replaced(project: Project) -> None:
    """Issue 8: a worker is killed right after the inbox's commit; the next one completes all orders."""
    project.run(DELIVERIES)
    die = (
        "import os, signal\n"
        "from django_sendcloud.webhooks import follow_ups\n"
        "follow_ups.run_due = lambda *args: os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = project.start(
        DRAIN_FOLLOWED.replace(
            "from django_sendcloud.webhooks import apply\n", die + "from django_sendcloud.webhooks import apply\n", 1
        ),
    )
    assert killed.wait(60) == -9, project.logs()
    assert int(project.run(STATUSES).split()[0]) == 0
    second = project.start(DRAIN_FOLLOWED)
    assert second.wait(120) == 0, project.logs()
    assert project.run(STATUSES).split() == ["40", "0"]


POLL_ON = """
from django_sendcloud.models import Integration
from django_sendcloud.parcels import poll
from django_sendcloud.hidden import hide
from tests.webhooks.messages import BEGIN, HOUR, parcel

integration = Integration.objects.get()
import datetime as dt
for round in range(30):
    found = hide([
        parcel(91, id=number, order_number=f"ORD-{(number - 1) // 2}", tracking_number=f"poll-{round}")["parcel"]
        for number in range(80, 0, -1)
    ])
    poll._keep(integration, found, dt.datetime.fromtimestamp((BEGIN + round * 1000) / 1000, dt.UTC))
"""


@pytest.mark.services("postgresql")
@pytest.mark.exhaustive
def test_poll_and_inbox_do_not_deadlock(project: Project) -> None:
    """Issue 12: 6 of 7 rounds ended in a deadlock. Polling takes no lock of a parcel any more."""
    project.run(DELIVERIES)
    poller = project.start(POLL_ON)
    workers = [project.start(DRAIN_FOLLOWED) for _ in range(2)]
    for process in (poller, *workers):
        assert process.wait(120) == 0, project.logs()
    last = project.start(DRAIN_FOLLOWED)
    assert last.wait(60) == 0, project.logs()
    assert "deadlock" not in project.logs().lower()
    assert project.run(STATUSES).split() == ["40", "0"]
