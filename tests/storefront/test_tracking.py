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
from django_sendcloud.storefront.tracking import SyncState
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order, Unrelated
from tests.shop.sendcloud import ShopOrder


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


def test_state_follows_the_order(order: Order) -> None:
    assert order_shipping(order).state == SyncState.WAITING
    push_due()
    assert order_shipping(order).state == SyncState.SYNCED
    factories.forget_transaction()
    order.country = "XX"
    order.save()
    push_due()
    assert order_shipping(order).state == SyncState.REJECTED
    factories.forget_transaction()
    order.country, order.status = "NL", "cancelled"
    order.save()
    push_due()
    assert order_shipping(order).state == SyncState.ABSENT


def test_tracking_lists_parcels_returns_and_links(order: Order) -> None:
    push_due()
    parcel(order)
    parcel(order, is_return=True)
    parcel(order, tracking_url="javascript:alert(1)")
    shipping = order_shipping(order)
    assert [p.tracking_number for p in shipping.parcels] == ["3SABC1", "3SABC3"]
    assert [p.tracking_number for p in shipping.returns] == ["3SABC2"]
    assert shipping.tracking_urls == ["https://tracking.example/1"]
    assert [step.message for step in shipping.parcels[0].timeline] == ["Status 3", "Status 1000"]


def test_tracking_costs_five_statements(order: Order) -> None:
    push_due()
    for _ in range(5):
        parcel(order)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        order_shipping(order)
    assert len(queries) == 5


def test_parcels_of_other_orders_are_hidden(order: Order) -> None:
    push_due()
    parcel(order)
    other = factories.order()
    push_due()
    assert order_shipping(other).parcels == []


def test_model_without_adapter_is_refused(db: None) -> None:
    with pytest.raises(RegistrationError, match=r"shop\.Unrelated"):
        order_shipping(Unrelated())


def test_component_shows_only_the_journey(order: Order) -> None:
    push_due()
    shown = parcel(order, tracking_number="3S<b>", labels={"label_printer": "https://panel.example/label"})
    html = render(order)
    assert "3S&lt;b&gt;" in html
    assert 'href="https://tracking.example/1"' in html
    assert 'aria-current="step"' in html
    assert html.index("En route to sorting center") < html.index("Being prepared")
    for hidden in ("label", order.customer.name, order.customer.email, str(shown.shipment.uuid), order.address):
        assert hidden not in html.replace("aria-label", "")


def test_invalid_link_is_not_rendered(order: Order) -> None:
    push_due()
    parcel(order, tracking_url="javascript:alert(1)")
    assert "javascript" not in render(order)


def test_exceptional_parcel_has_no_stations(order: Order) -> None:
    push_due()
    parcel(order, phase=ParcelPhase.PROBLEM.value)
    html = render(order)
    assert "sc-parcel--problem" in html
    assert "sc-journey" not in html


def test_unsent_order_has_no_parcels(order: Order) -> None:
    assert "Your parcel has not been sent yet" in render(order)


def test_phase_is_in_active_language(order: Order) -> None:
    push_due()
    parcel(order)
    with translation.override("nl"):
        # The label is translated when it is read, in the language of the request.
        assert str(order_shipping(order).parcels[0].phase_label) == "Onderweg"


def test_heading_of_return_is_translated_whole(order: Order) -> None:
    """French has a space before the colon."""
    push_due()
    parcel(order, is_return=True)
    assert "<h3>Return: On its way</h3>" in render(order)
    with translation.override("fr"):
        assert "<h3>Retour\xa0: En route</h3>" in render(order)


def test_buyer_of_undeliverable_parcel_is_helped(order: Order) -> None:
    push_due()
    parcel(order, phase=ParcelPhase.PROBLEM.value, status_id=80)
    page = render(order)
    assert "Delivery problem" in page
    assert "The carrier could not deliver your parcel. Please contact us." in page
    assert "Contact us</a>" not in page, "the shop names no address"
    template = Template('{% load sendcloud %}{% sendcloud_tracking order contact="mailto:help@shop.example" %}')
    html = template.render(Context({"order": order}))
    assert html.count('<a href="mailto:help@shop.example">Contact us</a>') == 1
    Parcel.objects.update(is_return=True)
    assert "Please contact us" not in render(order), "a return goes to the shop"


