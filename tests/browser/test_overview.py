"""The overview in a browser: full, calm, in each theme and on a phone."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from django_sendcloud.models import (
    Integration,
    OutboxEntry,
    Parcel,
    PauseReason,
    Shipment,
    WebhookEvent,
)
from django_sendcloud.sync.health import mark_sweep

from .operator import Operator
from .page_audit import findings

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def entries(number: int, **values: Any) -> None:
    for _ in range(number):
        OutboxEntry.objects.create(order_type="shop.order", order_pk=uuid.uuid4().hex, **values)


def a_day(integration: Integration) -> None:
    now = timezone.now().astimezone(dt.UTC)
    mark_sweep()
    Integration.objects.filter(pk=integration.pk).update(last_success_at=now, last_webhook_at=now)
    parcels, shipments = [], []
    for hour in range(24):
        at = now - dt.timedelta(hours=hour)
        for phase in ["announced", "in_transit", "delivered", "problem"][: hour % 5] * (hour * 3):
            remote_id = len(parcels) + 1
            parcels.append(Parcel(integration=integration, remote_id=remote_id, phase=phase, status_at=at))
        for _ in range(abs(12 - hour) * 9):
            key = uuid.uuid4().hex
            ids = {"order_type": "shop.order", "order_pk": key, "external_order_id": key, "external_shipment_id": key}
            shipments.append(Shipment(integration=integration, status="synced", last_pushed_at=at, **ids))
    Parcel.objects.bulk_create(parcels)
    Shipment.objects.bulk_create(shipments)


def everything(integration: Integration) -> None:
    """Make one integration in each state, and one task of each kind."""
    now = timezone.now()
    a_day(integration)
    values: dict[str, Any] = {"public_key": "p", "secret_key": "s", "last_success_at": now - dt.timedelta(hours=3)}
    outlet = Integration.objects.create(remote_id=2, name="Outlet", **values)
    outlet.pause(PauseReason.CREDENTIALS)
    Integration.objects.create(remote_id=3, name="A shop with a name that is rather long, as some names are")
    old = Integration.objects.create(remote_id=4, name="Old shop", is_active=False)
    entries(12, integration=integration)
    entries(1234, integration=outlet, due_at=now - dt.timedelta(hours=3))
    entries(2, integration=outlet, due_at=now + dt.timedelta(hours=1))
    entries(2, integration=integration, state="rejected", error_code="rejected")
    entries(1, integration=integration, state="dead", error_code="worker_died")
    entries(3, integration=old)
    entries(2, error_code="integration_unknown")
    for state in ("received", "failed", "failed", "receiver_failed"):
        at = now - dt.timedelta(minutes=7)
        WebhookEvent.objects.create(
            integration=integration, digest=uuid.uuid4().hex, state=state, body="{}", received_at=at
        )


def test_full_overview_is_accessible(operator: Operator) -> None:
    everything(operator.connect())
    operator.open("overview_changelist")
    expect(
        operator.page.get_by_role("heading", name="1,244 orders not going out, 1 integration sends no orders")
    ).to_be_visible()
    operator.page.get_by_text("As a table").click()
    assert findings(operator.page) == []


def test_calm_overview_is_accessible(operator: Operator) -> None:
    a_day(operator.connect())
    Parcel.objects.all().delete()
    operator.open("overview_changelist")
    expect(operator.page.get_by_role("heading", name="All orders are reaching Sendcloud")).to_be_visible()
    expect(operator.page.get_by_text("Nothing just now.")).to_be_visible()
    assert findings(operator.page) == []


def test_overview_leads_to_keys_form(operator: Operator) -> None:
    operator.connect().pause(PauseReason.CREDENTIALS)
    operator.open("overview_changelist")
    operator.follow("Enter keys")
    expect(operator.page.get_by_label("Secret key")).to_be_in_viewport()
