"""Pictures of the documentation, taken again from a small story: run by ``make screenshots``.

A sandbox, the example shop and a worker play a day of orders; a browser connects the shop and looks at the pages. It
needs Chromium, or the browser that ``playwright install chromium`` brings.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

from demo import HERE, Shop, StepFailed, django_setup, running, wait_until

from django_sendcloud.sandbox import Sandbox

IMAGES = HERE.parent / "docs" / "images"
WIDE, PHONE = 1120, 390
# From one step of a parcel's journey to the next.
PACE = dt.timedelta(hours=2, minutes=45)
# Steps of a parcel that has arrived.
STEPS = 8
# Nothing is larger than what a page of documentation can show, and a reader would wait for.
MAX_HEIGHT, MAX_BYTES = 1150, 150_000


class Camera:
    """A browser that takes pictures of the shop and of Sendcloud's panel."""

    def __init__(self, browser: Any, shop: Shop, folder: Path) -> None:
        self.browser, self.shop, self.folder = browser, shop, folder
        self.page = self._page()
        self.page.goto(f"{shop.url}/admin/")
        self.page.get_by_label("Username").fill("admin")
        self.page.get_by_label("Password").fill("admin")
        self.page.get_by_role("button", name="Log in").click()
        # Django's list of models, which is on every page, would be on every picture.
        self.page.evaluate("localStorage.setItem('django.admin.navSidebarIsOpen', 'false')")

    def _page(self) -> Any:
        page = self.browser.new_page(viewport={"width": WIDE, "height": 700})
        page.set_default_timeout(30_000)
        return page

    def admin(self, path: str) -> None:
        """Open a page of the admin."""
        self.page.goto(f"{self.shop.url}/admin/{path}")

    def take(self, name: str, *, theme: str = "light", width: int = WIDE, high: int = MAX_HEIGHT) -> None:
        """Take a picture of the page as it stands, from its top and at most ``high`` pixels of it.

        Raises:
            StepFailed: the file is larger than a page of documentation should load.
        """
        page = self.page
        page.set_viewport_size({"width": width, "height": 700})
        page.emulate_media(color_scheme=theme)
        page.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
        page.evaluate("document.activeElement.blur()")
        whole = page.evaluate("document.documentElement.scrollHeight")
        path = self.folder / f"{name}.png"
        clip = {"x": 0, "y": 0, "width": width, "height": min(whole, high)}
        page.screenshot(path=path, full_page=True, clip=clip, animations="disabled")
        size = path.stat().st_size
        print(f"   {path.name}: {width} × {clip['height']}, {size // 1000} kB", flush=True)
        if size > MAX_BYTES:
            raise StepFailed(f"{path.name} has {size} bytes: show less of the page.")


def open_shop(shop: Shop) -> None:
    """Run a shop with products, an administrator and a worker."""
    shop.manage("migrate", "-v0")
    shop.manage("create_orders", "0")
    shop.manage("createsuperuser", "--noinput", DJANGO_SUPERUSER_USERNAME="admin",
                DJANGO_SUPERUSER_PASSWORD="admin", DJANGO_SUPERUSER_EMAIL="admin@example.com")  # fmt: skip
    shop.start("shop", str(HERE / "manage.py"), "runserver", f"127.0.0.1:{shop.port}", "--noreload")
    shop.start("worker", "-m", "celery", "--workdir", str(HERE), "-A", "example", "worker", "-B", "-c", "1",
               "--loglevel", "INFO", "--without-gossip", "--without-mingle")  # fmt: skip
    wait_until("The shop", shop.is_up)
    wait_until("The worker", shop.worker_is_up)


def connect(camera: Camera, sandbox: Sandbox) -> None:
    """Connect the shop in its admin, as an operator does."""
    page = camera.page
    camera.admin("django_sendcloud/integration/add/")
    page.get_by_label("Public key").fill(sandbox.public_key)
    page.get_by_label("Secret key").fill(sandbox.secret_key)
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("heading", name="Connecting, step by step").wait_for()
    there = page.locator("li.sc-steps__step", has_text="Worker and schedule")

    def beating() -> bool:
        page.reload()
        return "done" in there.inner_text()

    wait_until("The periodic work", beating)
    camera.take("connect", high=660)
    page.locator("li.sc-steps__step").get_by_role("button", name="Register webhook…").click()
    page.get_by_role("button", name="Register webhook", exact=True).click()
    page.get_by_text("Sendcloud confirms").wait_for()