def test_adapter_names_contact_for_every_page(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ShopOrder, "contact", "/help/?a&b")
    assert '<a href="/help/?a&amp;b">Contact us</a>' in render(order)
    template = Template('{% load sendcloud %}{% sendcloud_tracking order contact="/returns/" %}')
    html = template.render(Context({"order": order}))
    assert '<a href="/returns/">Contact us</a>' in html
    assert "/help/" not in html


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("postnl", "PostNL"),
        ("dhl_de", "DHL (DE)"),
        ("gls_xx", "GLS XX"),
        ("POSTNL", "PostNL"),
        ("royal_mail", "Royal Mail"),
        ("", ""),
    ],
)
def test_carrier_has_one_spelling(order: Order, code: str, name: str) -> None:
    push_due()
    made = parcel(order, carrier=code)
    assert order_shipping(order).parcels[0].carrier_name == name
    assert made.carrier_name == name
    assert not name or made.carrier_name in render(order)


def test_statuses_are_read_in_the_buyers_language(order: Order) -> None:
    push_due()
    made = parcel(order)
    ParcelStatus.objects.create(
        parcel=made, status_id=424242, message="Sendcloud's own", phase="unknown", event_ms=9, at=timezone.now()
    )
    with translation.override("nl"):
        page = render(order)
    assert "Onderweg naar het sorteercentrum" in page
    assert "En route to sorting center" not in page
    assert "Sendcloud&#x27;s own" in page, "an undocumented status keeps its words"


def test_buyer_sees_service_point_with_address(order: Order, chosen: dict[str, Any]) -> None:
    html = render(order)
    assert "Primera &lt;Centrum&gt;<br>Markt 12<br>5611 EB Eindhoven<br>Netherlands</address>" in html
    assert "CANARY" not in html
    push_due()
    parcel(order, phase=ParcelPhase.AWAITING_PICKUP.value)
    assert "You can pick up your parcel at Primera &lt;Centrum&gt;." in render(order)


def test_country_of_service_point_is_named(order: Order, chosen: dict[str, Any]) -> None:
    with translation.override("de"):
        assert "Eindhoven<br>Niederlande</address>" in render(order)
    chosen["country"] = "NZ"
    assert "Eindhoven<br>NZ</address>" in render(order), "no carrier has a service point there"


def test_unknown_service_point_refers_to_carrier(order: Order) -> None:
    push_due()
    made = parcel(order, phase=ParcelPhase.AWAITING_PICKUP.value)
    assert order_shipping(order).service_point is None
    assert "You can pick up your parcel. The tracking page says where." in render(order)
    Parcel.objects.filter(pk=made.pk).update(tracking_url="")
    assert "You can pick up your parcel. The carrier will let you know where." in render(order)
    Parcel.objects.filter(pk=made.pk).update(is_return=True)
    assert "You can pick up" not in render(order)


def test_unreadable_service_point_hides_no_parcel(
    order: Order, chosen: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    push_due()
    parcel(order)
    chosen["country"] = "canary"
    assert "3SABC1" in render(order)
    assert "Your service point" not in render(order)
    assert "country must be" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("status_id", [1, 999, 1000, 1001, 1002])
def test_buyer_reads_no_word_of_the_warehouse(order: Order, status_id: int) -> None:
    push_due()
    made = parcel(order)
    ParcelStatus.objects.filter(parcel=made).delete()
    ParcelStatus.objects.create(
        parcel=made, status_id=status_id, message="Announcement", phase="announced", event_ms=1, at=timezone.now()
    )
    assert "<small>Being prepared</small>" in render(order)
    assert "nnounce" not in render(order)


@pytest.mark.parametrize("status_id", [15, 94, 1002])
def test_shops_own_problem_worries_no_buyer(order: Order, status_id: int) -> None:
    push_due()
    parcel(order, status_id=status_id, phase=ParcelPhase.PROBLEM.value)
    ParcelStatus.objects.update(status_id=status_id, phase=ParcelPhase.PROBLEM.value)
    [tracking] = order_shipping(order).parcels
    assert (tracking.phase, tracking.has_problem) == (ParcelPhase.ANNOUNCED, False)
    assert {(step.phase, step.text) for step in tracking.timeline} == {(ParcelPhase.ANNOUNCED, "Being prepared")}
    html = render(order)
    assert "could not deliver" not in html
