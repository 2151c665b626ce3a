from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud.admin.explanations.health import explain_finding
from django_sendcloud.models import Account, Integration, OutboxEntry, PauseReason
from django_sendcloud.models.outbox import claimed, due
from django_sendcloud.models.outbox import later as later_
from django_sendcloud.sync.health import IntegrationHealth
from django_sendcloud.sync.health import health as read

CONNECTED: dict[str, Any] = {
    "public_key": "p",
    "secret_key": "s",
    "webhook_active": True,
    "webhook_url": "https://shop.example/hook",
}


@pytest.fixture
def integration(db: None) -> Integration:
    return Integration.objects.create(remote_id=1, name="Shop", last_success_at=timezone.now(), **CONNECTED)


def health(integration: Integration) -> IntegrationHealth:
    return read().of(integration)


def entry(**values: Any) -> OutboxEntry:
    return OutboxEntry.objects.create(order_type="shop.order", order_pk=str(OutboxEntry.objects.count()), **values)


def titles(found: IntegrationHealth) -> list[str]:
    return [str(explain_finding(finding).title) for finding in found.findings]


def test_healthy_integration_is_working(integration: Integration) -> None:
    entry(integration=integration)
    found = health(integration)
    assert (found.level, found.backlog.waiting) == ("working", 1)


def test_pause_has_reason_and_start(integration: Integration) -> None:
    integration.pause(PauseReason.CREDENTIALS)
    found = health(integration)
    assert (found.level, found.since) == ("paused", integration.paused_since)
    assert titles(found) == ["Sendcloud rejects the API keys"]


def test_rejected_order_needs_attention(integration: Integration) -> None:
    entry(integration=integration, state="rejected", error_code="rejected")
    entry(integration=integration, state="dead", error_code="worker_died")
    found = health(integration)
    assert found.level == "attention"
    assert titles(found) == ["Some orders need a fix", "Some orders are stopped"]
    assert (found.backlog.rejected, found.backlog.dead) == (1, 1)
    assert found.since == OutboxEntry.objects.earliest("recorded_at").recorded_at


def test_unassigned_entry_counts_for_only_integration(integration: Integration) -> None:
    entry(state="rejected", error_code="payload_invalid")
    assert health(integration).level == "attention"
    other = Integration.objects.create(remote_id=2, last_success_at=timezone.now(), **CONNECTED)
    assert health(integration).level == "working", "whose it is, nobody knows"
    assert health(other).level == "working"


def test_transient_problem_is_waiting(integration: Integration) -> None:
    since = timezone.now() - dt.timedelta(minutes=3)
    later = timezone.now() + dt.timedelta(minutes=3)
    entry(integration=integration, error_code="server_error", failing_since=since, due_at=later)
    found = health(integration)
    assert (found.level, found.since) == ("waiting", since)
    assert titles(found) == ["Sendcloud had a problem of its own"]


@pytest.mark.parametrize(
    ("reason", "title"),
    [("rate_limited", "Sendcloud asked us to slow down"), ("failing", "Sendcloud cannot be reached")],
)
def test_blocked_account_is_waiting(reason: str, title: str, integration: Integration) -> None:
    account = integration.account
    account.closed_until, account.closed_reason = timezone.now() + dt.timedelta(seconds=30), reason
    account.save()
    assert titles(health(integration)) == [title]
    account.closed_until = timezone.now() - dt.timedelta(seconds=30)
    account.save()
    assert health(integration).level == "working"


def test_late_due_orders_mean_no_worker(integration: Integration) -> None:
    old = timezone.now() - dt.timedelta(minutes=2, seconds=1)
    entry(integration=integration, due_at=old, not_before=old)
    assert health(integration).level == "working", "something got through a moment ago"
    Integration.objects.update(last_success_at=old + dt.timedelta(seconds=5))
    assert health(integration).level == "working", "two minutes have not passed since"
    Integration.objects.update(last_success_at=old)
    found = health(integration)
    assert (found.level, found.since) == ("attention", old)
    assert titles(found) == ["No worker is running"]
    Integration.objects.update(paused_since=timezone.now(), paused_reason="person")
    assert titles(health(integration)) == ["Paused by an operator"]


def test_missing_keys_need_attention(integration: Integration) -> None:
    Integration.objects.update(secret_key="")
    assert titles(health(integration)) == ["API keys are missing"]


def test_remote_failure_needs_attention(integration: Integration) -> None:
    since = timezone.now() - dt.timedelta(days=1)
    Integration.objects.update(failing_since=since)
    assert (health(integration).level, health(integration).since) == ("attention", since)


def test_unused_integration_is_off(integration: Integration) -> None:
    Integration.objects.update(is_active=False)
    assert health(integration).level == "off"


def test_health_takes_two_queries(integration: Integration, django_assert_num_queries: Any) -> None:
    for number in range(5):
        other = Integration.objects.create(remote_id=10 + number, public_key="p", secret_key="s")
        for _ in range(10):
            entry(integration=other, error_code="no_answer", failing_since=timezone.now())
    with django_assert_num_queries(2):
        assert len(read().integrations) == 6


