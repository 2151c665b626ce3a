"""Many at once, on PostgreSQL, with real connections."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from django_sendcloud.webhooks import signature
from tests.processes.conftest import Project
from tests.processes.conftest import make_project as make_project  # a fixture

from .messages import BEGIN, HOUR, parcel, raw

SERVE = (
    "import sys, django; django.setup()\n"
    "from socketserver import ThreadingMixIn\n"
    "from wsgiref.simple_server import WSGIServer, make_server\n"
    "from django.core.wsgi import get_wsgi_application\n"
    "class Server(ThreadingMixIn, WSGIServer): request_queue_size = 256; daemon_threads = True\n"
    "server = make_server('127.0.0.1', 0, get_wsgi_application(), server_class=Server)\n"
    "print('port', server.server_port, flush=True)\n"
    "server.serve_forever()\n"
)
DRAIN = "import django; django.setup()\nfrom django_sendcloud.webhooks import apply\napply.drain()"
# As often as anything is due: what another worker holds is skipped, and what failed with it comes again.
DRAIN_ALL = (
    DRAIN + "\nfrom django_sendcloud.models import WebhookEvent\n"
    "while WebhookEvent.objects.filter(state='received').exists(): apply.drain()"
)
# Five news of each of sixty parcels, in any order.
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
    "print(WebhookEvent.objects.filter(state='processed', attempts=1).count(), Parcel.objects.count(), "
    "Parcel.objects.filter(status_id=11, tracking_number='last').count(), ParcelStatus.objects.count())"
)
ADDRESS = "from django_sendcloud.models import Integration; print(Integration.objects.get().webhook_path())"
COUNT = (
    "from django_sendcloud.models import Parcel, ParcelStatus, WebhookEvent\n"
    "print(WebhookEvent.objects.count(), WebhookEvent.objects.filter(state='processed', attempts=1).count(), "
    "Parcel.objects.count(), ParcelStatus.objects.count(), Parcel.objects.first().status_id)"
)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project("postgresql")


def shop(project: Project) -> str:
    """Start the shop's web server; returns the address of its webhook."""
    project.start("-c", SERVE)
    project.wait_for(lambda: "port" in project.logs(), what="the web server")
    port = project.logs().split("port", 1)[1].split()[0]
    return f"http://127.0.0.1:{port}{project.run(ADDRESS)}"


def post(address: str, body: bytes, secret: str) -> int:
    headers = {signature.HEADER: signature.sign(body, secret), "Content-Type": "application/json"}
    return requests.post(address, body, headers=headers, timeout=60).status_code


@pytest.mark.services("postgresql")
def test_f27_a_thousand_copies_at_once_are_one_event_with_one_effect(project: Project) -> None:
    address, body = shop(project), raw(parcel(11))
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: post(address, body, project.sandbox.secret_key), range(1000)))
    assert set(answers) == {200}
    project.run(DRAIN)
    assert project.run(COUNT).split() == ["1", "1", "1", "1", "11"]


@pytest.mark.services("postgresql")
def test_workers_side_by_side_apply_each_event_once(project: Project) -> None:
    address = shop(project)
    bodies = [raw(parcel(status, BEGIN + n * HOUR)) for n, status in enumerate([1000, 1, 3, 5, 7, 91, 92, 11] * 10)]
    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(lambda body: post(address, body, project.sandbox.secret_key), bodies)) == {200}
    workers = [project.start("-c", DRAIN) for _ in range(4)]
    for worker in workers:
        assert worker.wait(60) == 0, project.logs()
    assert project.run(COUNT).split() == ["80", "80", "1", "80", "11"]


@pytest.mark.parametrize(
    "database", [pytest.param(name, marks=pytest.mark.services(name)) for name in ("postgresql", "mariadb")]
)
def test_workers_side_by_side_make_each_new_parcel_once(make_project: Callable[..., Project], database: str) -> None:
    """Every batch has parcels that others are about to make, in another order."""
    project = make_project(database)
    project.run(STORE)
    workers = [project.start("-c", DRAIN_ALL) for _ in range(4)]
    for worker in workers:
        assert worker.wait(120) == 0, project.logs()
    assert project.run(PARCELS).split() == ["300", "60", "60", "300"]
