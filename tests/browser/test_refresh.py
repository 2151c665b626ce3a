"""Pages that keep themselves current, and say so once they cannot."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.utils import timezone
from playwright.sync_api import expect

from django_sendcloud.sync.fold import fold_all
from django_sendcloud.testing import drain
from tests import factories

from .operator import Operator

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def come_back(page: Any) -> None:
    """Return to the page from another tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_sent_entry_page_becomes_its_order(operator: Operator) -> None:
    page = operator.page
    operator.connect()
    factories.order(number="2026-0001")
    fold_all()
    operator.open("outboxentry_changelist")
    page.locator("#result_list tbody").get_by_role("link").first.click()
    expect(page.locator("#sc-entry")).to_be_attached()
    drain()
    expect(page.get_by_text("2026-0001 was sent (").first).to_be_visible()
    expect(page.locator("#sc-entry")).to_have_count(0)


def test_list_row_says_its_order_was_sent(operator: Operator) -> None:
    operator.connect()
    factories.order(number="2026-0001")
    fold_all()
    operator.open("outboxentry_changelist")
    row = operator.page.locator("#result_list tbody tr")
    expect(row).to_contain_text("2026-0001")
    drain()
    expect(row).to_contain_text("Sent")


def test_overview_in_background_becomes_current(operator: Operator) -> None:
    page = operator.page
    operator.connect(last_success_at=timezone.now())
    factories.order()
    drain()
    operator.open("overview_changelist")
    expect(page.get_by_role("heading", name="All orders are reaching Sendcloud")).to_be_visible()
    factories.order(country="XX")
    drain()
    come_back(page)
    expect(page.get_by_role("heading", name="1 order is not going out")).to_be_visible(timeout=5000)


def test_page_says_that_its_session_ended(operator: Operator) -> None:
    page = operator.page
    operator.connect(last_success_at=timezone.now())
    operator.open("overview_changelist")
    outdated = page.get_by_role("link", name="This page is out of date.")
    come_back(page)
    expect(outdated).to_have_count(0)
    session = Session.objects.get()
    Session.objects.all().delete()
    come_back(page)
    expect(outdated).to_be_visible()
    # The operator logs in again in another tab.
    session.save(force_insert=True)
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key, "url": operator.url}
    page.context.add_cookies([cookie])
    come_back(page)
    expect(outdated).to_have_count(0)


def test_page_says_that_server_is_away(operator: Operator) -> None:
    page = operator.page
    operator.connect(last_success_at=timezone.now())
    operator.open("overview_changelist")
    page.route("**/overview/", lambda route: route.abort())
    outdated = page.get_by_role("link", name="This page is out of date.")
    come_back(page)
    page.wait_for_timeout(300)
    expect(outdated).to_have_count(0)
    for _failure in range(2):
        come_back(page)
    expect(outdated).to_be_visible()
    page.unroute("**/overview/")
    come_back(page)
    expect(outdated).to_have_count(0)
