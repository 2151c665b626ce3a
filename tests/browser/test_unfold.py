"""The admin with django-unfold, in a process of its own."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect

from django_sendcloud.sandbox import Sandbox
from tests.servers import free_port
from tests.spawner import Spawner
from tests.webhooks import messages

from .page_audit import THEMES, WIDTHS, findings

pytestmark = [pytest.mark.browser, pytest.mark.exhaustive, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parents[2]

# Parts of the theme and of Django's own widgets within it.
UNFOLDS_OWN = [
    "#page > :not(#main)",
    "#main > :not(.\\@container)",
    "#nav-sidebar",
    "#toolbar",
    "#lines-group",
    "#changelist-filter",
    "#changelist-actions",
    "#submit-row",
    "#result_list thead",
    "#result_list .action-checkbox",
    "#result_list input",
    ".breadcrumbs",
    ".module .field-line label",
]

FILL = """
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY
from django_sendcloud import tasks
from django_sendcloud.models import Integration
from django_sendcloud.testing import drain
from tests import factories
integration = Integration.objects.create(remote_id={remote_id}, name="Webshop", public_key={public!r}, secret_key={secret!r})
integration.change_at_sendcloud(webhook_active=True, webhook_url=integration.webhook_address({url!r}))
tasks.sweep()
sent = factories.order(number="2026-0001", lines=2)
factories.order(number="2026-0002", country="XX", lines=2)
drain()
operator = User.objects.create_superuser("operator")
session = SessionStore()
session[SESSION_KEY] = str(operator.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = operator.get_session_auth_hash()
session.save()
print(sent.pk, session.session_key)
"""
HEAR = """
from django_sendcloud import tasks
from django_sendcloud.models import WebhookEvent
from tests.shop.models import Order
tasks.apply_inbox()
order = Order.objects.get(number="2026-0001")
order.address = "Markt 1"
order.save()
WebhookEvent.objects.filter(parcel__isnull=False).update(
    state="failed", note={"code": "receiver_failed", "receiver": "shop.mail", "error": "KeyError"}
)
"""


class Themed:
    """The test project with django-unfold and rows of every kind, and a logged-in browser."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox, self.folder = sandbox, folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.unfold_settings",
            "TEST_DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}?transaction_mode=IMMEDIATE&timeout=30",
            "TEST_SENDCLOUD": json.dumps(
                {"BASE_URL": sandbox.base_url, "TOKEN_URL": sandbox.token_url, "QUARANTINE_SECONDS": 0.0}
            ),
            "PYTHONPATH": str(ROOT),
        }
        self._server: subprocess.Popen[bytes] | None = None
        self._spawner = Spawner(self.environment, folder / "spawner.log")
        self._runs = itertools.count()

    def run(self, code: str) -> str:
        number = next(self._runs)
        out, err = self.folder / f"run-{number}.out", self.folder / f"run-{number}.err"
        child = self._spawner.start(f"import tests.celery_app\n{code}", out=out, err=err)
        assert child.wait(120) == 0, f"{out.read_text()}\n{err.read_text()}"
        return out.read_text().strip()

    def start(self) -> None:
        self.run("from django.core.management import call_command as c; c('migrate', run_syncdb=True, verbosity=0)")
        with (self.folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                [
                    *(sys.executable, "-W", "ignore", "-m", "django", "runserver", f"127.0.0.1:{self.port}"),
                    *("--noreload", "--insecure", "--skip-checks"),
                ],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self.is_up():
            assert self._server.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.1)

    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/admin/login/", timeout=5).ok
        except requests.ConnectionError:
            return False

    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")[-4000:]

    def fill(self) -> None:
        sandbox = self.sandbox
        sent, self.session = self.run(
            FILL.format(
                remote_id=sandbox.integration_id, public=sandbox.public_key, secret=sandbox.secret_key, url=self.url
            )
        ).split()
        for parcel in sandbox.create_label(sent, parcels=2):
            sandbox.advance(parcel["id"])
            sandbox.advance(parcel["id"])
        sandbox.send_webhook(None, "parcel_status_changed", messages.parcel(order_number="2026-0099"))
        sandbox.change_integration(shop_name="Coffee & Tea", service_point_enabled=True, service_point_carriers=["dhl"])
        assert sandbox.wait_webhooks()
        self.run(HEAR)

    def work(self) -> None:
        """Push all waiting orders, as a worker does."""
        self.run("from django_sendcloud.testing import drain; drain()")

    def first(self, model: str, **which: Any) -> str:
        return self.run(
            f"from django.apps import apps; print(apps.get_model({model!r}).objects.filter(**{which!r}).first().pk)"
        )

    def stop(self) -> None:
        self._spawner.close()
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGTERM)
            self._server.wait(10)


