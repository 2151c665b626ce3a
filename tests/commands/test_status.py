"""``sendcloud_status``: what people read, what monitors read, and the exit codes."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_sendcloud.models import Account, EntryState, OutboxEntry, PauseReason, WebhookEvent
from django_sendcloud.sync.limiter import acquire
from django_sendcloud.sync.pump import pump
from django_sendcloud.sync.status import mark_sweep
from tests import factories


def run(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("sendcloud_status", *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    return 0, out.getvalue()


@pytest.fixture
def beat(integration: Any) -> None:
    mark_sweep()


def test_all_is_well(beat: None) -> None:
    code, said = run()
    assert code == 0
    assert "All is well." in said
    assert "Webshop" in said


def test_json_has_the_same_figures(beat: None, integration: Any) -> None:
    factories.order()
    pump()
    code, said = run("--json")
    figures = json.loads(said)
    assert code == 0
    assert figures["due"] == 0
    assert figures["integrations"][0]["remote_id"] == integration.remote_id
    assert figures["integrations"][0]["shipments"] == 1
    assert figures["integrations"][0]["last_success"]
    assert figures["late"] == figures["attention"] == []


def test_nobody_pushes(beat: None) -> None:
    factories.order()
    OutboxEntry.objects.update(due_at=timezone.now() - dt.timedelta(minutes=20))
    code, said = run()
    assert code == 2
    assert "is a worker running?" in said
    assert run("--max-age", "3600")[0] == 0
    assert run("--max-age", "3600", "--max-due", "0")[0] == 2


def test_beat_never_ran_and_beat_stopped(integration: Any) -> None:
    code, said = run()
    assert code == 2
    assert "never ran" in said
    Account.objects.update(swept_at=timezone.now() - dt.timedelta(hours=1))
    code, said = run()
    assert code == 2
    assert "is Celery beat running?" in said


def test_what_needs_a_person(beat: None, integration: Any) -> None:
    factories.order(country="XX")
    pump()
    assert OutboxEntry.objects.get().state == EntryState.REJECTED
    code, said = run()
    assert code == 1
    assert "1 orders need a correction" in said
    assert run("--max-rejected", "1")[0] == 0
    integration.pause(PauseReason.CREDENTIALS, "401")
    code, said = run()
    assert code == 1
    assert "the API keys are refused" in said


def test_a_failed_webhook(beat: None, integration: Any) -> None:
    WebhookEvent.objects.create(integration=integration, digest="a" * 64, body="x", state="failed")
    code, said = run()
    assert code == 1
    assert "1 webhooks failed" in said


def test_nothing_is_connected(db: None) -> None:
    code, said = run()
    assert code == 1
    assert "sendcloud_connect" in said


def test_it_costs_the_same_however_much_there_is(beat: None, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        factories.order()
    pump()
    with django_assert_max_num_queries(7):
        run("--json")


def test_what_the_rate_leaves(beat: None, integration: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(UNSAFE_REQUESTS_PER_MINUTE=1, UNSAFE_BURST=5, SAFE_REQUESTS_PER_MINUTE=1, SAFE_BURST=50)

    def left() -> tuple[int, int]:
        health = json.loads(run("--json")[1])["integrations"][0]
        return health["changes_left"], health["reads_left"]

    assert left() == (5, 50)
    for expected in (4, 3, 2, 1, 0, 0):
        acquire(integration.account_id, "unsafe")
        assert left() == (expected, 50)
    assert "0 changing and 50 reading requests may be sent at once" in run()[1]


def test_the_breaker_is_shown(beat: None, integration: Any) -> None:
    def shown() -> str:
        return str(json.loads(run("--json")[1])["integrations"][0]["breaker"])

    assert shown() == "closed"
    now = timezone.now()
    Account.objects.update(failures=5, openings=1, open_until=now + dt.timedelta(seconds=30))
    assert shown() == "open"
    Account.objects.update(open_until=now - dt.timedelta(seconds=1))
    assert shown() == "half-open"
