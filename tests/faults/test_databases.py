"""F21: databases that crash, fail for a moment, or lend their connections by the transaction."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.databases import migrate
from tests.servers import PrivatePostgres, pgbouncer, private


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    with private("postgresql") as server:
        migrate(server.url)
        yield server


# A shop in use: visitors place, change and cancel orders; after a failed request a visitor tries another.
SHOP = """
import pathlib, random, time
from django.db import Error, close_old_connections, transaction
from tests import factories
from tests.shop.models import Order
chance, placed, closing = random.Random(7), [], pathlib.Path({closing!r})
while not closing.exists():
    try:
        with transaction.atomic():
            if len(placed) < 5 or chance.random() < 0.4:
                placed.append(factories.order(number=str(time.time_ns())).pk)
            else:
                order = Order.objects.get(pk=chance.choice(placed))
                order.address = f"Street {{chance.randrange(1000)}}"
                order.status = chance.choice(["paid", "paid", "paid", "cancelled"])
                order.save()
        print("committed", flush=True)
    except (Error, Order.DoesNotExist):
        print("failed", flush=True)
        time.sleep(0.1)
        close_old_connections()
    time.sleep(0.02)
"""

WORKER = """
import time
from django.db import Error, close_old_connections
from django_sendcloud.sync.worker import push_due
while True:
    close_old_connections()
    push_due(1.0)
    time.sleep(0.1)
"""

# The shop's side: the address of each order that is to be shipped.
HERE = """
import json
from tests.shop.models import Order
orders = Order.objects.exclude(status="cancelled").values_list("pk", "address")
print(json.dumps({str(pk): address for pk, address in orders}))
"""


class Visitors:
    """A process that places and changes orders until the shop closes."""

    def __init__(self, project: Any, **environment: str) -> None:
        self.project = project
        self._closing = project.folder / f"closing-{uuid.uuid4().hex[:8]}"
        self._process = project.start(SHOP.format(closing=str(self._closing)), **environment)

    def count(self, word: str) -> int:
        """Return the number of this process's transactions that are ``committed`` or ``failed``."""
        log = self._process.log
        # The process makes it when it starts.
        return log.read_text().count(word) if log.exists() else 0

    def go_on(self, word: str, count: int) -> None:
        """Wait until this many more transactions are ``committed`` or ``failed``."""
        before = self.count(word)
        self.project.wait_for(lambda: self.count(word) >= before + count, what=f"{count} more: {word}")

    def close(self) -> None:
        """Let the process end."""
        self._closing.touch()
        assert self._process.wait(60) == 0, self.project.logs()


def assert_equal_in_the_end(project: Any) -> None:
    project.wait_for(lambda: project.outbox() == 0, seconds=90, what="an empty outbox")
    here = json.loads(project.run(HERE))
    assert len(here) > 10, "the shop had next to nothing to do"
    assert {s["external_order_id"]: s["address"] for s in project.sandbox.shipments()} == here


@pytest.mark.exhaustive
@pytest.mark.services("postgresql", "redis")
def test_f21_crashing_database_loses_nothing(make_project: Callable[..., Any], postgres: PrivatePostgres) -> None:
    """The database crashes three times under load; a real worker continues without help."""
    project = make_project("postgresql", "redis", url=postgres.url)
    project.worker()
    visitors = Visitors(project)
    for _ in range(3):
        visitors.go_on("committed", 30)
        postgres.crash()
        visitors.go_on("failed", 5)
        postgres.start()
    visitors.go_on("committed", 30)
    visitors.close()
    assert_equal_in_the_end(project)


@pytest.mark.exhaustive
@pytest.mark.services("postgresql")
def test_f21_serialization_failures_are_retried(make_project: Callable[..., Any]) -> None:
    """With ``SERIALIZABLE`` the database aborts transactions that conflict; two workers conflict often."""
    project = make_project("postgresql")
    project.database_url += "?options=-c%20default_transaction_isolation%3Dserializable"
    assert project.run("from django.db import connection as c\nwith c.cursor() as k:\n k.execute('SHOW transaction_isolation'); print(k.fetchone()[0])") == "serializable"  # fmt: skip
    workers = [project.start(WORKER) for _ in range(2)]
    visitors = Visitors(project)
    visitors.go_on("committed", 150)
    visitors.close()
    assert_equal_in_the_end(project)
    assert [worker.poll() for worker in workers] == [None, None], project.logs()


@pytest.mark.services("postgresql")
def test_f21_transaction_pooling_loses_nothing(make_project: Callable[..., Any]) -> None:
    """Behind PgBouncer a session keeps nothing, so no statement may rely on the one before it."""
    project = make_project("postgresql")
    with pgbouncer(project.database_url) as project.database_url:
        # Django's documentation requires this for pooling by the transaction.
        environment = {"TEST_DISABLE_SERVER_SIDE_CURSORS": "1"}
        workers = [project.start(WORKER, **environment) for _ in range(2)]
        shops = [Visitors(project, **environment) for _ in range(2)]
        project.run(
            "from django_sendcloud import enqueue\nfrom tests.shop.models import Order\n"
            "for _ in range(20): enqueue(Order.objects.all())",
            **environment,
        )
        for visitors in shops:
            visitors.go_on("committed", 60)
            visitors.close()
        assert_equal_in_the_end(project)
        assert [worker.poll() for worker in workers] == [None, None], project.logs()
        project.stop()
