from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud.admin.health import Health, due, in_hand, overview, standing
from django_sendcloud.admin.health import later as later_
from django_sendcloud.models import Integration, OutboxEntry, PauseReason

CONNECTED: dict[str, Any] = {
    "public_key": "p",
    "secret_key": "s",
    "webhook_active": True,
    "webhook_url": "https://shop.example/hook",
}


@pytest.fixture
def integration(db: None) -> Integration:
    return Integration.objects.create(remote_id=1, name="Shop", last_success_at=timezone.now(), **CONNECTED)


def health(integration: Integration) -> Health:
    return next(health for found, health in overview() if found.pk == integration.pk)


def entry(**values: Any) -> OutboxEntry:
    return OutboxEntry.objects.create(order_type="shop.order", order_pk=str(OutboxEntry.objects.count()), **values)


def titles(found: Health) -> list[str]:
    return [str(finding.explanation.title) for finding in found.findings]


def test_an_integration_with_nothing_wrong_is_working(integration: Integration) -> None:
    entry(integration=integration)
    found = health(integration)
    assert (found.state, found.backlog.waiting) == ("working", 1)


def test_a_pause_tells_why_and_since_when(integration: Integration) -> None:
    integration.pause(PauseReason.CREDENTIALS)
    found = health(integration)
    assert (found.state, found.since) == ("paused", integration.paused_since)
    assert titles(found) == ["Sendcloud refuses the API keys"]


def test_a_correction_that_is_needed_needs_attention(integration: Integration) -> None:
    entry(integration=integration, state="rejected", error_code="rejected")
    entry(integration=integration, state="dead", error_code="worker_died")
    found = health(integration)
    assert found.state == "attention"
    assert titles(found) == ["Some orders need a correction", "Some orders were given up"]
    assert (found.backlog.rejected, found.backlog.dead) == (1, 1)
    assert found.since == OutboxEntry.objects.earliest("recorded_at").recorded_at


def test_what_could_not_be_built_counts_for_the_only_integration_in_use(integration: Integration) -> None:
    entry(state="rejected", error_code="payload_invalid")
    assert health(integration).state == "attention"
    other = Integration.objects.create(remote_id=2, last_success_at=timezone.now(), **CONNECTED)
    assert health(integration).state == "working", "whose it is, nobody knows"
    assert health(other).state == "working"


def test_what_heals_by_itself_is_waiting(integration: Integration) -> None:
    since = timezone.now() - dt.timedelta(minutes=3)
    later = timezone.now() + dt.timedelta(minutes=3)
    entry(integration=integration, error_code="server_error", failing_since=since, due_at=later)
    found = health(integration)
    assert (found.state, found.since) == ("waiting", since)
    assert titles(found) == ["Sendcloud had a problem of its own"]


@pytest.mark.parametrize(
    ("field", "title"),
    [("blocked_until", "Sendcloud asked us to slow down"), ("open_until", "Sendcloud is having trouble")],
)
def test_a_blocked_account_is_waiting(field: str, title: str, integration: Integration) -> None:
    account = integration.account
    setattr(account, field, timezone.now() + dt.timedelta(seconds=30))
    account.save()
    assert titles(health(integration)) == [title]
    setattr(account, field, timezone.now() - dt.timedelta(seconds=30))
    account.save()
    assert health(integration).state == "working"


def test_due_orders_that_nobody_takes_mean_that_no_worker_runs(integration: Integration) -> None:
    old = timezone.now() - dt.timedelta(minutes=20)
    entry(integration=integration, due_at=old, not_before=old)
    assert health(integration).state == "working", "something got through a moment ago"
    Integration.objects.update(last_success_at=old)
    found = health(integration)
    assert (found.state, found.since) == ("attention", old)
    assert titles(found) == ["Orders wait, and nobody pushes them"]
    Integration.objects.update(paused_since=timezone.now(), paused_reason="person")
    assert titles(health(integration)) == ["Paused by a person"]


def test_an_integration_without_keys_needs_attention(integration: Integration) -> None:
    Integration.objects.update(secret_key="")
    assert titles(health(integration)) == ["It has no API keys"]


