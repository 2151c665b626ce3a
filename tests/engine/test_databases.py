"""Orders in a database of their own: no transaction spans both, and still no change is lost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from django_sendcloud import enqueue
from django_sendcloud.clock import clock
from django_sendcloud.sync import record as recording
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.shop.models import Customer, Order, OrderLine, Tag

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "elsewhere"])


class OrdersElsewhere:
    """Routes the shop's models to a database of their own."""

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "elsewhere" if model._meta.app_label == "shop" else None

    db_for_write = db_for_read


@pytest.fixture(autouse=True)
def routed(settings: Any, transactional_db: None) -> None:
    settings.DATABASE_ROUTERS = [f"{__name__}.OrdersElsewhere"]


@pytest.fixture
def connected(routed: None, sandbox: Any, sendcloud_settings: Any) -> Any:
    return factories.integration(sandbox)


@pytest.fixture
def customer(connected: Any) -> Customer:
    return factories.customer()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let time pass."""
    real = clock.now

    def move(seconds: float) -> None:
        monkeypatch.setattr(clock, "now", lambda: real() + dt.timedelta(seconds=seconds))

    return move


def at_sendcloud(sandbox: Any) -> set[str]:
    return {shipment["order_number"] for shipment in sandbox.shipments()}


def test_an_order_is_pushed_when_it_is_committed_and_not_before(customer: Customer, sandbox: Any) -> None:
    with transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        assert factories.outbox().exists()
        pump()
        assert factories.outbox().exists()
        assert at_sendcloud(sandbox) == set()
    pump()
    assert at_sendcloud(sandbox) == {"ORD-1"}
    assert not factories.outbox().exists()


def test_a_push_during_the_transaction_does_not_swallow_its_change(customer: Customer, sandbox: Any) -> None:
    with transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        # The transaction takes so long that the order is looked at meanwhile, and is not there yet.
        factories.outbox().all().delete()
    pump()
    assert at_sendcloud(sandbox) == {"ORD-1"}


def test_a_process_that_dies_right_after_the_commit_loses_nothing(customer: Customer, sandbox: Any, later: Any) -> None:
    with transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        connections["elsewhere"].run_on_commit.clear()
    pump()
    assert at_sendcloud(sandbox) == set()
    later(recording.OTHER_DATABASE_SECONDS + 1)
    pump()
    assert at_sendcloud(sandbox) == {"ORD-1"}


def test_what_is_rolled_back_there_pushes_nothing(customer: Customer, sandbox: Any, later: Any) -> None:
    with pytest.raises(RuntimeError), transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        raise RuntimeError
    later(recording.OTHER_DATABASE_SECONDS + 1)
    pump()
    assert not sandbox.requests
    assert not factories.outbox().exists()


def test_fifty_saves_cost_one_statement_and_one_more_at_the_commit(customer: Customer) -> None:
    order = factories.order(customer=customer, lines=0)
    with CaptureQueriesContext(connection) as queries:
        with transaction.atomic(using="elsewhere"):
            for _ in range(50):
                order.save()
        recorded = [query for query in queries.captured_queries if "django_sendcloud_change" in query["sql"]]
    assert len(recorded) == 2


def test_lines_tags_deletes_and_bulk_writes_are_heard_as_well(customer: Customer, sandbox: Any) -> None:
    order, other = factories.order(number="A", customer=customer), factories.order(number="B", customer=customer)
    pump()
    assert at_sendcloud(sandbox) == {"A", "B"}
    changes: list[Any] = [
        lambda: OrderLine.objects.filter(order=order)[0].save(),
        lambda: order.tags.add(Tag.objects.create(name="fragile")),
        lambda: enqueue(Order.objects.filter(pk=order.pk)),
        lambda: enqueue(order),
        other.delete,
    ]
    for change in changes:
        factories.outbox().all().delete()
        with transaction.atomic(using="elsewhere"):
            change()
            factories.outbox().all().delete()
        assert factories.outbox().count() == 1, change
    pump()
    assert at_sendcloud(sandbox) == {"A"}
