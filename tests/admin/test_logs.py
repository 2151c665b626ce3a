"""Sendcloud's connection log, read over a real socket."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import resolve, reverse

from django_sendcloud.admin.explanations.errors import LOGGED, explain_log
from django_sendcloud.api import LoggedRequest, LoggedResponse
from django_sendcloud.api.v2 import IntegrationLogEntry
from django_sendcloud.models import Integration

NOON = dt.datetime(2026, 5, 1, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def boss(as_role: Callable[[str], Client]) -> Client:
    return as_role("superuser")


def note(integration: Integration, **values: Any) -> None:
    """Record a failure in Sendcloud's log."""
    given = {"base_url": "https://bikes.example", "method": "POST", "created_at": NOON} | values
    with integration.client() as client:
        client.v2.integrations.logs.create(integration.remote_id, IntegrationLogEntry(**given))


def url(integration: Integration, cursor: str = "") -> str:
    return reverse("admin:django_sendcloud_integration_logs", args=[integration.pk]) + cursor


def page(client: Client, integration: Integration, cursor: str = "") -> str:
    response = client.get(url(integration, cursor))
    assert response.status_code == 200
    return str(response.content.decode())


def test_integration_page_links_to_logs(as_role: Callable[[str], Client], integration: Integration) -> None:
    html = as_role("viewer").get(reverse("admin:django_sendcloud_integration_change", args=[integration.pk]))
    assert f'href="{url(integration)}"' in html.content.decode()


def test_log_entry_has_explanation_and_time(boss: Client, integration: Integration) -> None:
    note(
        integration,
        full_url="https://user:word@bikes.example/sendcloud/webhooks/x/?token=canary",
        exception_type="requests.exceptions.SSLError",
        exception="certificate verify failed for 'Canary Person', canary@example.com",
        response_code=495,
    )
    html = page(boss, integration)
    assert "The shop&#x27;s certificate is not valid" in html
    assert "renew the certificate" in html
    assert "POST https://bikes.example/sendcloud/webhooks/x/</code> &rarr; <code>495" in html
    assert "May 1, 2026, 2 p.m." in html, "in the shop's time zone"
    assert re.search(r"months?\b.* ago", html)
    assert "requests.exceptions.SSLError: certificate verify failed" in html
    assert "anary" not in html, "neither the address's query nor what the error quotes"
    assert "user:word" not in html


def test_abandoned_webhook_is_logged(as_role: Callable[..., Client], integration: Integration, sandbox: Any) -> None:
    sandbox.webhook_retry_scale = 1e-6
    sandbox.change_integration(webhook_url="http://user:canary@127.0.0.1:9/hook/", webhook_active=True)
    assert sandbox.wait_webhooks()
    html = page(as_role("viewer"), integration)
    assert "The shop could not be reached" in html
    assert "POST http://127.0.0.1:9/hook/" in html
    assert "just now</time> (" in html
    assert "canary" not in html


def test_empty_log_is_good(boss: Client, integration: Integration) -> None:
    html = page(boss, integration)
    assert "nothing went wrong that it knows of" in html
    assert "Next page" not in html
    assert "Back to the first page" not in html


def test_logs_are_paged(boss: Client, integration: Integration, sandbox: Any) -> None:
    sandbox.page_size = 2
    for number in range(5):
        note(integration, full_url=f"https://bikes.example/{number}/")
    before = len(sandbox.requests)
    seen, cursor = [], ""
    while True:
        html = page(boss, integration, cursor)
        seen.append(re.findall(r"bikes\.example/(\d)/", html))
        assert ("Back to the first page" in html) == bool(cursor)
        found = re.search(r'href="(\?cursor=[^"]+)"', html)
        if found is None:
            break
        cursor = found[1]
    assert seen == [["0", "1"], ["2", "3"], ["4"]]
    assert len(sandbox.requests) - before == 3, "one request a page"


def test_repeated_failures_are_grouped(boss: Client, integration: Integration) -> None:
    for minutes in (0, 10, 5):
        when = NOON + dt.timedelta(minutes=minutes)
        note(integration, full_url="https://bikes.example/a/", response_code=500, created_at=when)
    note(integration, full_url="https://bikes.example/a/", response_code=404)
    html = page(boss, integration)
    assert html.count("The shop had a problem of its own") == 1
    assert "3 times in a row since May 1, 2026, 2 p.m." in html
    assert "May 1, 2026, 2:10 p.m." in html, "the newest"
    assert "The address is not there" in html


