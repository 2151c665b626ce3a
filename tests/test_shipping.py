"""``order_shipping`` and ``{% sendcloud_tracking %}``: what the shop and its buyers see."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.template import Context, Template
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation

from django_sendcloud import RegistrationError, order_shipping
from django_sendcloud.enums import ParcelPhase
from django_sendcloud.models import Parcel, ParcelStatus, Shipment
from django_sendcloud.shipping import SyncState
from django_sendcloud.sync.pump import pump
from tests import factories
from tests.shop.models import Order, Unrelated


@pytest.fixture
def order(integration: Any) -> Order:
    return factories.order()


def parcel(order: Order, **values: Any) -> Parcel:
    shipment = Shipment.objects.for_order(order).get()
    number = Parcel.objects.count() + 1
    made = Parcel.objects.create(
        **{
            "integration": shipment.integration,
            "shipment": shipment,
            "remote_id": number,
            "carrier": "postnl",
            "tracking_number": f"3SABC{number}",
            "tracking_url": f"https://tracking.example/{number}",
            "status_id": 3,
            "phase": ParcelPhase.IN_TRANSIT.value,
            **values,
        }
    )
    now = timezone.now()
    for step, (status_id, phase) in enumerate([(1000, "announced"), (3, "in_transit")]):
        ParcelStatus.objects.create(
            parcel=made, status_id=status_id, message=f"Status {status_id}", phase=phase, event_ms=step, at=now,
            carrier_at=now + dt.timedelta(minutes=step),
        )  # fmt: skip
    return made


def render(order: Order) -> str:
    return Template("{% load sendcloud %}{% sendcloud_tracking order %}").render(Context({"order": order}))


def test_the_state_follows_the_order(order: Order) -> None:
    assert order_shipping(order).state == SyncState.WAITING
    pump()
    assert order_shipping(order).state == SyncState.SYNCED
    factories.forget_transaction()
    order.country = "XX"
    order.save()
    pump()
    assert order_shipping(order).state == SyncState.REJECTED
    factories.forget_transaction()
    order.country, order.status = "NL", "cancelled"
    order.save()
    pump()
    assert order_shipping(order).state == SyncState.ABSENT


def test_parcels_returns_and_links(order: Order) -> None:
    pump()
    parcel(order)
    parcel(order, is_return=True)
    parcel(order, tracking_url="javascript:alert(1)")
    shipping = order_shipping(order)
    assert [p.tracking_number for p in shipping.parcels] == ["3SABC1", "3SABC3"]
    assert [p.tracking_number for p in shipping.returns] == ["3SABC2"]
    assert shipping.tracking_urls == ["https://tracking.example/1"]
    assert [step.message for step in shipping.parcels[0].timeline] == ["Status 3", "Status 1000"]


def test_it_costs_five_statements_however_many_parcels(order: Order) -> None:
    pump()
    for _ in range(5):
        parcel(order)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        order_shipping(order)
    assert len(queries) == 5


def test_another_orders_parcels_are_not_shown(order: Order) -> None:
    pump()
    parcel(order)
    other = factories.order()
    pump()
    assert order_shipping(other).parcels == []


def test_a_model_without_adapter(db: None) -> None:
    with pytest.raises(RegistrationError, match=r"shop\.Unrelated"):
        order_shipping(Unrelated())


def test_the_component_shows_the_journey_and_nothing_else(order: Order) -> None:
    pump()
    shown = parcel(order, tracking_number="3S<b>", labels={"label_printer": "https://panel.example/label"})
    html = render(order)
    assert "3S&lt;b&gt;" in html
    assert 'href="https://tracking.example/1"' in html
    assert 'aria-current="step"' in html
    assert html.index("Status 3") < html.index("Status 1000")
    for hidden in ("label", order.customer.name, order.customer.email, str(shown.shipment.uuid), order.address):
        assert hidden not in html.replace("aria-label", "")


def test_a_link_that_is_none_is_not_made_one(order: Order) -> None:
    pump()
    parcel(order, tracking_url="javascript:alert(1)")
    assert "javascript" not in render(order)


def test_a_parcel_off_the_usual_way_has_no_stations(order: Order) -> None:
    pump()
    parcel(order, phase=ParcelPhase.PROBLEM.value)
    html = render(order)
    assert "sc-parcel--problem" in html
    assert "sc-journey" not in html


def test_before_anything_is_sent(order: Order) -> None:
    assert "Nothing has been sent yet" in render(order)


def test_the_phase_is_in_the_language_in_force(order: Order) -> None:
    pump()
    parcel(order)
    with translation.override("nl"):
        # The label is translated when it is read, in the language of the request.
        assert str(order_shipping(order).parcels[0].phase_label) == translation.gettext("on its way")
