"""The delivery that is stored with a shipment: the phase of its least far parcel."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest

from django_sendcloud.models import Integration, Parcel, Shipment
from django_sendcloud.models.delivery import DELIVERY_RANK, PHASES
from django_sendcloud.parcels.delivery import delivery_of_order
from django_sendcloud.parcels.matching import assign
from django_sendcloud.webhooks import apply, inbox
from tests.webhooks.messages import BEGIN, HOUR, parcel, raw

pytestmark = pytest.mark.django_db

ANNOUNCED, ON_ITS_WAY, PICKUP, FAILED, DELIVERED, RETURNED, CANCELLED = 1000, 3, 12, 8, 11, 62992, 2000


@pytest.fixture
def shipment(integration: Integration) -> Shipment:
    return Shipment.objects.create(
        integration=integration, order_type="shop.order", order_pk="1", order_number="D-1", external_order_id="1"
    )


def report(integration: Integration, status: int, hours: int, number: int = 1, **values: Any) -> None:
    body = parcel(status, BEGIN + hours * HOUR, id=number, order_number="D-1", **values)
    inbox.store(integration, raw(body))
    apply.drain()


def delivery(shipment: Shipment) -> tuple[str, dt.datetime]:
    shipment.refresh_from_db()
    return shipment.delivery, shipment.delivery_at


def test_shipment_has_no_delivery_yet(shipment: Shipment) -> None:
    assert delivery(shipment)[0] == ""


@pytest.mark.long
def test_delivery_follows_the_least_far_parcel(integration: Integration, shipment: Shipment) -> None:
    report(integration, ANNOUNCED, 0, 1)
    report(integration, ANNOUNCED, 1, 2)
    report(integration, DELIVERED, 2, 1)
    assert delivery(shipment)[0] == "announced"
    report(integration, ON_ITS_WAY, 3, 2)
    assert delivery(shipment)[0] == "in_transit"
    report(integration, FAILED, 4, 2)
    assert delivery(shipment)[0] == "problem", "a delivery problem of one parcel is one of the order"
    report(integration, DELIVERED, 5, 2)
    assert delivery(shipment)[0] == "delivered"


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([ANNOUNCED, CANCELLED], "announced"),
        ([CANCELLED], "cancelled"),
        ([1002, ANNOUNCED], "announced"),
        ([1002], "problem"),
        ([RETURNED, DELIVERED], "returned"),
        ([PICKUP, DELIVERED], "awaiting_pickup"),
        ([424242, DELIVERED], "unknown"),
    ],
)
def test_parcels_that_count_decide(
    integration: Integration, shipment: Shipment, statuses: list[int], expected: str
) -> None:
    for number, status in enumerate(statuses, 1):
        report(integration, status, number, number)
    assert delivery(shipment)[0] == expected


def test_return_is_no_delivery(integration: Integration, shipment: Shipment) -> None:
    report(integration, ON_ITS_WAY, 0, is_return=True)
    assert delivery(shipment)[0] == ""


def test_colli_without_update_are_announced(integration: Integration, shipment: Shipment) -> None:
    report(integration, DELIVERED, 0, collo_nr=0, collo_count=2, colli_uuid="7b0e6a3e-6f0c-4d4e-9f0e-000000000001")
    assert delivery(shipment)[0] == "announced"


def test_delivery_keeps_the_start_of_its_phase(integration: Integration, shipment: Shipment) -> None:
    report(integration, 1, 0)
    state, since = delivery(shipment)
    assert (state, since) == ("announced", Parcel.objects.get().status_at)
    report(integration, ANNOUNCED, 5)
    assert delivery(shipment) == ("announced", since), "another status of the same phase begins nothing"
    report(integration, ON_ITS_WAY, 9)
    assert delivery(shipment) == ("in_transit", since + dt.timedelta(hours=9))


def test_changed_delivery_is_not_handled(integration: Integration, shipment: Shipment) -> None:
    report(integration, FAILED, 0)
    Shipment.objects.update(delivery_handled=True)
    report(integration, FAILED, 1)
    assert Shipment.objects.get().delivery_handled
    report(integration, RETURNED, 2)
    assert not Shipment.objects.get().delivery_handled


def test_assigned_parcel_gives_its_delivery(integration: Integration, shipment: Shipment) -> None:
    lone = Parcel.objects.create(integration=integration, remote_id=9, phase="in_transit", status_id=3)
    assert assign(lone, shipment, notify=False)
    assert delivery(shipment)[0] == "in_transit"


def test_deliveries_are_ranked_completely() -> None:
    assert set(DELIVERY_RANK) == {"", *dict(PHASES)}
    for first, second in itertools.combinations(DELIVERY_RANK, 2):
        both = [Shipment(delivery=first, status="synced"), Shipment(delivery=second, status="synced")]
        assert delivery_of_order(both) == delivery_of_order(both[::-1]) == first


def test_removed_shipment_without_parcel_is_ignored() -> None:
    assert delivery_of_order([]) == ""
    gone = Shipment(status="deleted")
    assert delivery_of_order([gone, Shipment(delivery="delivered", status="synced")]) == "delivered"
    assert delivery_of_order([Shipment(status="synced"), Shipment(delivery="delivered", status="synced")]) == ""
