"""Order numbers of entries that stay in the outbox."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_sendcloud.models import Integration
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder


def test_remaining_entry_carries_order_number(sandbox: Any, integration: Integration) -> None:
    """The number comes from the order's own field if the adapter fails to build a shipment."""

    class Failing(ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            raise ZeroDivisionError

    factories.order(number="BAD-1", country="XX")
    push_due()
    with temporarily_registered(Failing, Order):
        factories.order(number="CODE-1")
        push_due()
    assert set(factories.outbox().values_list("order_number", "error_code")) == {
        ("BAD-1", "payload_invalid"),
        ("CODE-1", "adapter_error"),
    }


def test_failed_batch_is_numbered_in_one_statement(sandbox: Any, integration: Integration) -> None:
    for number in range(5):
        factories.order(number=f"N-{number}")
    sandbox.fail_next(500)
    with CaptureQueriesContext(connection) as queries:
        push_due()
    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert sum("order_number" in sql for sql in updates) == 1
    assert sorted(factories.outbox().values_list("order_number", flat=True)) == [f"N-{n}" for n in range(5)]
    assert set(factories.outbox().values_list("error_code", flat=True)) == {"server_error"}
