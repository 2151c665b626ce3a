"""The overview as people see it: full of everything, calm, in each theme and on a phone."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from django_sendcloud.models import (
    Attempt,
    Integration,
    OutboxEntry,
    Parcel,
    ParcelStatus,
    PauseReason,
    Tally,
    WebhookEvent,
)
from django_sendcloud.sync.status import mark_sweep

from .look import findings
from .office import Office

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def entries(number: int, **values: Any) -> None:
    for _ in range(number):
        OutboxEntry.objects.create(order_type="shop.order", order_pk=uuid.uuid4().hex, **values)


def a_day(integration: Integration) -> None:
    now = timezone.now().astimezone(dt.UTC)
    mark_sweep()
    Integration.objects.filter(pk=integration.pk).update(last_success_at=now, last_webhook_at=now)
    parcel = Parcel.objects.create(integration=integration, remote_id=1)
    for hour in range(24):
        at = now - dt.timedelta(hours=hour)
        Tally.add(at, {integration.pk: (abs(12 - hour) * 97, hour % 3)})
        for number, phase in enumerate(["announced", "in_transit", "delivered", "problem"][: hour % 5] * (hour * 3)):
            ParcelStatus.objects.create(
                parcel=parcel, status_id=number, phase=phase, event_ms=hour * 1000 + number, at=at
            )
    for minutes in range(0, 300, 10):
        at = now - dt.timedelta(minutes=minutes)
        Attempt.objects.create(order_type="shop.order", order_pk="1", at=at, outcome="refused")
    Parcel.objects.all().update(shipment=None)


def everything(integration: Integration) -> None:
    """One integration in each state, and something of everything that needs a person."""
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
    for state in ("received", "failed", "failed", "unheard"):
        at = now - dt.timedelta(minutes=7)
        WebhookEvent.objects.create(
            integration=integration, digest=uuid.uuid4().hex, state=state, body="{}", received_at=at
        )


def test_a_full_overview_is_seen_by_everybody(office: Office) -> None:
    everything(office.connect())
    office.open("overview_changelist")
    expect(office.page.get_by_role("heading", name="No: 8 orders and 1 integration need you")).to_be_visible()
    office.page.get_by_text("As a table").click()
    assert findings(office.page) == []


def test_a_calm_overview_is_seen_by_everybody(office: Office) -> None:
    a_day(office.connect())
    Parcel.objects.all().delete()
    office.open("overview_changelist")
    expect(office.page.get_by_role("heading", name="Yes, everything is going out")).to_be_visible()
    expect(office.page.get_by_text("Nothing just now.")).to_be_visible()
    assert findings(office.page) == []


def test_keys_are_entered_from_the_overview(office: Office) -> None:
    office.connect().pause(PauseReason.CREDENTIALS)
    office.open("overview_changelist")
    office.follow("Enter keys")
    expect(office.page.get_by_label("Secret key")).to_be_in_viewport()
