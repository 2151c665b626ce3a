"""Helpers for the tests of shops: they behave as the real thing does."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_sendcloud.conf import conf
from django_sendcloud.models import Integration, Parcel, WebhookEvent
from django_sendcloud.sandbox import Sandbox
from django_sendcloud.testing import connect, drain, running_sandbox, send_webhook
from django_sendcloud.testing import sendcloud as sendcloud  # a fixture
from django_sendcloud.testing import sendcloud_integration as sendcloud_integration  # a fixture
from tests import factories


def test_drain_pushes_saved_and_changed_orders(sendcloud: Sandbox, sendcloud_integration: Integration) -> None:
    order = factories.order()
    drain()
    assert sendcloud.shipment(str(order.pk))["city"] == "Eindhoven"
    order.city = "Delft"
    order.save()
    drain()
    assert sendcloud.shipment(str(order.pk))["city"] == "Delft"
    order.delete()
    drain()
    assert sendcloud.shipment(str(order.pk)) is None


def test_signed_webhook_is_applied(sendcloud: Sandbox, sendcloud_integration: Integration) -> None:
    order = factories.order()
    drain()
    payload = {
        "action": "parcel_status_changed",
        "timestamp": 1700000000000,
        "parcel": {
            "id": 7,
            "tracking_number": "3SABC",
            "shipment_uuid": sendcloud.shipment(str(order.pk))["shipment_uuid"],
            "status": {"id": 3, "message": "En route to sorting center"},
        },
    }
    assert send_webhook(Client(), sendcloud_integration, payload).status_code == 200
    assert WebhookEvent.objects.count() == 1
    drain()
    assert Parcel.objects.for_order(order).get().tracking_number == "3SABC"


@pytest.mark.django_db
def test_testing_works_without_pytest_fixtures(settings: Any) -> None:
    before = conf().BASE_URL
    with running_sandbox() as sandbox:
        integration = connect(sandbox, name="Ours")
        assert sandbox.base_url == conf().BASE_URL
        order = factories.order()
        drain()
        assert sandbox.shipment(str(order.pk))
        assert integration.name == "Ours"
    assert before == conf().BASE_URL


def test_drain_says_why_an_order_waits(
    sendcloud: Sandbox, sendcloud_integration: Integration, caplog: pytest.LogCaptureFixture
) -> None:
    assert drain() == []
    wrong = factories.order(city="", number="ORD-9")
    [said] = drain()
    assert said == "shop.order ORD-9 was not sent: payload_invalid: city: May not be empty."
    assert said in caplog.text
    wrong.city = "Delft"
    wrong.save()
    assert drain() == []


def test_drain_says_that_an_integration_is_missing(sendcloud: Sandbox, db: None) -> None:
    factories.order(number="ORD-9")
    [said] = drain()
    assert said == "shop.order ORD-9 was not sent: no_integration: No Sendcloud integration is connected."
