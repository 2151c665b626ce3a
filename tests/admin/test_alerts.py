"""Alerts: signals and mails of new problems, the digest, and the number in the sidebar."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import django
import pytest
from django.core import mail
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import reverse

from django_sendcloud import jobs
from django_sendcloud.conf import AlertSettings, problems
from django_sendcloud.core.clock import clock
from django_sendcloud.models import Alert, Checkpoint, Integration, OutboxEntry, PauseReason, WebhookEvent
from django_sendcloud.signals import alert_raised, alert_solved
from django_sendcloud.sync.alerts import is_quiet, take_digest
from django_sendcloud.sync.health import mark_sweep
from django_sendcloud.sync.problems import Problem, columns_of
from django_sendcloud.violations import Violation
from tests import factories

pytestmark = pytest.mark.django_db

# Its name since Django 6.1.
BROKEN: dict[str, Any] = (
    {"MAILERS": {"default": {"BACKEND": "tests.admin.test_alerts.Broken"}}}
    if django.VERSION >= (6, 1)
    else {"EMAIL_BACKEND": "tests.admin.test_alerts.Broken"}
)
NO_DIGEST: dict[str, Any] = {"recipients": ["ship@shop.example"], "morning": None}


@pytest.fixture
def alerted(integration: Integration, sendcloud_settings: Callable[..., None]) -> Callable[..., None]:
    """Return a function that sets ``ALERTS``; at first, mails without a digest."""
    Integration.objects.update(last_success_at=clock.now(), webhook_active=True, webhook_url="https://shop.example/x")

    def set_(**values: Any) -> None:
        sendcloud_settings(ALERTS={**NO_DIGEST, **values})

    set_()
    return set_


def reject(number: int = 1, field: str = "", rule: str = "") -> None:
    wrong = {field: [Violation(rule, {"value": "canary"})]} if field else {}
    for _ in range(number):
        OutboxEntry.objects.create(
            integration=Integration.objects.get(),
            order_type="shop.order",
            order_pk=uuid.uuid4().hex,
            order_number="CANARY-1",
            state="rejected",
            **columns_of(Problem("payload_invalid", "canary@example.com", wrong)),
        )


def at(hour: int, minute: int = 0) -> dt.datetime:
    """Return a moment of a day in summer, by the clock of the site (Amsterdam)."""
    return dt.datetime(2026, 7, 1, hour, minute, tzinfo=dt.timezone(dt.timedelta(hours=2)))


@pytest.fixture
def heard() -> Iterator[list[tuple[str, str, int]]]:
    found: list[tuple[str, str, int]] = []

    def raised(code: str, number: int, **kwargs: Any) -> None:
        found.append(("raised", code, number))

    def solved(code: str, number: int, **kwargs: Any) -> None:
        found.append(("solved", code, number))

    alert_raised.connect(raised)
    alert_solved.connect(solved)
    yield found
    alert_raised.disconnect(raised)
    alert_solved.disconnect(solved)


def test_first_problem_is_mailed_once(alerted: Any, later: Callable[[float], None]) -> None:
    jobs.alert()
    assert mail.outbox == []
    reject()
    jobs.alert()
    reject()
    later(3600)
    jobs.alert()
    assert [message.subject for message in mail.outbox] == ["Sendcloud: Webshop: Invalid data"]
    assert mail.outbox[0].to == ["ship@shop.example"]


def test_mail_names_no_order_and_no_buyer(alerted: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(WEBHOOK_BASE_URL="https://shop.example")
    reject(2)
    jobs.alert()
    text = mail.outbox[0].subject + mail.outbox[0].body
    assert "2 orders." in text
    assert "https://shop.example/admin/django_sendcloud/outboxentry/?problem=payload_invalid" in text
    assert "canary" not in text.lower()


def test_cause_has_a_mail_of_its_own(alerted: Any) -> None:
    reject()
    jobs.alert()
    Integration.objects.get().pause(PauseReason.CREDENTIALS)
    jobs.alert()
    assert len(mail.outbox) == 2
    assert mail.outbox[1].subject == "Sendcloud: Webshop: Sendcloud rejects the API keys"


def test_orders_to_fix_are_mailed_by_cause(
    alerted: Any, as_role: Callable[..., Client], sendcloud_settings: Any, later: Callable[[float], None]
) -> None:
    sendcloud_settings(WEBHOOK_BASE_URL="https://shop.example")
    reject(2, "parcel_items[3].weight", "positive")
    reject(1, "parcel_items[0].weight", "positive")
    reject(1, "country", "country")
    OutboxEntry.objects.filter(error_fields={}).delete()
    jobs.alert()
    found = {message.subject: message.body for message in mail.outbox}
    weight, country = sorted(found, key=lambda subject: "Country" in subject)
    assert country == "Sendcloud: Webshop: Country is not valid"
    assert "3 orders." in found[weight]
    assert "canary" not in "".join([*found, *found.values()]).lower()
    for subject, number in ((weight, 3), (country, 1)):
        (path,) = re.findall(r"https://shop\.example(/admin/django_sendcloud/outboxentry/\S+)", found[subject])
        assert as_role("superuser").get(path).context["cl"].result_count == number
    assert {(alert.code, alert.detail, alert.field, alert.rule) for alert in Alert.objects.all()} == {
        ("rejected", "payload_invalid", "parcel_items.weight", "positive"),
        ("rejected", "payload_invalid", "country", "country"),
    }
    # A cause is solved while another stays.
    solved: list[tuple[str, str]] = []

    def listen(field: str, rule: str, **kwargs: Any) -> None:
        solved.append((field, rule))

    OutboxEntry.objects.filter(error_fields__has_key="country").delete()
    later(660)
    alert_solved.connect(listen)
    jobs.alert()
    alert_solved.disconnect(listen)
    assert solved == [("country", "country")]
    assert (Alert.objects.count(), len(mail.outbox)) == (1, 2)


def test_solved_problem_is_mailed_when_it_returns(
    alerted: Any, later: Callable[[float], None], heard: list[tuple[str, str, int]]
) -> None:
    reject()
    jobs.alert()
    OutboxEntry.objects.all().delete()
    jobs.alert()
    reject()
    jobs.alert()
    assert len(mail.outbox) == 1, "a problem that vanishes for a moment is the same"
    OutboxEntry.objects.all().delete()
    later(660)
    jobs.alert()
    reject()
    jobs.alert()
    assert len(mail.outbox) == 2
    assert [(kind, code) for kind, code, _ in heard] == [
        ("raised", "rejected"),
        ("solved", "rejected"),
        ("raised", "rejected"),
    ]


def test_signal_is_sent_without_recipients(integration: Integration, heard: list[tuple[str, str, int]]) -> None:
    integration.pause(PauseReason.PERSON)
    jobs.alert()
    jobs.alert()
    assert heard == [("raised", "paused", 0)]
    assert mail.outbox == []


def test_failed_webhooks_are_mailed(alerted: Any) -> None:
    WebhookEvent.objects.create(
        integration=Integration.objects.get(), digest="x", state="failed", body="{}", received_at=clock.now()
    )
    jobs.alert()
    assert mail.outbox[0].subject == "Sendcloud: Webhooks could not be applied"


def test_failing_mail_is_repeated_and_stops_nothing(
    alerted: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reject()
    with override_settings(**BROKEN):
        jobs.alert()
    assert "canary@mail.example" not in caplog.text
    assert "ConnectionRefusedError" in caplog.text
    assert Alert.objects.get().mailed_at is None
    jobs.alert()
    assert len(mail.outbox) == 1


class Broken:
    """A mail backend that fails as one without a server does."""

    def __init__(self, **kwargs: Any) -> None:
        pass

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("canary@mail.example")


def test_quiet_hours_delay_the_mail(alerted: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    alerted(quiet=(22, 7))
    monkeypatch.setattr(clock, "now", lambda: at(23))
    reject()
    jobs.alert()
    assert mail.outbox == []
    monkeypatch.setattr(clock, "now", lambda: at(7))
    jobs.alert()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("quiet", "hour", "expected"),
    [
        ((22, 7), 23, True),
        ((22, 7), 6, True),
        ((22, 7), 7, False),
        ((22, 7), 21, False),
        ((1, 5), 3, True),
        (None, 3, False),
    ],
)
def test_quiet_hours_may_span_midnight(quiet: Any, hour: int, expected: bool) -> None:
    assert is_quiet(AlertSettings(quiet=quiet), at(hour)) is expected


def test_digest_comes_once_each_morning(alerted: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    alerted(morning=8)
    days = [at(7, 59), at(8), at(9), at(8) + dt.timedelta(days=1)]
    numbers = []
    for moment in days:
        monkeypatch.setattr(clock, "now", lambda moment=moment: moment)
        jobs.alert()
        numbers.append(len(mail.outbox))
    assert numbers == [0, 1, 1, 2]
    assert mail.outbox[0].subject == "Sendcloud: all orders are reaching Sendcloud"
    assert "Webshop: sent in the last 24 hours: 0, waiting: 0, fix needed: 0, stopped: 0." in mail.outbox[0].body


@pytest.mark.parametrize(
    ("morning", "quiet", "expected"),
    [(8, (7, 15), 15), (8, (6, 10), 10), (23, (22, 7), 7), (8, (22, 7), 8)],
    ids=["whole morning", "part of it", "across midnight", "not in it"],
)
def test_digest_in_quiet_hours_follows_them(
    alerted: Callable[..., None], monkeypatch: pytest.MonkeyPatch, morning: int, quiet: tuple[int, int], expected: int
) -> None:
    alerted(morning=morning, quiet=quiet)
    sent = []
    for hour in range(24):
        monkeypatch.setattr(clock, "now", lambda hour=hour: at(hour, 30))
        jobs.alert()
        sent += [hour] * (len(mail.outbox) - len(sent))
    assert sent == [expected]


@pytest.mark.parametrize(
    ("state", "subject"),
    [
        ({"is_active": False}, "Sendcloud: No integration is in use"),
        ({"secret_key": "", "last_success_at": None}, "Sendcloud: 1 order waits for Sendcloud"),
        ({}, "Sendcloud: 1 order waits for Sendcloud"),
    ],
    ids=["none in use", "no keys yet", "unreachable"],
)
def test_digest_claims_no_delivery_while_orders_wait(
    alerted: Callable[..., None], monkeypatch: pytest.MonkeyPatch, state: dict[str, Any], subject: str
) -> None:
    """None of it is an alert: it is meant so, or too young."""
    Integration.objects.update(**state)
    if "is_active" not in state:
        moment = at(8) - dt.timedelta(minutes=5)
        OutboxEntry.objects.create(
            integration=Integration.objects.get(), order_type="shop.order", order_pk="1", error_code="not_sent",
            failing_since=moment, recorded_at=moment, due_at=at(9), not_before=at(8),
        )  # fmt: skip
        if not state:
            Integration.objects.update(last_success_at=moment - dt.timedelta(hours=1))
    alerted(morning=8)
    monkeypatch.setattr(clock, "now", lambda: at(8))
    jobs.alert()
    assert [each.subject for each in mail.outbox] == [subject]
    assert "All orders are reaching Sendcloud" not in mail.outbox[0].body


@pytest.mark.parametrize(("reason", "number"), [("", 1), (PauseReason.COPY.value, 0)])
def test_orders_of_unused_integration_are_mailed(alerted: Callable[..., None], reason: str, number: int) -> None:
    """At a copy of the shop they are meant to wait."""
    OutboxEntry.objects.create(integration=Integration.objects.get(), order_type="shop.order", order_pk="1")
    Integration.objects.update(is_active=False, paused_reason=reason)
    jobs.alert()
    assert len(mail.outbox) == number
    assert all("Webshop: Orders wait without an integration" in each.subject for each in mail.outbox)


def test_failing_digest_is_repeated(alerted: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    alerted(morning=8)
    monkeypatch.setattr(clock, "now", lambda: at(8))
    with override_settings(**BROKEN):
        jobs.alert()
    jobs.alert()
    assert len(mail.outbox) == 1


def test_digest_after_noon_waits_for_tomorrow() -> None:
    assert not take_digest(AlertSettings(morning=8), at(15))
    assert not Checkpoint.objects.exists()


def test_mails_are_in_the_site_language(alerted: Callable[..., None]) -> None:
    alerted(language="nl")
    reject()
    jobs.alert()
    assert "1 bestelling." in mail.outbox[0].body


def test_name_with_line_break_writes_no_header(alerted: Any) -> None:
    Integration.objects.update(name="Shop\nBcc: canary@example.com")
    reject()
    jobs.alert()
    assert "\n" not in mail.outbox[0].subject


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"recipient": ["a@b.example"]}, "Did you mean 'recipients'"),
        ({"recipients": "a@b.example"}, "a list of mail addresses"),
        ({"recipients": ["nobody"]}, "a list of mail addresses"),
        ({"morning": 24}, "an hour from 0 to 23"),
        ({"quiet": (22, 22)}, "two different hours"),
        ({"quiet": 22}, "two different hours"),
        ({"language": None}, "a code such as"),
        (["a@b.example"], "must be a dict"),
    ],
)
def test_wrong_setting_is_named_with_fix(value: Any, text: str) -> None:
    [(key, sentence)] = problems({"ALERTS": value})
    assert key == "ALERTS"
    assert text in sentence


# -- without a worker -----------------------------------------------------------------------------------


def test_dead_worker_is_mailed_from_cron(alerted: Any, later: Callable[[float], None]) -> None:
    mark_sweep()
    factories.order()
    later(600)
    for _ in range(2):
        with pytest.raises(SystemExit) as stopped:
            call_command("sendcloud_status", alert=True, stdout=StringIO())
        assert stopped.value.code == 2
    assert [message.subject for message in mail.outbox] == [
        "Sendcloud: Webshop: No worker is running",
        "Sendcloud: The periodic work does not run",
    ]


def test_status_alone_mails_nothing(alerted: Any) -> None:
    reject()
    with pytest.raises(SystemExit):
        call_command("sendcloud_status", stdout=StringIO())
    assert mail.outbox == []
    assert not Alert.objects.exists()


# -- the sidebar --------------------------------------------------------------------------------------


def test_sidebar_counts_open_problems(alerted: Any, as_role: Callable[..., Client]) -> None:
    reject()
    jobs.alert()
    page = as_role("viewer").get(reverse("admin:index")).content.decode()
    assert "Overview (1)" in page
    assert "Overview (1)" not in as_role("staff", "view_shipment").get(reverse("admin:index")).content.decode()
    Alert.objects.all().delete()
    assert "Overview (" not in as_role("viewer").get(reverse("admin:index")).content.decode()


def test_unassigned_orders_are_a_problem(integration: Integration, heard: list[tuple[str, str, int]]) -> None:
    Integration.objects.update(is_active=False)
    factories.order()
    jobs.alert()
    assert heard == [("raised", "orders_wait", 1)]