@pytest.fixture(scope="module")
def themed(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[Themed]:
    pytest.importorskip("unfold")
    with Sandbox() as sandbox:
        themed = Themed(sandbox, tmp_path_factory.mktemp("unfold"))
        try:
            themed.start()
            themed.fill()
            yield themed
        finally:
            themed.stop()


@pytest.fixture
def page(themed: Themed, browser: Any) -> Iterator[Any]:
    """Return a logged-in page; errors of scripts, browser or server fail the test."""
    complaints: list[str] = []
    with browser.new_context() as context:
        context.set_default_timeout(15_000)
        context.add_cookies([{"name": "sessionid", "value": themed.session, "url": themed.url}])
        # Browsers request it automatically, and the theme has none.
        context.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("response", lambda answer: complaints.append(answer.url) if answer.status >= 400 else None)
        yield page
    assert complaints == []


# The page, its row, and its expected headings and buttons (or links that look like them).
PAGES: dict[str, tuple[str, tuple[str, dict[str, Any]] | None, list[str], list[str]]] = {
    "overview": ("django_sendcloud/overview/", None, ["To do", "Integrations"], []),
    "preflight": ("django_sendcloud/overview/preflight/", None, ["1 order would be rejected"], []),
    "doctor": ("django_sendcloud/overview/doctor/", None, [], ["Check everything", "Download support bundle"]),
    "integrations": ("django_sendcloud/integration/", None, [], []),
    "new integration": ("django_sendcloud/integration/add/", None, [], ["Save", "Test connection"]),
    "integration": (
        "django_sendcloud/integration/{}/change/",
        ("django_sendcloud.integration", {}),
        ["At Sendcloud", "More"],
        ["Test connection", "Pause…", "Disconnect…", "Settings at Sendcloud", "Save"],
    ),
    "settings": (
        "django_sendcloud/integration/{}/settings/",
        ("django_sendcloud.integration", {}),
        ["Change at Sendcloud"],
        ["Change at Sendcloud"],
    ),
    "log": ("django_sendcloud/integration/{}/logs/", ("django_sendcloud.integration", {}), [], []),
    "outbox": ("django_sendcloud/outboxentry/", None, [], []),
    "rejected entry": (
        "django_sendcloud/outboxentry/{}/change/",
        ("django_sendcloud.outboxentry", {"state": "rejected"}),
        [],
        ["Push now"],
    ),
    "payload": (
        "django_sendcloud/outboxentry/{}/payload/",
        ("django_sendcloud.outboxentry", {"state": "rejected"}),
        [],
        [],
    ),
    "shipments": ("django_sendcloud/shipment/", None, [], []),
    "shipment": (
        "django_sendcloud/shipment/{}/change/",
        ("django_sendcloud.shipment", {"status": "synced"}),
        [],
        ["Push now", "What would be sent now"],
    ),
    "parcels": ("django_sendcloud/parcel/", None, [], []),
    "parcel": (
        "django_sendcloud/parcel/{}/change/",
        ("django_sendcloud.parcel", {"shipment__isnull": False}),
        ["Timeline"],
        [],
    ),
    "assigning": (
        "django_sendcloud/parcel/{}/assign/?number=2026-0001",
        ("django_sendcloud.parcel", {"shipment": None}),
        [],
        ["Search", "Assign"],
    ),
    "inbox": ("django_sendcloud/webhookevent/", None, [], []),
    "webhook": (
        "django_sendcloud/webhookevent/{}/change/",
        ("django_sendcloud.webhookevent", {"state": "failed"}),
        ["It could not be applied"],
        [],
    ),
    "accounts": ("django_sendcloud/account/", None, [], []),
    "account": ("django_sendcloud/account/{}/change/", ("django_sendcloud.account", {}), [], []),
    "orders": ("shop/order/", None, [], []),
    "order": (
        "shop/order/{}/change/",
        ("shop.order", {"number": "2026-0001"}),
        ["Sendcloud"],
        ["Push to Sendcloud now"],
    ),
    "rejected order": ("shop/order/{}/change/", ("shop.order", {"number": "2026-0002"}), ["Sendcloud"], []),
    "plain order": ("shop/orderproxy/{}/change/", ("shop.order", {"number": "2026-0001"}), ["Sendcloud"], []),
}


def show(themed: Themed, page: Any, name: str, site: str) -> None:
    address, row, headings, buttons = PAGES[name]
    page.goto(f"{themed.url}/{site}/{address.format(themed.first(row[0], **row[1]) if row else '')}")
    for heading in headings:
        expect(page.locator("#content").get_by_role("heading", name=heading).first).to_be_visible()
    for button in buttons:
        expect(pressable(page, button)).to_be_visible()


def pressable(page: Any, name: str) -> Any:
    """Return a button, or a link that looks like one, outside of the theme's navigation."""
    main = page.locator("#main")
    return main.get_by_role("button", name=name).or_(main.get_by_role("link", name=name)).first


def themes_of_unfold(page: Any) -> Iterator[tuple[str, int]]:
    """Show the page in each of the theme's themes against the system's, and in each width."""
    for width, (theme, other) in itertools.product(WIDTHS, (THEMES, THEMES[::-1])):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=other)
        page.evaluate("(dark) => document.documentElement.classList.toggle('dark', dark)", theme == "dark")
        page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
        yield theme, width


