"""Operator in a browser, logged in to this process's admin, with a real sandbox as Sendcloud."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import expect

from django_sendcloud import tasks
from django_sendcloud.models import Integration
from django_sendcloud.sandbox import Sandbox
from tests import factories

SITE = "backoffice"
# Nothing here should take this long; a machine that is busy with other things may.
expect.set_options(timeout=15_000)


class Operator:
    """An operator at work: the admin in a browser, Sendcloud's panel, and the shop.

    Attributes:
        page: Playwright's page, logged in to the admin as a superuser.
        sandbox: The Sendcloud on the other side.
    """

    def __init__(self, page: Any, url: str, sandbox: Sandbox) -> None:
        self.page, self.url, self.sandbox = page, url, sandbox

    def address(self, name: str, *args: Any) -> str:
        """Return the URL of an admin page: ``address("integration_change", 1)``, ``address("shop:order_add")``."""
        app, _, view = name.rpartition(":")
        return self.url + reverse(f"{SITE}:{app or 'django_sendcloud'}_{view}", args=args)

    def open(self, name: str, *args: Any) -> None:
        self.page.goto(self.address(name, *args))

    def press(self, name: str, *, exact: bool = False) -> None:
        self.page.get_by_role("button", name=name, exact=exact).click()

    def follow(self, name: str, *, exact: bool = False) -> None:
        self.page.get_by_role("link", name=name, exact=exact).click()

    def connect(self, **values: Any) -> Integration:
        """Connect the sandbox's integration, and register its webhook."""
        integration = factories.integration(self.sandbox, **values)
        integration.change_at_sendcloud(webhook_active=True, webhook_url=integration.webhook_address(self.url))
        self.apply_webhooks()
        return integration

    def apply_webhooks(self) -> None:
        """Apply all pending webhooks."""
        assert self.sandbox.wait_webhooks()
        tasks.apply_inbox()


@pytest.fixture
def open_operator(
    browser: Any,
    live_server: Any,
    settings: Any,
    sandbox: Sandbox,
    sendcloud_settings: Any,
) -> Iterator[Callable[..., Operator]]:
    """Open the admin in a new browser; errors of scripts or the browser fail the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_(**options: Any) -> Operator:
        client = Client()
        client.force_login(User.objects.create_superuser(f"operator-{len(contexts)}"))
        cookie = client.cookies[django_settings.SESSION_COOKIE_NAME].value
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(15_000)
        context.add_cookies([{"name": django_settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 500 else None)
        return Operator(page, live_server.url, sandbox)

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def operator(open_operator: Callable[..., Operator]) -> Operator:
    return open_operator()
