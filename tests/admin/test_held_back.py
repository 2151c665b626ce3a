"""Reports of pushes while nothing is sent."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from django_sendcloud.core.clock import clock
from django_sendcloud.models import Integration, OutboxEntry, PauseReason, ReconciliationRun, Shipment
from django_sendcloud.sync.problems import Problem, columns_of
from django_sendcloud.violations import Violation
from tests import factories

from .conftest import Data

WAITS = "1 order waits, because nothing is sent at the moment. It is sent as soon as that is solved."


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


def stop(integration: Integration, how: str) -> None:
    match how:
        case "paused":
            integration.pause(PauseReason.CREDENTIALS)
        case "not in use":
            Integration.objects.update(is_active=False)
        case "without keys":
            Integration.objects.update(secret_key="")


def said(client: Client, page: str, data: dict[str, Any]) -> list[str]:
    return [str(message) for message in get_messages(client.post(page, data).wsgi_request)]


def push(client: Client, data: Data, where: str) -> list[str]:
    chosen = {"confirmed": "yes", "number": "1"}
    if where == "differences":
        Shipment.objects.update(status="synced", mismatches=1)
        ReconciliationRun.objects.create(integration=data.integration, started_at=clock.now(), finished_at=clock.now())
        page = reverse("backoffice:django_sendcloud_integration_differences", args=[data.integration.pk])
        return said(client, page, {"do": "send", "shipment": str(data.shipment.pk)})
    model, name, row = {
        "orders": ("shop_order", "sendcloud_push", data.order),
        "shipments": ("django_sendcloud_shipment", "push_again", data.shipment),
        "outbox": ("django_sendcloud_outboxentry", "push_now", data.entry),
    }[where]
    return said(
        client, reverse(f"backoffice:{model}_changelist"), {"action": name, "_selected_action": [row.pk], **chosen}
    )


@pytest.mark.parametrize("where", ["orders", "shipments", "outbox", "differences"])
@pytest.mark.parametrize("how", ["paused", "not in use", "without keys"])
def test_push_reports_order_that_waits(boss: Client, data: Data, where: str, how: str) -> None:
    stop(data.integration, how)
    assert push(boss, data, where) == [WAITS]


@pytest.mark.parametrize("where", ["orders", "shipments", "outbox", "differences"])
def test_push_reports_order_that_is_sent(boss: Client, data: Data, where: str) -> None:
    other = Integration.objects.create(remote_id=4002, public_key="p", secret_key="s")
    other.pause(PauseReason.PERSON)
    assert push(boss, data, where)[0] == "1 order is being pushed."


def test_retried_order_of_pause_is_on_hold(boss: Client, data: Data) -> None:
    """It is not *To be sent again*, and its page says what it waits for."""
    data.integration.pause(PauseReason.PERSON, by="ann")
    OutboxEntry.objects.all().retry()
    for page in (
        reverse("backoffice:shop_order_change", args=[data.order.pk]),
        reverse("backoffice:django_sendcloud_outboxentry_change", args=[data.entry.pk]),
    ):
        html = boss.get(page).content.decode()
        assert "On hold" in html
        assert "sent again" not in html
        assert "Bike shop: Paused by ann" in html
    html = boss.get(reverse("backoffice:django_sendcloud_outboxentry_changelist")).content.decode()
    assert "sent again" not in html


@pytest.mark.long
def test_fresh_order_of_pause_is_on_hold(boss: Client, connected: Integration) -> None:
    """No worker has decided yet which integration takes it; only one can."""
    order = factories.order()
    entry = factories.outbox().get()
    assert entry.integration is None
    connected.pause(PauseReason.PERSON, by="ann")
    for page in (
        reverse("backoffice:shop_order_change", args=[order.pk]),
        reverse("backoffice:shop_order_changelist"),
        reverse("backoffice:django_sendcloud_outboxentry_change", args=[entry.pk]),
        reverse("backoffice:django_sendcloud_outboxentry_changelist"),
    ):
        assert "On hold" in boss.get(page).content.decode()
    Integration.objects.create(remote_id=4002, public_key="p", secret_key="s", last_success_at=clock.now())
    assert "On hold" not in boss.get(page).content.decode()


def test_order_on_hold_is_not_due(boss: Client, data: Data) -> None:
    """It waits for the developer, and its time has passed."""
    past = clock.now() - dt.timedelta(minutes=1)
    values = {"state": "pending", "error_code": "adapter_error", "failing_since": past}
    OutboxEntry.objects.update(**values, due_at=past, not_before=past)
    page = reverse("backoffice:shop_order_change", args=[data.order.pk])
    html = boss.get(page).content.decode()
    assert "On hold" in html
    assert "To be sent" not in html
    OutboxEntry.objects.update(due_at=clock.now() + dt.timedelta(minutes=5))
    assert "To be sent: " in boss.get(page).content.decode()


@pytest.mark.parametrize("reason", ["", PauseReason.COPY.value])
def test_order_of_unused_integration_says_why(boss: Client, data: Data, reason: str) -> None:
    """Another one is in use, so no incident says it."""
    Integration.objects.create(remote_id=4002, public_key="p", secret_key="s", last_success_at=clock.now())
    Integration.objects.filter(pk=data.integration.pk).update(is_active=False, paused_reason=reason)
    OutboxEntry.objects.all().retry()
    OutboxEntry.objects.update(error_code="")
    why = "Bike shop: It is not used by this copy of the shop" if reason else "Bike shop: It is not in use"
    for page in (
        reverse("backoffice:shop_order_change", args=[data.order.pk]),
        reverse("backoffice:django_sendcloud_outboxentry_change", args=[data.entry.pk]),
    ):
        html = boss.get(page).content.decode()
        assert why in html
        assert "To be sent" not in html


def test_fixed_order_of_paused_integration_waits(boss: Client, connected: Integration) -> None:
    order = factories.order(country="XX")
    wrong = columns_of(Problem("payload_invalid", fields={"country": [Violation("country_unknown")]}))
    factories.outbox().update(state="rejected", integration=connected, **wrong)
    connected.pause(PauseReason.CREDENTIALS)
    entry = OutboxEntry.objects.get()
    page = reverse("backoffice:django_sendcloud_outboxentry_fix")
    form = {f"order-{entry.pk}-country": "NL", f"order-{entry.pk}-before": "XX"}
    assert said(boss, page, form) == ["1 order is fixed.", WAITS]
    order.refresh_from_db()
    assert order.country == "NL"
