"""What was told is counted by the hour, and what stays in the outbox is known by its number."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_sendcloud.adapters import temporarily_registered
from django_sendcloud.models import Integration, Tally
from django_sendcloud.sync.prune import TALLY_DAYS, prune
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.factories import forget_transaction
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder


def test_each_telling_counts_in_its_hour(sandbox: Any, integration: Integration) -> None:
    orders = [factories.order() for _ in range(3)]
    pump()
    forget_transaction()
    orders[0].address = "Markt 1"
    orders[0].save()
    orders[1].delete()
    pump()
    tally = Tally.objects.get()
    assert (tally.integration, tally.pushed, tally.deleted) == (integration, 4, 1)
    assert tally.hour <= timezone.now() < tally.hour + dt.timedelta(hours=1)


def test_what_was_not_told_is_not_counted(sandbox: Any, integration: Integration) -> None:
    sandbox.fail_next(500)
    factories.order()
    factories.order(country="XX")
    pump()
    assert not Tally.objects.exists()


def test_old_hours_are_forgotten(integration: Integration) -> None:
    now = timezone.now()
    for days in (0, TALLY_DAYS - 1, TALLY_DAYS + 1):
        Tally.add(now - dt.timedelta(days=days), {integration.pk: (1, 0)})
    prune()
    assert Tally.objects.count() == 2


def test_an_order_that_stays_is_known_by_its_number(sandbox: Any, integration: Integration) -> None:
    """Also one that could never be turned into a shipment, whose number only its own field knows."""

    class Failing(ShopOrder):
        def get_shipments(self, order: Order) -> Any:
            raise ZeroDivisionError

    factories.order(number="BAD-1", country="XX")
    pump()
    with temporarily_registered(Failing, Order):
        factories.order(number="CODE-1")
        pump()
    assert set(factories.outbox().values_list("order_number", "error_code")) == {
        ("BAD-1", "payload_invalid"),
        ("CODE-1", "adapter_error"),
    }


def test_many_that_fail_together_are_numbered_in_one_statement(sandbox: Any, integration: Integration) -> None:
    for number in range(5):
        factories.order(number=f"N-{number}")
    sandbox.fail_next(500)
    with CaptureQueriesContext(connection) as queries:
        pump()
    updates = [query["sql"] for query in queries if query["sql"].startswith("UPDATE")]
    assert sum("order_number" in sql for sql in updates) == 1
    assert sorted(factories.outbox().values_list("order_number", flat=True)) == [f"N-{n}" for n in range(5)]
    assert set(factories.outbox().values_list("error_code", flat=True)) == {"server_error"}