def play(sandbox: Sandbox, shop: Shop) -> list[Any]:
    """Play a day of orders: most travel, some arrive, the last two are rejected. Return all, oldest first."""
    from shop.models import Order

    from django_sendcloud.models import OutboxEntry, Parcel, Shipment

    end = dt.datetime.now(dt.UTC)
    for batch in range(STEPS):
        set_clock(sandbox, end - (STEPS - batch) * PACE)
        shop.manage("create_orders", "6", "--seed", str(batch))
        wait_until("The orders at Sendcloud", lambda batch=batch: len(sandbox.shipments()) == 6 * (batch + 1))
    orders = list(Order.objects.order_by("placed_at"))
    travelling = orders[1::2]

    # Parcels travel in hours, and the sandbox's clock goes with them: one step of all that are on their way by then.
    parcels: dict[Any, int] = {}
    for left in reversed(range(STEPS)):
        for number, order in enumerate(travelling):
            set_clock(sandbox, end - left * PACE - (len(travelling) - number) * dt.timedelta(minutes=6))
            if order.pk in parcels:
                sandbox.advance(parcels[order.pk])
            elif number % STEPS < STEPS - left:
                [parcel] = sandbox.create_label(str(order.pk))
                parcels[order.pk] = parcel["id"]
    sandbox.clock = lambda: dt.datetime.now(dt.UTC)
    wait_until("All webhooks", lambda: sandbox.wait_webhooks(1))
    wait_until("All parcels", lambda: Parcel.objects.count() == len(travelling))
    wait_until("An empty outbox", lambda: not OutboxEntry.objects.exists())

    nowhere, empty = orders[-4], orders[-2]
    nowhere.country = "XX"
    nowhere.save()
    line = empty.lines.first()
    line.quantity = 0
    line.save()
    wait_until("Two rejections", lambda: OutboxEntry.objects.filter(state="rejected").count() == 2)

    # A shop takes a day for these seconds.
    chance = random.Random(1)
    for shipment in Shipment.objects.order_by("pk"):
        pushed = end - dt.timedelta(hours=chance.triangular(0, 23, 3))
        Shipment.objects.filter(pk=shipment.pk).update(last_pushed_at=pushed)
    return orders


def set_clock(sandbox: Sandbox, moment: dt.datetime) -> None:
    """Let it be this time at Sendcloud."""
    sandbox.clock = lambda: moment


def take_pictures(camera: Camera, sandbox: Sandbox, shop: Shop, orders: list[Any]) -> None:
    """Take the pictures."""
    from django_sendcloud.models import OutboxEntry, Parcel, Shipment

    page = camera.page
    refused = OutboxEntry.objects.get(order_pk=str(orders[-4].pk))
    moved, travelling = orders[5], orders[7]
    camera.admin("django_sendcloud/overview/")
    camera.take("overview")
    camera.take("overview-dark", theme="dark")
    camera.take("overview-phone", width=PHONE, high=900)
    camera.admin("django_sendcloud/outboxentry/")
    camera.take("outbox", high=520)
    camera.admin(f"django_sendcloud/outboxentry/{refused.pk}/change/")
    camera.take("rejected", high=800)
    parcel = Parcel.objects.get(shipment__order_pk=str(travelling.pk))
    camera.admin(f"django_sendcloud/parcel/{parcel.pk}/change/")
    camera.take("parcel", high=780)
    camera.admin(f"shop/order/{travelling.pk}/change/")
    camera.take("order-admin", high=800)
    page.goto(f"{shop.url}{travelling.get_absolute_url()}")
    camera.take("order-page")
    page.goto(sandbox.panel_url)
    camera.take("sandbox", high=640)

    # No worker runs any more, so that something is left to be sent.
    shop.stop("worker")
    moved.refresh_from_db()
    moved.street, moved.house_number = "Markt", "7"
    moved.save()
    shipment = Shipment.objects.get(order_pk=str(moved.pk))
    camera.admin(f"django_sendcloud/shipment/{shipment.pk}/change/")
    camera.take("shipment", high=780)
    page.get_by_role("link", name="What would be sent now").click()
    camera.take("differences", high=560)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES, help="where the pictures go (default: docs/images)")
    parser.add_argument("--data", type=Path, default=HERE / ".data" / "screenshots", help="where the shop's files are")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    # Playwright's event loop lives in this thread, and Django would take us for async.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    options.to.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        with running(options.data) as (sandbox, shop), sync_playwright() as playwright:
            # Sendcloud's clock is never put back, so a day that is over by now has begun yesterday.
            set_clock(sandbox, dt.datetime.now(dt.UTC) - dt.timedelta(days=2))
            open_shop(shop)
            django_setup()
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            camera = Camera(browser, shop, options.to)
            connect(camera, sandbox)
            take_pictures(camera, sandbox, shop, play(sandbox, shop))
            browser.close()
    except StepFailed as error:
        sys.exit(f"✗ {error}")


if __name__ == "__main__":
    main()