def test_trouble_at_sendcloud_needs_attention(integration: Integration) -> None:
    since = timezone.now() - dt.timedelta(days=1)
    Integration.objects.update(failing_since=since)
    assert (health(integration).state, health(integration).since) == ("attention", since)


def test_one_that_is_not_in_use_says_so_first(integration: Integration) -> None:
    Integration.objects.update(is_active=False)
    assert health(integration).state == "off"


def test_it_costs_two_queries_however_much_waits(integration: Integration, django_assert_num_queries: Any) -> None:
    for number in range(5):
        other = Integration.objects.create(remote_id=10 + number, public_key="p", secret_key="s")
        for _ in range(10):
            entry(integration=other, error_code="no_answer")
    with django_assert_num_queries(2):
        assert len(overview()) == 6


def test_what_has_sent_nothing_yet_is_being_connected(integration: Integration) -> None:
    Integration.objects.update(last_success_at=None)
    found = health(integration)
    assert (found.state, titles(found)) == ("connecting", ["No order has been sent yet"])
    entry(integration=integration, state="rejected", error_code="rejected")
    assert health(integration).state == "attention", "what is wrong goes before"


def test_one_without_keys_that_never_worked_is_not_finished_rather_than_ill(integration: Integration) -> None:
    Integration.objects.update(last_success_at=None, secret_key="")
    found = health(integration)
    assert (found.state, titles(found)) == ("connecting", ["Its keys are still to be entered"])


def test_without_a_webhook_it_is_still_being_connected(integration: Integration, settings: Any) -> None:
    Integration.objects.update(webhook_active=False)
    found = health(integration)
    assert (found.state, found.since) == ("connecting", integration.created_at)
    assert titles(found) == ["Orders go out, but news of parcels does not come in yet"]
    Integration.objects.update(last_webhook_at=timezone.now())
    assert health(integration).state == "waiting", "it was there, and somebody switched it off"
    settings.ROOT_URLCONF = "rest_framework.urls"
    assert health(integration).state == "working", "nobody asked for news"


def test_what_waits_is_told_by_whether_it_could_go(integration: Integration) -> None:
    now = timezone.now()
    past, soon, later = (now + dt.timedelta(minutes=minutes) for minutes in (-5, 5, 10))
    entry(integration=integration, due_at=past, not_before=past)
    entry(integration=integration, due_at=past, not_before=later, lease="somebody")
    entry(integration=integration, due_at=past, not_before=later)
    entry(integration=integration, due_at=soon, not_before=past)
    entry(integration=integration, due_at=soon, not_before=past, lease="somebody who died")
    backlog = health(integration).backlog
    assert (backlog.due, backlog.in_hand, backlog.later, backlog.waiting) == (1, 1, 3, 5)
    assert (backlog.oldest_due, backlog.next_at) == (past, soon)
    for filtered, number in ((due, 1), (in_hand, 1), (later_, 3)):
        assert OutboxEntry.objects.filter(filtered(now)).count() == number


def test_what_nobody_takes_belongs_to_nobody(integration: Integration) -> None:
    entry()
    assert standing().unassigned.waiting == 0, "there is only one that could take it"
    Integration.objects.create(remote_id=2, **CONNECTED)
    entry(state="dead", error_code="worker_died")
    entry(integration=integration, state="dead", error_code="worker_died")
    found = standing()
    assert (found.unassigned.waiting, found.unassigned.dead) == (1, 1)
    assert [(problem.state, problem.code, problem.number) for problem in found.problems] == [
        ("dead", "worker_died", 2),
        ("pending", "", 1),
    ]
    Integration.objects.update(is_active=False)
    assert standing().unassigned.waiting == 1


def test_what_lost_its_keys_is_disconnected_and_nothing_else(integration: Integration) -> None:
    Integration.objects.update(is_active=False, public_key="", secret_key="")
    assert titles(health(integration)) == ["It is disconnected"]


def test_keys_that_are_right_and_not_entitled_are_told_from_wrong_ones(integration: Integration) -> None:
    integration.pause(PauseReason.CREDENTIALS, "upsert shipments (integration 1): HTTP 403: not allowed")
    assert titles(health(integration)) == ["Sendcloud does not allow this to these keys"]
