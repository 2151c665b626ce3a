"""``sendcloud_status``: what people read, what monitors read, and the exit codes."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from django_sendcloud.models import Account, EntryState, Integration, OutboxEntry, PauseReason, WebhookEvent
from django_sendcloud.registry import temporarily_registered
from django_sendcloud.sync.health import mark_sweep
from django_sendcloud.sync.limiter import acquire
from django_sendcloud.sync.worker import push_due
from tests import factories
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder


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


def test_healthy_shop_exits_with_zero(beat: None) -> None:
    code, said = run()
    assert code == 0
    assert "All is well." in said
    assert "Webshop" in said


def test_json_has_the_same_figures(beat: None, integration: Any) -> None:
    factories.order()
    push_due()
    code, said = run("--json")
    figures = json.loads(said)
    assert code == 0
    assert figures["due"] == 0
    assert figures["integrations"][0]["remote_id"] == integration.remote_id
    assert figures["integrations"][0]["shipments"] == 1
    assert figures["integrations"][0]["last_success"]
    assert figures["late"] == figures["attention"] == []


def test_overdue_order_exits_with_two(beat: None) -> None:
    factories.order()
    factories.outbox().update(due_at=timezone.now() - dt.timedelta(minutes=20))
    code, said = run()
    assert code == 2
    assert "is a worker running?" in said
    assert run("--max-age", "3600")[0] == 0
    assert run("--max-age", "3600", "--max-due", "0")[0] == 2


def test_missing_beat_exits_with_two(integration: Any) -> None:
    code, said = run()
    assert code == 2
    assert "never ran" in said
    Account.objects.update(swept_at=timezone.now() - dt.timedelta(hours=1))
    code, said = run()
    assert code == 2
    assert "is sendcloud_work running, or Celery beat?" in said


def test_rejected_orders_exit_with_one(beat: None, integration: Any) -> None:
    factories.order(country="XX")
    push_due()
    assert factories.outbox().get().state == EntryState.REJECTED
    code, said = run()
    assert code == 1
    assert "1 order to be fixed." in said
    assert run("--max-rejected", "1")[0] == 0
    integration.pause(PauseReason.CREDENTIALS, "401")
    code, said = run()
    assert code == 1
    assert "the API keys are rejected" in said


def test_failed_webhook_exits_with_one(beat: None, integration: Any) -> None:
    WebhookEvent.objects.create(integration=integration, digest="a" * 64, body="x", state="failed")
    code, said = run()
    assert code == 1
    assert "1 webhook failed." in said


def test_missing_integration_is_reported(db: None) -> None:
    code, said = run()
    assert code == 1
    assert "sendcloud_connect" in said


def test_unused_integration_is_not_called_missing(beat: None) -> None:
    Integration.objects.update(is_active=False)
    code, text = run()
    assert code == 1
    assert "No integration is in use: mark one as in use in the admin." in text
    assert "No integration is connected" not in text


def test_status_statements_do_not_grow(beat: None, django_assert_max_num_queries: Any) -> None:
    for _ in range(20):
        factories.order()
    push_due()
    with django_assert_max_num_queries(8):
        run("--json")


def test_status_shows_the_rate_left(beat: None, integration: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(UNSAFE_REQUESTS_PER_MINUTE=1, UNSAFE_BURST=5, SAFE_REQUESTS_PER_MINUTE=1, SAFE_BURST=50)

    def left() -> tuple[int, int]:
        health = json.loads(run("--json")[1])["integrations"][0]
        return health["writes_left"], health["reads_left"]

    assert left() == (5, 50)
    for expected in (4, 3, 2, 1, 0, 0):
        acquire(integration.account_id, "unsafe")
        assert left() == (expected, 50)
    assert run()[1].splitlines()[1].split()[-2:] == ["0", "50"]


def test_status_shows_the_breaker(beat: None, integration: Any) -> None:
    def shown() -> str:
        return str(json.loads(run("--json")[1])["integrations"][0]["breaker"])

    assert shown() == "closed"
    now = timezone.now()
    Account.objects.update(failures=5, openings=1, closed_until=now + dt.timedelta(seconds=30), closed_reason="failing")
    assert shown() == "open"
    Account.objects.update(closed_until=now - dt.timedelta(seconds=1), closed_reason="failing")
    assert shown() == "half-open"


# -- each integration ---------------------------------------------------------------------------------


@pytest.fixture
def two(beat: None, integration: Any) -> tuple[Integration, Integration]:
    other = Integration.objects.create(remote_id=2002, name="Second", public_key="p", secret_key="s")
    now = timezone.now()

    def entry(number: int, **values: Any) -> None:
        values = {"due_at": now, "not_before": now} | values
        OutboxEntry.objects.create(order_type="shop.order", order_pk=str(number), **values)

    entry(1, integration=integration, due_at=now - dt.timedelta(seconds=90))
    entry(2, integration=integration, due_at=now + dt.timedelta(hours=1))
    entry(3, integration=other, lease="x", not_before=now + dt.timedelta(minutes=1))
    entry(4, integration=other, state=EntryState.REJECTED)
    entry(5, integration=other, state=EntryState.REJECTED)
    entry(6, integration=other, state=EntryState.DEAD)
    for number, state in enumerate(["received", "failed", "failed", "processed"]):
        WebhookEvent.objects.create(
            integration=other,
            digest=f"{number:064}",
            body="x",
            state=state,
            received_at=now - dt.timedelta(seconds=100),
        )
    return integration, other


def figures_of(found: dict[str, Any]) -> dict[str, Any]:
    names = ["due", "later", "claimed", "rejected", "dead", "inbox", "inbox_failed"]
    return {name: found[name] for name in names if found[name]}


def test_status_has_figures_per_integration(two: Any) -> None:
    found = json.loads(run("--json")[1])
    first, second = found["integrations"]
    assert figures_of(first) == {"due": 1, "later": 1}
    assert 90 <= first["oldest_due_seconds"] < 100
    assert figures_of(second) == {"claimed": 1, "rejected": 2, "dead": 1, "inbox": 1, "inbox_failed": 2}
    assert 100 <= second["inbox_lag_seconds"] < 110
    assert figures_of(found) == {
        "due": 1, "later": 1, "claimed": 1, "rejected": 2, "dead": 1, "inbox": 1, "inbox_failed": 2,
    }  # fmt: skip
    table = [line.split() for line in run()[1].splitlines()]
    assert table[1][:4] == ["Webshop", "1", "1", "min"]
    assert table[2][0] == "Second"
    assert table[3][0] == "together"


def test_unassigned_orders_belong_to_the_only_integration(two: Any) -> None:
    now = timezone.now()
    OutboxEntry.objects.create(order_type="shop.order", order_pk="7", due_at=now, not_before=now)
    found = json.loads(run("--json")[1])
    assert figures_of(found["unassigned"]) == {"due": 1}
    assert found["integrations"][0]["due"] == 1
    assert "(not looked at yet)" in run()[1]
    Integration.objects.filter(name="Second").update(is_active=False)
    found = json.loads(run("--json")[1])
    assert figures_of(found["unassigned"]) == {}
    assert found["integrations"][0]["due"] == 2
    assert found["due"] == 2


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--max-rejected", "2", "--max-dead", "1", "--max-failed", "2"], 0),
        (["--max-rejected", "1", "--max-dead", "1", "--max-failed", "2"], 1),
        (["--max-rejected", "2", "--max-dead", "0", "--max-failed", "2"], 1),
        (["--max-rejected", "2", "--max-dead", "1", "--max-failed", "1"], 1),
        (["--max-age", "60"], 2),
        (["--max-inbox-age", "60"], 2),
        (["--max-due", "0"], 2),
        (["--max-sweep-age", "0"], 2),
    ],
)
def test_thresholds_are_options(two: Any, options: list[str], code: int) -> None:
    assert run(*options)[0] == code


# -- orders that wait for more than a worker ----------------------------------------------------------


def due_since(minutes: float, integration: Integration | None = None) -> None:
    then = timezone.now() - dt.timedelta(minutes=minutes)
    pk = str(OutboxEntry.objects.count())
    OutboxEntry.objects.create(
        order_type="shop.order", order_pk=pk, integration=integration, due_at=then, not_before=then
    )


def paused(integration: Integration) -> None:
    integration.pause(PauseReason.CREDENTIALS)


def blocked(integration: Integration) -> None:
    until = timezone.now() + dt.timedelta(minutes=5)
    Account.objects.filter(pk=integration.account_id).update(closed_until=until, closed_reason="rate_limited")


def broken(integration: Integration) -> None:
    until = timezone.now() + dt.timedelta(minutes=5)
    Account.objects.filter(pk=integration.account_id).update(
        failures=5, openings=1, closed_until=until, closed_reason="failing"
    )


def unused(integration: Integration) -> None:
    Integration.objects.filter(pk=integration.pk).update(is_active=False)


OBSTACLES = [(paused, 1), (blocked, 0), (broken, 0), (unused, 0)]


@pytest.fixture
def other(beat: None) -> Integration:
    """Connect another integration, of an account of its own."""
    account = Account.objects.create(name="another", swept_at=timezone.now())
    return Integration.objects.create(remote_id=2002, name="Second", public_key="p", secret_key="s", account=account)


@pytest.mark.parametrize(("obstacle", "code"), OBSTACLES)
def test_orders_of_blocked_integration_are_not_overdue(other: Integration, obstacle: Any, code: int) -> None:
    due_since(60, other)
    obstacle(other)
    assert run("--max-due", "0")[0] == code
    assert "is a worker running?" not in run()[1]


@pytest.mark.parametrize(("obstacle", "_code"), OBSTACLES)
def test_orders_of_running_integration_are_overdue(
    other: Integration, integration: Integration, obstacle: Any, _code: int
) -> None:
    due_since(60, integration)
    due_since(120, other)
    obstacle(other)
    code, said = run()
    assert code == 2
    # The age of what could be sent. The clock goes on meanwhile.
    assert re.search(r"An order has been due for 36\d\d s: is a worker running\?", said), said
    assert "1 orders are due" in run("--max-due", "0")[1]


@pytest.mark.parametrize(("obstacle", "_code"), OBSTACLES)
def test_unassigned_orders_are_overdue_if_any_runs(other: Integration, obstacle: Any, _code: int) -> None:
    due_since(60)
    obstacle(other)
    assert run()[0] == 2


@pytest.mark.parametrize(("obstacle", "code"), [(paused, 1), (blocked, 0), (broken, 0), (unused, 1)])
def test_orders_are_not_overdue_if_none_runs(beat: None, integration: Integration, obstacle: Any, code: int) -> None:
    due_since(60)
    due_since(60, integration)
    obstacle(integration)
    assert run("--max-due", "0")[0] == code


@pytest.mark.parametrize(("minutes", "code"), [(5, 0), (15, 1)])
def test_lasting_outage_is_not_well(beat: None, integration: Integration, minutes: float, code: int) -> None:
    """The mails of alerts report it after ten minutes; a monitor that asks this command learns of it as well."""
    since = timezone.now() - dt.timedelta(minutes=minutes)
    later = timezone.now() + dt.timedelta(minutes=1)
    OutboxEntry.objects.create(
        order_type="shop.order",
        order_pk="1",
        due_at=later,
        not_before=later,
        error_code="no_answer",
        failing_since=since,
    )
    found, said = run()
    assert found == code
    assert "All is well" not in said
    assert ("Sendcloud cannot be reached" in said.splitlines()[-1]) is bool(code)


@pytest.mark.parametrize(("hours", "code"), [(0.1, 0), (2, 1)])
def test_lasting_failure_of_orders_is_reported(beat: None, integration: Integration, hours: float, code: int) -> None:
    since = timezone.now() - dt.timedelta(hours=hours)
    OutboxEntry.objects.create(
        order_type="shop.order", order_pk="1", error_code="answer_incomplete", failing_since=since
    )
    found, said = run()
    assert found == code
    assert "All is well" not in said


def test_failing_adapter_needs_a_person(beat: None) -> None:
    """With a queryset that cannot be loaded, every order waits for 72 hours before it is stopped."""

    class Misspelt(ShopOrder):
        queryset = Order.objects.prefetch_related("linez")

    with temporarily_registered(Misspelt, Order):
        factories.order()
        push_due()
        code, said = run()
        assert code == 1
        assert "All is well" not in said
        assert "orders fail and are retried (adapter_error), 1 order" in said
        found = json.loads(run("--json")[1])["integrations"][0]
        assert found["health"] == "attention"
        assert [finding["code"] for finding in found["findings"]] == ["orders_failing"]
