"""The dashboard's pages in a real browser: the panel and the question stand, and no rule of accessibility is broken."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect, sync_playwright

from django_sendcloud.models import OutboxEntry
from django_sendcloud.testing import drain
from tests.browser.page_audit import AXE_SCRIPT, RULES, RUN

from .conftest import Shop

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed here"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def page(live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Open a browser, logged in to the dashboard as a superuser."""
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    # Playwright leaves its event loop in this thread.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context()
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        yield context.new_page()
        browser.close()


def findings(page: Any, part: str) -> list[str]:
    """Return the findings of one part of a page: the rest is Oscar's own."""
    page.evaluate(AXE_SCRIPT)
    found = []
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for violation in page.evaluate(RUN, [{"include": [[part]]}, RULES]):
            found += [
                f"{width}: {violation['id']}: {node['target']} {node['failureSummary']}" for node in violation["nodes"]
            ]
    return found


def test_dashboard_works_in_browser(
    page: Any, live_server: Any, shop: Shop, sendcloud: Any, sendcloud_integration: Any, move: Callable[..., None]
) -> None:
    mug = shop.product("Mug")
    order = shop.order((mug, 2))
    drain()
    page.goto(live_server.url + reverse("dashboard:order-detail", args=[order.number]))
    expect(page.get_by_role("heading", name="The shop cannot send this order")).to_be_visible()
    expect(page.get_by_text("Enter the attribute “weight” of the product.").first).to_be_visible()
    assert findings(page, ".sc-standalone") == []

    mug.attr.weight = 250.0
    mug.save()
    page.get_by_role("button", name="Push to Sendcloud now").click()
    expect(page.get_by_text("1 order is being pushed.")).to_be_visible()
    drain()
    assert not OutboxEntry.objects.exists()
    [parcel] = sendcloud.create_label(str(order.pk))
    move(parcel["id"], times=2)
    page.reload()
    expect(page.locator(".sc-parcel")).to_contain_text(parcel["tracking_number"])
    assert findings(page, ".sc-standalone") == []

    page.goto(live_server.url + reverse("dashboard:order-list"))
    page.locator(".selected_order").check()
    page.get_by_role("button", name="Push to Sendcloud now").click()
    expect(page.get_by_role("heading", name="Push 1 order to Sendcloud")).to_be_visible()
    assert findings(page, ".sc-confirmation") == []
    page.get_by_role("button", name="Push now").click()
    expect(page.get_by_text("1 order is being pushed.")).to_be_visible()
    page.get_by_role("link", name="Sendcloud", exact=True).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