def test_logs_hide_headers_and_protect_bodies(as_role: Callable[..., Client], integration: Integration) -> None:
    note(
        integration,
        request=LoggedRequest(headers={"Authorization": "canary-header"}, payload={"name": "Canary Person"}),
        response=LoggedResponse(headers={"Set-Cookie": "canary-header"}, body="<b>Canary Answer</b>"),
    )
    hidden, shown = page(as_role("operator"), integration), page(as_role("viewer", "view_payload"), integration)
    assert "Canary" not in hidden
    assert "What Sendcloud sent" not in hidden
    assert "Canary Person" in shown
    assert "&lt;b&gt;Canary Answer&lt;/b&gt;" in shown
    assert "canary-header" not in hidden + shown


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (lambda sandbox: sandbox.revoke_credentials(), "Sendcloud rejects the API keys"),
        (lambda sandbox: sandbox.stop(), "Sendcloud could not be reached"),
        (lambda sandbox: sandbox.fail_next(503), "Sendcloud had a problem of its own"),
        (lambda sandbox: sandbox.fail_next(429), "Sendcloud asked us to slow down"),
        (lambda sandbox: sandbox.html_next(), "answer could not be read"),
        (lambda sandbox: sandbox.drop_answer(), "Sendcloud did not answer in time"),
        (lambda sandbox: Integration.objects.update(remote_id=9), "Sendcloud does not know this integration any more"),
    ],
)
def test_logs_page_explains_failed_request(
    boss: Client, integration: Integration, sandbox: Any, trouble: Callable[[Any], None], words: str
) -> None:
    trouble(sandbox)
    html = page(boss, integration)
    assert words in html
    assert "What to do:" in html
    assert "Try again" in html
    assert "nothing went wrong" not in html
    assert "Read from Sendcloud just now" not in html
    assert sandbox.secret_key not in html


def test_logs_page_reports_missing_keys(boss: Client, integration: Integration) -> None:
    Integration.objects.update(public_key="")
    assert "has no API keys" in page(boss, integration)


def test_expired_log_cursor_leads_back(boss: Client, integration: Integration) -> None:
    html = page(boss, integration, "?cursor=nonsense")
    assert "This page of the log is not there any more" in html
    assert "Back to the first page" in html


@pytest.mark.long
def test_logs_page_stores_nothing_at_constant_cost(boss: Client, integration: Integration, sandbox: Any) -> None:
    page(boss, integration)
    with CaptureQueriesContext(connection) as few:
        page(boss, integration)
    for number in range(30):
        note(integration, full_url=f"https://bikes.example/{number}/")
    with CaptureQueriesContext(connection) as many:
        page(boss, integration)
    assert len(many) == len(few)
    writes = [query["sql"] for query in many if not query["sql"].startswith("SELECT")]
    assert len(writes) == 1, "the rate limiter"
    assert 'UPDATE "django_sendcloud_account"' in writes[0] or "UPDATE `django_sendcloud_account`" in writes[0]


def test_logs_page_is_read_only_without_transaction(boss: Client, integration: Integration) -> None:
    assert boss.post(url(integration)).status_code == 405
    view = resolve(url(integration)).func
    assert "default" in view._non_atomic_requests  # type: ignore[attr-defined]
    missing = reverse("admin:django_sendcloud_integration_logs", args=[10**6])
    assert boss.get(missing).status_code == 404


@pytest.mark.parametrize("status", [None, 200, 301, 400, 401, 403, 404, 408, 410, 429, 495, 500, 502, 504, 522, 599])
def test_log_statuses_have_explanations(status: int | None) -> None:
    for exception_type in ("", "builtins.Whatever", *(f"requests.exceptions.{name}" for name in LOGGED)):
        explanation = explain_log(exception_type, status)
        assert all(str(text) for text in (explanation.title, explanation.why, explanation.advice))


def test_log_exception_type_goes_before_status() -> None:
    assert explain_log("requests.exceptions.ReadTimeout", 500) is LOGGED["ReadTimeout"]
    assert explain_log("", 500) is explain_log("unheard.Of", 503)