def test_unused_connection_is_connecting(integration: Integration) -> None:
    Integration.objects.update(last_success_at=None)
    found = health(integration)
    assert (found.level, titles(found)) == ("connecting", ["No order has been sent yet"])
    entry(integration=integration, state="rejected", error_code="rejected")
    assert health(integration).level == "attention", "what is wrong goes before"


def test_new_integration_without_keys_is_connecting(integration: Integration) -> None:
    Integration.objects.update(last_success_at=None, secret_key="")
    found = health(integration)
    assert (found.level, titles(found)) == ("connecting", ["API keys are still to be entered"])


def test_integration_without_webhook_is_connecting(integration: Integration, settings: Any) -> None:
    Integration.objects.update(webhook_active=False)
    found = health(integration)
    assert (found.level, found.since) == ("connecting", integration.created_at)
    assert titles(found) == ["Orders go out, but parcel updates do not arrive yet"]
    Integration.objects.update(last_webhook_at=timezone.now())
    assert health(integration).level == "waiting", "it was there, and somebody switched it off"
    settings.ROOT_URLCONF = "rest_framework.urls"
    assert health(integration).level == "working", "nobody asked for news"


def test_waiting_entries_are_counted_by_moment(integration: Integration) -> None:
    now = timezone.now()
    past, soon, later = (now + dt.timedelta(minutes=minutes) for minutes in (-5, 5, 10))
    entry(integration=integration, due_at=past, not_before=past)
    entry(integration=integration, due_at=past, not_before=later, lease="somebody")
    entry(integration=integration, due_at=past, not_before=later)
    entry(integration=integration, due_at=soon, not_before=past)
    entry(integration=integration, due_at=soon, not_before=past, lease="somebody who died")
    backlog = health(integration).backlog
    assert (backlog.due, backlog.claimed, backlog.later, backlog.waiting) == (1, 1, 3, 5)
    assert (backlog.oldest_due, backlog.next_at) == (past, soon)
    for filtered, number in ((due, 1), (claimed, 1), (later_, 3)):
        assert OutboxEntry.objects.filter(filtered(now)).count() == number


def test_unassigned_entries_of_several_stay_unassigned(integration: Integration) -> None:
    entry()
    assert read().unassigned.waiting == 0, "there is only one that could take it"
    Integration.objects.create(remote_id=2, **CONNECTED)
    entry(state="dead", error_code="worker_died")
    entry(integration=integration, state="dead", error_code="worker_died")
    found = read()
    assert (found.unassigned.waiting, found.unassigned.dead) == (1, 1)
    assert [(problem.state, problem.code, problem.number) for problem in found.problems] == [
        ("dead", "worker_died", 2),
        ("pending", "", 1),
    ]
    Integration.objects.update(is_active=False)
    assert read().unassigned.waiting == 1


def test_disconnected_integration_has_one_finding(integration: Integration) -> None:
    Integration.objects.update(is_active=False, public_key="", secret_key="")
    assert titles(health(integration)) == ["It is disconnected"]


def test_missing_entitlement_differs_from_wrong_keys(integration: Integration) -> None:
    integration.pause(PauseReason.PERMISSION)
    assert titles(health(integration)) == ["Sendcloud does not allow this with these keys"]


def test_adapter_failure_needs_attention(integration: Integration) -> None:
    since = timezone.now() - dt.timedelta(minutes=1)
    entry(integration=integration, error_code="adapter_error", failing_since=since)
    found = health(integration)
    assert (found.level, found.code, found.since) == ("attention", "orders_failing", since)
    assert (found.findings[0].number, found.findings[0].detail) == (1, "adapter_error")


def test_outage_is_found_beside_rejected_orders(integration: Integration) -> None:
    """Fold an outage and a rejected order into two findings: neither hides the other."""
    since = timezone.now() - dt.timedelta(minutes=2)
    later = timezone.now() + dt.timedelta(minutes=1)
    Integration.objects.update(last_success_at=since - dt.timedelta(minutes=1))
    entry(integration=integration, state="rejected", error_code="payload_invalid")
    for _ in range(3):
        entry(integration=integration, error_code="not_sent", failing_since=since, due_at=later)
    entry(integration=integration)
    found = health(integration).find("unreachable")  # type: ignore[arg-type]
    assert found
    assert (found.since, found.until, found.number) == (since, later, 4)
    Integration.objects.update(last_success_at=timezone.now())
    assert not health(integration).find("unreachable"), "another order got through"  # type: ignore[arg-type]


def test_idle_half_open_breaker_is_no_outage(integration: Integration) -> None:
    Account.objects.update(openings=1, closed_reason="failing", closed_until=timezone.now() - dt.timedelta(minutes=1))
    assert health(integration).level == "working"
    entry(integration=integration)
    assert health(integration).code == "unreachable"


def test_changed_order_has_no_problem(integration: Integration) -> None:
    """Ignore the last problem of an order that changed since: it is neither failing nor rejected."""
    entry(integration=integration, error_code="payload_invalid")
    assert health(integration).level == "working"
    assert [(problem.code, problem.number) for problem in read().problems] == [("", 1)]