def audit(page: Any, name: str) -> list[str]:
    """Return the findings of a page, and take its pictures if ``UNFOLD_PICTURES`` names a folder."""
    if folder := os.environ.get("UNFOLD_PICTURES"):
        for theme, width in themes_of_unfold(page):
            page.screenshot(path=f"{folder}/{name}-{theme}-{width}.png", full_page=True)
    return [*findings(page, UNFOLDS_OWN, themes_of_unfold), *page.evaluate(FRAMELESS)]


# Fields of ours whose frame the theme has taken away, so that they look like text.
FRAMELESS = """() => [...document.querySelectorAll("[class^=sc-], [class*=' sc-']")]
  .flatMap((part) => [...part.querySelectorAll("input, select, textarea")])
  .filter((field) => field.checkVisibility() && !field.closest("fieldset.module"))
  .filter((field) => !["checkbox", "radio", "submit"].includes(field.type))
  .filter((field) => getComputedStyle(field).borderTopWidth === "0px")
  .map((field) => field.name)"""


@pytest.mark.parametrize("site", ["admin", "styled"])
@pytest.mark.parametrize("name", PAGES)
def test_unfold_page_is_accessible(name: str, site: str, themed: Themed, page: Any) -> None:
    show(themed, page, name, site)
    found = audit(page, f"{name}-{site}")
    if name == "plain order":  # the theme leaves the widths of Django's own text areas as they are
        found = [finding for finding in found if "sticks out" not in finding]
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("site", ["admin", "styled"])
def test_unfold_button_asks_first(site: str, themed: Themed, page: Any) -> None:
    show(themed, page, "integration", site)
    pressable(page, "Pause…").click()
    expect(page.get_by_role("link", name="No, take me back")).to_be_visible()
    assert findings(page, UNFOLDS_OWN, themes_of_unfold) == []
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#content").get_by_role("heading", name="paused")).to_be_visible()
    pressable(page, "Resume").click()
    expect(page.locator("#content").get_by_role("heading", name="paused")).to_have_count(0)


@pytest.mark.parametrize("site", ["admin", "styled"])
def test_unfold_button_acts_immediately(site: str, themed: Themed, page: Any) -> None:
    show(themed, page, "rejected entry", site)
    page.get_by_role("button", name="Push now").click()
    expect(page.get_by_text("1 order is being pushed.")).to_be_visible()
    themed.work()
    show(themed, page, "rejected entry", site)


@pytest.mark.parametrize("site", ["admin", "styled"])
def test_unfold_filters_and_actions_work(site: str, themed: Themed, page: Any) -> None:
    show(themed, page, "outbox", site)
    expect(page.locator("#result_list")).to_contain_text("2026-0002")
    page.get_by_text("Filters", exact=False).first.click()
    page.locator("#changelist-filter").get_by_role("link", name="Fix needed", exact=True).first.click()
    expect(page.locator("#result_list tbody tr.data-row")).to_have_count(1)

    page.locator("#result_list tbody .action-select").check()
    page.locator("select[name=action]").select_option(label="Push now")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("heading", name="Push 1 order now")).to_be_visible()
    page.get_by_role("button", name="Push now").click()
    expect(page.get_by_text("1 order is being pushed.")).to_be_visible()
    themed.work()
    show(themed, page, "rejected entry", site)


@pytest.mark.parametrize("site", ["admin", "styled"])
def test_unfold_keys_and_settings_work(site: str, themed: Themed, page: Any) -> None:
    show(themed, page, "integration", site)
    page.get_by_label("Secret key").fill(themed.sandbox.secret_key)
    page.get_by_role("button", name="Test connection").click()
    expect(page.get_by_text("The connection works").first).to_be_visible()
    show(themed, page, "settings", site)
    # The other way round, whichever test of this module came before.
    carrier = page.get_by_label("PostNL")
    carrier.set_checked(not carrier.is_checked())
    page.get_by_role("button", name="Change at Sendcloud").click()
    expect(page.get_by_text("Sendcloud confirms the change.")).to_be_visible()


@pytest.mark.parametrize("site", ["admin", "styled"])
def test_unfold_filter_is_saved_and_removed(site: str, themed: Themed, page: Any) -> None:
    page.goto(f"{themed.url}/{site}/django_sendcloud/outboxentry/?state__exact=rejected")
    page.get_by_text("Save this filter").click()
    assert audit(page, f"filter open-{site}") == []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        edges = [
            page.locator(part).first.bounding_box()["x"] for part in (".sc-search", ".sc-saved", "#changelist .sc-hint")
        ]
        assert max(edges) - min(edges) <= 1, "as far from the edge as the list"
    page.get_by_label("Name of the filter").fill("Mine")
    page.locator(".sc-saved").get_by_role("button", name="Save").click()
    saved = page.get_by_role("list", name="Saved filters").get_by_role("link", name="Mine")
    expect(saved).to_have_attribute("aria-current", "true")
    assert audit(page, f"filter saved-{site}") == []

    page.goto(f"{themed.url}/{site}/django_sendcloud/outboxentry/")
    saved.click()
    expect(page.locator("#result_list tbody tr.data-row")).to_have_count(1)
    page.get_by_role("button", name="Remove the filter “Mine”").click()
    expect(page.get_by_text("The filter “Mine” is removed.")).to_be_visible()
    expect(saved).to_have_count(0)
