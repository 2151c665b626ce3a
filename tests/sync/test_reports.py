"""Failures on the shop's side in Sendcloud's connection log: off by default, scrubbed, rare, and harmless."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from django_sendcloud.models import EntryState, ExceptionReport, Integration, PauseReason, WebhookEvent
from django_sendcloud.signals import exception_reported
from django_sendcloud.sync import report
from django_sendcloud.sync.worker import push_due
from django_sendcloud.testing import send_webhook
from django_sendcloud.webhooks import apply
from tests import factories


@contextlib.contextmanager
def asked_of_a_worker(capture: Any) -> Iterator[list[dict[str, Any]]]:
    """Collect the reports that workers have to write to Sendcloud's log after the transaction."""
    asked: list[dict[str, Any]] = []

    def receive(**kwargs: Any) -> None:
        asked.append(kwargs)

    exception_reported.connect(receive)
    try:
        with capture(execute=True):
            yield asked
    finally:
        exception_reported.disconnect(receive)


@pytest.fixture
def switched_on(sendcloud_settings: Any) -> None:
    sendcloud_settings(EXCEPTION_LOGS=True)


def refused_order() -> None:
    factories.order(country="XX", number="SECRET-NUMBER")
    push_due()
    assert factories.outbox().get().state == EntryState.REJECTED


def test_off_by_default(integration: Integration) -> None:
    refused_order()
    assert not ExceptionReport.objects.exists()


def test_invalid_order_is_reported_without_its_data(
    switched_on: None, integration: Integration, sandbox: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with asked_of_a_worker(django_capture_on_commit_callbacks) as asked:
        refused_order()
    assert [call["cause"] for call in asked] == ["payload_invalid: country"]
    assert report.send(asked[0]["integration_pk"], asked[0]["cause"])
    (entry,) = sandbox.connection_log
    assert "payload_invalid: country" in str(entry)
    assert "SECRET-NUMBER" not in str(entry)
    assert "XX" not in str(entry)


def test_failed_webhook_is_reported_without_its_data(
    switched_on: None, integration: Integration, client: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with asked_of_a_worker(django_capture_on_commit_callbacks) as asked:
        send_webhook(client, integration, ["jane@example.com"])  # type: ignore[arg-type]
        apply.drain()
    assert WebhookEvent.objects.get().state == "failed"
    assert [call["cause"] for call in asked] == ["webhook_failed: unknown action"]


def test_cause_is_reported_once_an_hour(switched_on: None, integration: Integration) -> None:
    reports = ExceptionReport.objects
    assert reports.report(integration, "payload_invalid: city")
    assert not reports.report(integration, "payload_invalid: city")
    assert reports.report(integration, "payload_invalid: name")
    reports.update(reported_at=timezone.now() - dt.timedelta(minutes=61))
    assert reports.report(integration, "payload_invalid: city")
    assert not reports.report(integration, "payload_invalid: city")


def test_failure_without_integration_is_not_reported(switched_on: None, db: None) -> None:
    assert not ExceptionReport.objects.report(None, "x")


def test_database_error_in_report_is_contained(
    switched_on: None, integration: Integration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> bool:
        raise DatabaseError

    monkeypatch.setattr(type(ExceptionReport.objects.all()), "_is_first_of_the_hour", fail)
    assert not ExceptionReport.objects.report(integration, "x")


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_failed_report_leaves_integration_unchanged(integration: Integration, sandbox: Any, status: int) -> None:
    sandbox.fail_next(status, times=5)
    assert not report.send(integration.pk, "x")
    integration.refresh_from_db()
    assert not integration.is_paused
    assert len(sandbox.requests) == 1, "it is tried once"


def test_paused_or_unknown_integration_gets_no_report(integration: Integration, sandbox: Any) -> None:
    assert not report.send(4711, "x")
    integration.pause(PauseReason.PERSON)
    assert not report.send(integration.pk, "x")
    assert not sandbox.requests


def test_report_is_dropped_without_free_rate(integration: Integration, sandbox: Any, sendcloud_settings: Any) -> None:
    sendcloud_settings(UNSAFE_REQUESTS_PER_MINUTE=1, UNSAFE_BURST=1)
    assert report.send(integration.pk, "x")
    assert not report.send(integration.pk, "y")
    assert len(sandbox.connection_log) == 1
