"""F21: databases that crash, refuse for the moment, or are shared out by the transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.servers import PrivatePostgres, pgbouncer, private


@pytest.fixture
def postgres() -> Iterator[PrivatePostgres]:
    with private("postgresql") as server:
        yield server


# A shop that goes on: orders are placed, changed and cancelled, and a visitor whose request fails tries another.
SHOP = """
import random, time
from django.db import Error, close_old_connections, transaction
from tests import factories
from tests.shop.models import Order
chance, end, placed = random.Random(7), time.monotonic() + {seconds}, []
while time.monotonic() < end:
    try:
        with transaction.atomic():
            if len(placed) < 5 or chance.random() < 0.4:
                placed.append(factories.order(number=str(time.time_ns())).pk)
            else:
                order = Order.objects.get(pk=chance.choice(placed))
                order.address = f"Street {{chance.randrange(1000)}}"
                order.status = chance.choice(["paid", "paid", "paid", "cancelled"])
                order.save()
    except (Error, Order.DoesNotExist):
        time.sleep(0.1)
        close_old_connections()
    time.sleep(0.02)
"""

PUMP = """
import time
from django.db import Error, close_old_connections
from django_sendcloud.sync.pump import pump
while True:
    close_old_connections()
    pump(1.0)
    time.sleep(0.1)
"""

# What both sides have: address by order, of those that are to be shipped.
HERE = """
import json
from tests.shop.models import Order
orders = Order.objects.exclude(status="cancelled").values_list("pk", "address")
print(json.dumps({str(pk): address for pk, address in orders}))
"""


def start_shop(project: Any, seconds: float) -> Any:
    return project.start("-c", "import django; django.setup()\n" + SHOP.format(seconds=seconds))


def assert_equal_in_the_end(project: Any) -> None:
    project.wait_for(lambda: project.outbox() == 0, seconds=90, what="an empty outbox")
    here = json.loads(project.run(HERE))
    assert len(here) > 10, "the shop had next to nothing to do"
    assert {s["external_order_id"]: s["address"] for s in project.sandbox.shipments()} == here


@pytest.mark.services("postgresql", "redis")
def test_f21_a_database_that_crashes_loses_nothing(make_project: Callable[..., Any], postgres: PrivatePostgres) -> None:
    """Three times in the middle of everything, for a second each; a real worker goes on by itself."""
    project = make_project("postgresql", "redis", url=postgres.url)
    project.worker()
    shop = start_shop(project, seconds=9)
    for _ in range(3):
        time.sleep(2)
        postgres.crash()
        time.sleep(1)
        postgres.start()
    assert shop.wait(60) == 0, project.logs()
    assert_equal_in_the_end(project)


@pytest.mark.services("postgresql")
def test_f21_transactions_that_are_refused_to_stay_in_order_are_tried_again(make_project: Callable[..., Any]) -> None:
    """With ``SERIALIZABLE`` the database refuses transactions that met another one; two workers meet often."""
    project = make_project("postgresql")
    project.database_url += "?options=-c%20default_transaction_isolation%3Dserializable"
    assert project.run("from django.db import connection as c\nwith c.cursor() as k:\n k.execute('SHOW transaction_isolation'); print(k.fetchone()[0])") == "serializable"  # fmt: skip
    workers = [project.start("-c", "import django; django.setup()\n" + PUMP) for _ in range(2)]
    shop = start_shop(project, seconds=6)
    assert shop.wait(60) == 0, project.logs()
    assert_equal_in_the_end(project)
    assert [worker.poll() for worker in workers] == [None, None], project.logs()


@pytest.mark.services("postgresql")
def test_f21_connections_lent_by_the_transaction_do(make_project: Callable[..., Any]) -> None:
    """Behind PgBouncer nothing is left in a session, and no statement relies on the one before it."""
    project = make_project("postgresql")
    with pgbouncer(project.database_url) as project.database_url:
        # As Django's documentation asks of everybody who pools by the transaction.
        environment = {"TEST_DISABLE_SERVER_SIDE_CURSORS": "1"}
        workers = [project.start("-c", "import django; django.setup()\n" + PUMP, **environment) for _ in range(2)]
        shops = [start_shop(project, seconds=5) for _ in range(2)]
        project.run(
            "from django_sendcloud import enqueue\nfrom tests.shop.models import Order\n"
            "for _ in range(20): enqueue(Order.objects.all())",
            **environment,
        )
        assert [shop.wait(60) for shop in shops] == [0, 0], project.logs()
        assert_equal_in_the_end(project)
        assert [worker.poll() for worker in workers] == [None, None], project.logs()
        project.stop()
