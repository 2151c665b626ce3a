"""Orders in a database of their own: no transaction spans both, and still no change is lost."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud import enqueue
from django_sendcloud.core.clock import clock
from django_sendcloud.models import Change
from django_sendcloud.sync import record as recording
from django_sendcloud.sync.worker import push_due
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


def test_order_is_pushed_only_after_commit(customer: Customer, sandbox: Any) -> None:
    with transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        # A worker that looks meanwhile leaves it.
        assert Change.objects.get().due_at > timezone.now() + dt.timedelta(seconds=30)
        assert at_sendcloud(sandbox) == set()
    push_due()
    assert at_sendcloud(sandbox) == {"ORD-1"}
    assert not factories.outbox().exists()


def test_push_during_transaction_keeps_its_change(customer: Customer, sandbox: Any) -> None:
    with transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        # The transaction takes so long that a worker looks at the order meanwhile, and it is not there yet.
        Change.objects.all().delete()
    push_due()
    assert at_sendcloud(sandbox) == {"ORD-1"}


@pytest.mark.long
def test_process_death_after_commit_loses_nothing(customer: Customer, sandbox: Any, later: Any) -> None:
    with transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        connections["elsewhere"].run_on_commit.clear()
    push_due()
    assert at_sendcloud(sandbox) == set()
    later(recording.OTHER_DATABASE_SECONDS + 1)
    push_due()
    assert at_sendcloud(sandbox) == {"ORD-1"}


def test_rollback_elsewhere_pushes_nothing(customer: Customer, sandbox: Any, later: Any) -> None:
    with pytest.raises(RuntimeError), transaction.atomic(using="elsewhere"):
        factories.order(number="ORD-1", customer=customer)
        raise RuntimeError
    later(recording.OTHER_DATABASE_SECONDS + 1)
    push_due()
    assert not sandbox.requests
    assert not factories.outbox().exists()


@pytest.mark.long
def test_repeated_saves_cost_two_statements(customer: Customer) -> None:
    """One statement at the first save, one more at the commit."""
    order = factories.order(customer=customer, lines=0)
    with CaptureQueriesContext(connection) as queries:
        with transaction.atomic(using="elsewhere"):
            for _ in range(50):
                order.save()
        recorded = [query for query in queries.captured_queries if "django_sendcloud_change" in query["sql"]]
    assert len(recorded) == 2


@pytest.mark.long
def test_related_and_bulk_changes_are_recorded(customer: Customer, sandbox: Any) -> None:
    """Changes of lines and tags, deletions and enqueued querysets cross the databases too."""
    order, other = factories.order(number="A", customer=customer), factories.order(number="B", customer=customer)
    push_due()
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
            Change.objects.all().delete()
        assert factories.outbox().count() == 1, change
    push_due()
    assert at_sendcloud(sandbox) == {"A"}
