"""Doctor: a finding for everything that has to work, with what to do."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from django_sendcloud.conf import AddressError
from django_sendcloud.core.clock import clock
from django_sendcloud.diagnostics import doctor
from django_sendcloud.diagnostics.doctor import TITLES, WORDS, Check, Finding, Status, diagnose, exit_code
from django_sendcloud.exceptions import NotFound, PermissionDenied, TLSError, WrongAddress
from django_sendcloud.models import Account, Integration, PauseReason
from django_sendcloud.sync import limiter
from django_sendcloud.sync.health import mark_sweep
from django_sendcloud.webhooks import selftest

pytestmark = pytest.mark.django_db


@pytest.fixture
def well(integration: Integration, sendcloud_settings: Any, monkeypatch: pytest.MonkeyPatch) -> Integration:
    """Make everything work. The way back to this process is replaced by its result."""
    sendcloud_settings(WEBHOOK_BASE_URL="https://shop.example")
    Integration.objects.update(webhook_active=True, webhook_url=integration.webhook_address())
    monkeypatch.setattr(selftest, "run", lambda integration, address: selftest.Outcome())
    mark_sweep()
    return integration


def found(check: Check) -> list[tuple[Status, str]]:
    return [(finding.status, finding.code) for finding in diagnose() if finding.check is check]


def test_healthy_shop_has_no_problem(well: Integration) -> None:
    findings = diagnose()
    assert {finding.status for finding in findings} == {Status.OK}
    assert [finding.check for finding in findings] == list(Check)
    assert exit_code(findings) == 0


def test_words_cover_checks_and_codes() -> None:
    assert set(TITLES) == set(Check)
    for code, (text, advice) in WORDS.items():
        assert str(text), code
        assert code == "ok" or str(advice), code


@pytest.mark.long
def test_refused_keys_are_a_problem(well: Integration, sandbox: Any) -> None:
    sandbox.revoke_credentials()
    assert found(Check.KEYS) == [(Status.PROBLEM, "keys_rejected")]


def test_keys_are_not_tried_beyond_the_rate(well: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(sandbox.requests)
    monkeypatch.setattr(limiter, "acquire", lambda account_pk, kind: 60.0)
    assert found(Check.KEYS) == [(Status.WARNING, "rate_limited")]
    assert len(sandbox.requests) == before


def test_missing_keys_are_a_problem(well: Integration) -> None:
    Integration.objects.update(secret_key="")
    assert found(Check.KEYS) == [(Status.PROBLEM, "keys_missing")]


def test_unreadable_keys_are_a_problem(well: Integration, sendcloud_settings: Any, settings: Any) -> None:
    from cryptography.fernet import Fernet

    settings.SECRET_KEY = "another-key"
    sendcloud_settings(ENCRYPTION_KEYS=[Fernet.generate_key().decode()])
    assert found(Check.KEYS) == [(Status.PROBLEM, "keys_unreadable")]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongAddress("<html>", status=404), "unreachable"),
        (TLSError("certificate"), "unreachable"),
        (AddressError("SENDCLOUD['BASE_URL']"), "unreachable"),
        (NotFound("gone", status=404), "gone"),
        (PermissionDenied("no", status=403), "not_allowed"),
    ],
)
def test_keys_are_blamed_for_own_problems(
    well: Integration, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(Integration, "read", fail)
    assert found(Check.KEYS) == [(Status.PROBLEM, code)]


def test_unreachable_sendcloud_is_a_problem(well: Integration, sandbox: Any) -> None:
    sandbox.stop()
    assert found(Check.KEYS) == [(Status.PROBLEM, "unreachable")]


def test_pause_and_copy_are_problems(well: Integration) -> None:
    well.pause(PauseReason.PERSON)
    Integration.objects.update(deployment={"name": "elsewhere"})
    assert found(Check.INTEGRATION) == [(Status.PROBLEM, "paused")]
    assert found(Check.DEPLOYMENT) == [(Status.OK, "ok")], "a part that only one deployment knows is no difference"
    Integration.objects.update(deployment={"database": "elsewhere"})
    assert found(Check.DEPLOYMENT) == [(Status.PROBLEM, "copy")]


def test_webhook_round_trip_is_checked(well: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "run", lambda integration, address: selftest.Outcome("redirected", 301))
    assert found(Check.WEBHOOK) == [(Status.PROBLEM, "webhook_failed")]
    Integration.objects.update(webhook_url="https://old-shop.example/hook/")
    assert found(Check.WEBHOOK) == [(Status.WARNING, "webhook_elsewhere")]
    Integration.objects.update(webhook_active=False)
    assert found(Check.WEBHOOK) == [(Status.WARNING, "webhook_off")]


def test_late_schedule_and_worker_are_problems(well: Integration) -> None:
    Account.objects.update(swept_at=clock.now() - dt.timedelta(hours=1))
    assert found(Check.BEAT) == [(Status.PROBLEM, "beat_late")]
    assert found(Check.WORKER) == [(Status.PROBLEM, "worker_missing")]
    Account.objects.update(swept_at=None)
    assert found(Check.BEAT) == [(Status.PROBLEM, "beat_never")]


def test_unreachable_broker_is_a_problem(well: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    app = doctor.celery_app()
    monkeypatch.setattr(app, "connection_for_write", lambda **kwargs: 1 / 0)
    assert found(Check.BROKER) == [(Status.PROBLEM, "broker_down")]


def test_closed_account_is_a_warning(well: Integration) -> None:
    later = clock.now() + dt.timedelta(minutes=5)
    Account.objects.update(closed_until=later, closed_reason="rate_limited")
    assert found(Check.LIMITER) == [(Status.WARNING, "rate_limited")]
    assert exit_code(diagnose()) == 1


def test_missing_tables_end_the_examination(well: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "unapplied_migrations", lambda: ["0001_initial"])
    assert [finding.code for finding in diagnose()] == ["ok", "migrations_missing"]


def test_wrong_setting_ends_the_examination(well: Integration, settings: Any) -> None:
    settings.SENDCLOUD = {"BATCH": 3}
    assert [(finding.code, finding.detail) for finding in diagnose()] == [("settings_wrong", "BATCH")]


def test_failing_check_is_a_finding(well: Integration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "sweep_age", lambda: 1 / 0)
    assert found(Check.BEAT) == [(Status.PROBLEM, "check_failed")]


# -- the command --------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[str, int]:
    out = io.StringIO()
    try:
        call_command("sendcloud_doctor", *arguments, stdout=out)
    except SystemExit as end:
        return out.getvalue(), int(str(end.code))
    return out.getvalue(), 0


def test_command_says_what_to_do(well: Integration, sandbox: Any) -> None:
    text, code = run()
    assert code == 0
    assert "Keys (#1001): It works." in text
    sandbox.revoke_credentials()
    text, code = run()
    assert code == 2
    assert "PROBLEM  Keys (#1001): Sendcloud rejects the keys. Enter the keys" in text


def test_command_prints_json(well: Integration) -> None:
    text, code = run("--json")
    rows = json.loads(text)
    assert code == 0
    assert {row["check"] for row in rows} == {check.value for check in Check}


def test_command_with_wrong_settings_still_runs(well: Integration, settings: Any) -> None:
    settings.SENDCLOUD = {"BATCH": 3}
    text, code = run()
    assert code == 2
    assert "BATCH" in text


def test_finding_is_translated() -> None:
    from django.utils import translation

    with translation.override("nl"):
        assert Finding(Check.BEAT, Status.PROBLEM, "beat_never").text != "The periodic work has never run."


# -- the page -----------------------------------------------------------------------------------------

PAGE = "admin:django_sendcloud_overview_doctor"


def test_page_examines_after_a_press(well: Integration, sandbox: Any, log_in: Any) -> None:
    operator: Client = log_in("operator")
    assert "Check everything" in operator.get(reverse(PAGE)).content.decode()
    assert sandbox.requests == []
    page = operator.post(reverse(PAGE)).content.decode()
    assert "Everything works." in page
    assert "Rate limit (#1001): in order" in page


def test_page_needs_permission(well: Integration, log_in: Any) -> None:
    assert log_in("viewer").get(reverse(PAGE)).status_code == 403
    assert log_in("anonymous").get(reverse(PAGE)).status_code == 302


def test_page_posts_only_with_token(well: Integration) -> None:
    from django.contrib.auth.models import User

    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("boss"))
    assert client.post(reverse(PAGE)).status_code == 403
