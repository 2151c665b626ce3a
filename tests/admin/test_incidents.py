"""Incident strip: what stops or delays all orders, beside the orders that an operator has to fix."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from django_sendcloud.models import Account, Integration, OutboxEntry, PauseReason
from django_sendcloud.sync.health import mark_sweep

from .test_health import CONNECTED

LISTS = ["overview", "integration", "outboxentry", "shipment", "parcel", "webhookevent", "account"]


@pytest.fixture
def integration(db: None) -> Integration:
    integration = Integration.objects.create(remote_id=1, name="Shop", last_success_at=timezone.now(), **CONNECTED)
    mark_sweep()
    return integration


@pytest.fixture
def strip(as_role: Callable[..., Client], integration: Integration) -> Callable[..., str]:
    """Return the text of the incidents above a list."""

    def read(role: str = "superuser", *permissions: str, page: str = "overview") -> str:
        answer = as_role(role, *permissions).get(reverse(f"admin:django_sendcloud_{page}_changelist"))
        assert answer.status_code == 200
        html = answer.content.decode()
        assert html.count('id="sc-incidents"') == 1
        between = html.split('id="sc-incidents"')[1].split('class="sc-search"')
        assert len(between) == 2, "the search follows"
        return " ".join(between[0].split())

    return read


def entries(number: int, **values: Any) -> None:
    first = OutboxEntry.objects.count()
    OutboxEntry.objects.bulk_create(
        OutboxEntry(order_type="shop.order", order_pk=str(first + n), order_number=f"A-{first + n}", **values)
        for n in range(number)
    )


def outage(integration: Integration, waiting: int) -> None:
    now = timezone.now()
    ahead = now + dt.timedelta(minutes=1)
    began = now - dt.timedelta(minutes=2)
    Integration.objects.update(last_success_at=began - dt.timedelta(minutes=1))
    entries(
        waiting, integration=integration, error_code="not_sent", failing_since=began, due_at=ahead, not_before=ahead
    )


@pytest.mark.parametrize("page", LISTS)
@pytest.mark.long
def test_outage_is_above_every_list(strip: Callable[..., str], integration: Integration, page: str) -> None:
    entries(1, integration=integration, state="rejected", error_code="payload_invalid")
    outage(integration, 3)
    found = strip(page=page)
    assert "Sendcloud cannot be reached (since" in found
    assert "3 orders wait. Next try:" in found


@pytest.mark.long
def test_outage_is_beside_rejected_order(as_role: Callable[..., Client], integration: Integration) -> None:
    """No page says of an outage that the other orders go out."""
    entries(1, integration=integration, state="rejected", error_code="payload_invalid")
    outage(integration, 3)
    url = reverse("admin:django_sendcloud_integration_change", args=[integration.pk])
    for client in (as_role("superuser"), as_role("staff", "view_integration")):
        html = client.get(url).content.decode()
        assert "Some orders need a fix" in html
        assert "Sendcloud cannot be reached" in html
        assert "go out." not in html


def test_incidents_need_integration_permission(strip: Callable[..., str], integration: Integration) -> None:
    outage(integration, 3)
    assert "cannot be reached" not in strip("staff", "view_parcel", page="parcel")
    found = strip("staff", "view_parcel", "view_integration", page="parcel")
    assert "cannot be reached" in found
    assert "3 orders" not in found, "the outbox has a permission of its own"


def test_missing_worker_is_an_incident(strip: Callable[..., str], integration: Integration) -> None:
    old = timezone.now() - dt.timedelta(minutes=2, seconds=1)
    Integration.objects.update(last_success_at=old)
    entries(2, integration=integration, due_at=old, not_before=old)
    found = strip()
    assert "No worker is running (since" in found
    assert "2 orders wait." in found


def test_rejected_keys_are_an_incident(strip: Callable[..., str], integration: Integration) -> None:
    integration.pause(PauseReason.CREDENTIALS)
    entries(8, integration=integration)
    found = strip()
    assert "Sendcloud rejects the API keys (since" in found
    assert "8 orders wait." in found


def test_next_try_is_never_past(strip: Callable[..., str], integration: Integration) -> None:
    """Without a worker, the time of the next attempt passes by."""
    integration.pause(PauseReason.CREDENTIALS)
    assert "Next try" in strip()
    Integration.objects.update(probe_at=timezone.now() - dt.timedelta(minutes=1))
    assert "Next try" not in strip()


def test_missing_sweep_is_an_incident(strip: Callable[..., str], integration: Integration) -> None:
    Account.objects.update(swept_at=None)
    assert "The periodic work has never run" in strip()
    Account.objects.update(swept_at=timezone.now() - dt.timedelta(hours=1))
    assert "The periodic work has not run since" in strip()


def test_short_rate_limit_is_no_incident(strip: Callable[..., str], integration: Integration) -> None:
    entries(1, integration=integration)
    for seconds, shown in ((60, False), (600, True)):
        until = timezone.now() + dt.timedelta(seconds=seconds)
        Account.objects.update(closed_until=until, closed_reason="rate_limited")
        assert ("1 order waits." in strip()) is shown


def test_calm_shop_has_no_incident(strip: Callable[..., str], integration: Integration) -> None:
    assert "sc-panel" not in strip()
