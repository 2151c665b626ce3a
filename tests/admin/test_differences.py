"""Differences page: the last comparison with Sendcloud, and what an operator does about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from django_sendcloud import broker, jobs, tasks
from django_sendcloud.core.clock import clock
from django_sendcloud.models import Checkpoint, Integration, OutboxEntry, ReconciliationRun, Shipment
from django_sendcloud.sync import reconcile
from django_sendcloud.testing import drain
from tests import factories
from tests.shop.models import Order

pytestmark = pytest.mark.long


@pytest.fixture
def boss(as_role: Callable[..., Client]) -> Client:
    return as_role("superuser")


@pytest.fixture
def orders(integration: Integration, sandbox: Any) -> list[Order]:
    """Push three orders as if an hour ago, and lose the first one at Sendcloud."""
    made = [factories.order() for _ in range(3)]
    drain()
    Shipment.objects.update(last_pushed_at=clock.now() - dt.timedelta(hours=1))
    factories.clear_outbox()
    sandbox.delete_shipment(sandbox.shipment(str(made[0].pk))["shipment_uuid"])
    return made


def of(order: Order) -> Shipment:
    return Shipment.objects.get(order_pk=str(order.pk))


def url(integration: Integration) -> str:
    return reverse("admin:django_sendcloud_integration_differences", args=[integration.pk])


def page(client: Client, integration: Integration) -> str:
    return client.get(url(integration)).content.decode()


def press(client: Client, integration: Integration, do: str, *orders: Order) -> str:
    data = {"do": do, "shipment": [of(order).pk for order in orders]}
    answer = client.post(url(integration), data, follow=True)
    factories.forget_transaction()
    return answer.content.decode()


def compare(integration: Integration, times: int = 1) -> None:
    for _ in range(times):
        reconcile.compare(integration)


def test_page_before_first_comparison(boss: Client, integration: Integration) -> None:
    html = page(boss, integration)
    assert "Nothing has been compared yet." in html
    assert "Compare now" in html


def test_equal_sides_are_the_same(boss: Client, integration: Integration) -> None:
    compare(integration)
    assert "Both sides are the same." in page(boss, integration)


def test_difference_found_once_is_not_chosen(boss: Client, orders: list[Order], integration: Integration) -> None:
    compare(integration)
    html = page(boss, integration)
    assert "Missing at Sendcloud" in html
    assert "found once" in html
    assert " checked" not in html
    compare(integration)
    html = page(boss, integration)
    assert "found once" not in html
    assert " checked" in html


def test_sent_difference_is_at_sendcloud_again(
    boss: Client, orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    compare(integration, 2)
    assert "1 order is being pushed." in press(boss, integration, "send", orders[0])
    drain()
    assert sandbox.shipment(str(orders[0].pk)) is not None
    assert LogEntry.objects.get().object_id == str(of(orders[0]).pk)
    assert "Both sides are the same." in page(boss, integration)


def test_shipment_deleted_here_is_deleted_there_again(
    boss: Client, orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    Order.objects.filter(pk=orders[1].pk).update(status="cancelled")
    Shipment.objects.filter(pk=of(orders[1]).pk).update(status="deleted", deleted_at=clock.now())
    compare(integration, 2)
    assert "Deleted here, still at Sendcloud" in page(boss, integration)
    press(boss, integration, "send", orders[1])
    drain()
    assert sandbox.shipment(str(orders[1].pk)) is None


def test_ignored_difference_moves_and_comes_back(boss: Client, orders: list[Order], integration: Integration) -> None:
    compare(integration, 2)
    assert "1 difference is ignored." in press(boss, integration, "ignore", orders[0])
    html = page(boss, integration)
    assert "No open differences. 1 is ignored, below." in html
    assert "Both sides are the same." not in html
    assert "Stop ignoring" in html
    assert "1 difference counts again." in press(boss, integration, "count", orders[0])
    assert "Missing at Sendcloud" in page(boss, integration)


def test_difference_settled_meanwhile_is_left_out(boss: Client, orders: list[Order], integration: Integration) -> None:
    """The page was open while a colleague sent the order."""
    compare(integration, 2)
    Shipment.objects.update(mismatches=0)
    html = press(boss, integration, "send", orders[0])
    assert "1 is left out" in html
    assert not OutboxEntry.objects.exists()


def test_empty_choice_is_explained(boss: Client, orders: list[Order], integration: Integration) -> None:
    compare(integration, 2)
    assert "Choose at least one difference." in press(boss, integration, "send")


@pytest.mark.parametrize("value", ["x", "-1", "", "9" * 30, "1.5"])
def test_odd_choice_does_nothing(boss: Client, orders: list[Order], integration: Integration, value: str) -> None:
    compare(integration, 2)
    assert boss.post(url(integration), {"do": "send", "shipment": value}).status_code == 302
    assert not OutboxEntry.objects.exists()


def test_other_integrations_shipment_is_left_out(
    boss: Client, orders: list[Order], integration: Integration, sandbox: Any
) -> None:
    other = factories.integration(sandbox.add_integration("Other"))
    compare(integration, 2)
    assert "1 is left out" in press(boss, other, "send", orders[0])
    assert of(orders[0]).mismatches == 2


# -- comparing now ------------------------------------------------------------------------------------


def test_compare_now_runs_in_worker(
    boss: Client,
    orders: list[Order],
    integration: Integration,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    compare(integration)
    notified: list[Any] = []
    monkeypatch.setattr(broker.reconcile_notifier, "notify", lambda: notified.append("reconcile"))
    with django_capture_on_commit_callbacks(execute=True):
        html = press(boss, integration, "compare")
    assert notified == ["reconcile"]
    assert "A comparison waits for a worker." in html
    assert "Compare now" not in html
    assert 'data-sc-refresh="5"' in html
    jobs.reconcile()
    assert ReconciliationRun.objects.filter(finished_at__isnull=False).count() == 2
    assert of(orders[0]).digest == "", "two comparisons agree"


def test_compare_now_twice_asks_once(boss: Client, integration: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "publish", lambda *args, **options: None)
    press(boss, integration, "compare")
    assert "It is being compared already" in press(boss, integration, "compare")
    assert ReconciliationRun.objects.count() == 1


def test_compare_now_hastens_work_without_celery(
    boss: Client, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "publish", lambda *args, **options: None)
    assert Checkpoint.take("job reconcile", dt.timedelta(days=1))
    assert not Checkpoint.take("job reconcile", dt.timedelta(days=1))
    press(boss, integration, "compare")
    assert any(name == "reconcile" for name, _job in jobs._due_jobs())


def test_paused_integration_is_not_compared(boss: Client, integration: Integration) -> None:
    Integration.objects.update(paused_since=clock.now(), paused_reason="person")
    assert "Compare now" not in page(boss, integration)
    assert "cannot be compared now" in press(boss, integration, "compare")
    assert not ReconciliationRun.objects.exists()


# -- permissions --------------------------------------------------------------------------------------


def test_viewer_sees_and_does_not_act(
    as_role: Callable[..., Client], orders: list[Order], integration: Integration
) -> None:
    compare(integration, 2)
    client = as_role("viewer")
    html = page(client, integration)
    assert "Missing at Sendcloud" in html
    assert "Send again</button>" not in html
    assert client.post(url(integration), {"do": "send"}).status_code == 403
    assert as_role("staff").get(url(integration)).status_code == 403
    assert as_role("staff", "view_integration").get(url(integration)).status_code == 403


def test_page_of_integration_leads_there(boss: Client, integration: Integration) -> None:
    html = boss.get(reverse("admin:django_sendcloud_integration_change", args=[integration.pk])).content.decode()
    assert url(integration) in html
