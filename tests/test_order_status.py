"""The shop's own order status follows its parcels, where the adapter says how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_sendcloud import OrderAdapter
from django_sendcloud.adapters import temporarily_registered
from django_sendcloud.models import Integration, Parcel
from django_sendcloud.testing import drain
from django_sendcloud.webhooks import apply, inbox
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw


class Following(ShopOrder):
    phase_statuses = {"in_transit": "shipped", "delivered": "completed", "problem": "trouble"}

    def is_shippable(self, order: Order) -> bool:
        return order.status in {"paid", "shipped", "completed", "trouble"}


@pytest.fixture
def following() -> Iterator[OrderAdapter[Any]]:
    with temporarily_registered(Following, Order) as adapter:
        yield adapter


@pytest.fixture
def order(following: Any, integration: Integration, sandbox: Any) -> Order:
    order = factories.order(number="ORD-77")
    drain()
    return order


def tell(integration: Integration, status: int, hours: int, number: int = 1, **values: Any) -> str:
    inbox.store(integration, raw(parcel(status, BEGIN + hours * HOUR, id=number, order_number="ORD-77", **values)))
    apply.drain()
    return str(Order.objects.values_list("status", flat=True).get())


def test_it_follows(integration: Integration, order: Order) -> None:
    assert tell(integration, 1000, 0) == "paid", "a phase that is not in the mapping changes nothing"
    assert tell(integration, 3, 1) == "shipped"
    assert tell(integration, 8, 2) == "trouble"
    assert tell(integration, 11, 3) == "completed"


def test_a_phase_that_is_not_mapped_counts_as_the_last_one_passed(integration: Integration, order: Order) -> None:
    assert tell(integration, 12, 1) == "shipped", "ready to be picked up"
    assert tell(integration, 2000, 2, number=2) == "shipped"


def test_it_is_an_ordinary_change_of_the_order(integration: Integration, order: Order, sandbox: Any) -> None:
    before = Order.objects.get().modified
    tell(integration, 3, 1)
    assert Order.objects.get().modified > before
    drain()
    assert sandbox.shipment(str(order.pk))["order_status"]["id"] == "shipped"


def test_the_parcel_that_is_least_far_decides(integration: Integration, order: Order) -> None:
    tell(integration, 3, 1, number=1)
    tell(integration, 3, 1, number=2)
    assert tell(integration, 11, 2, number=1) == "shipped"
    assert tell(integration, 11, 3, number=2) == "completed"


def test_returns_and_cancelled_parcels_have_no_say(integration: Integration, order: Order) -> None:
    tell(integration, 11, 1, number=1)
    assert tell(integration, 3, 2, number=2, is_return=True) == "completed"
    assert tell(integration, 2000, 3, number=3) == "completed"


def test_late_news_moves_nothing_back(integration: Integration, order: Order) -> None:
    tell(integration, 11, 3)
    assert tell(integration, 3, 1) == "completed"


def test_a_cancelled_order_is_left_alone(integration: Integration, order: Order) -> None:
    Order.objects.update(status="cancelled")
    assert tell(integration, 3, 1) == "cancelled"


def test_what_is_right_already_is_not_saved_again(integration: Integration, order: Order) -> None:
    tell(integration, 3, 1)
    factories.clear_outbox()
    tell(integration, 5, 2)
    assert not factories.outbox().exists()


def test_an_order_that_is_gone_is_no_reason_to_fail(integration: Integration, order: Order) -> None:
    Order.objects.all().delete()
    inbox.store(integration, raw(parcel(3, order_number="ORD-77")))
    apply.drain()
    assert Parcel.objects.get().status_id == 3


def test_without_a_mapping_nothing_happens(integration: Integration, sandbox: Any) -> None:
    factories.order(number="ORD-77")
    drain()
    assert tell(integration, 11, 1) == "paid"
