"""The demo: a local Sendcloud, a shop and a worker run the whole cycle, step by step.

``make demo`` runs it by API v2, ``make demo API=v3`` by v3. ``--once`` ends after the last step; the exit code is 0
only if every step was seen to work.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import requests

from django_sendcloud.sandbox import Sandbox

HERE = Path(__file__).resolve().parent
WAIT_SECONDS = 90.0


class StepFailed(Exception):
    """A step was not seen to work."""


class Reporter:
    """Prints the steps and their results."""

    def __init__(self) -> None:
        self.colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self.number = 0

    def step(self, text: str) -> None:
        self.number += 1
        print(self._paint(f"\n{self.number}. {text}", "1"), flush=True)

    def result(self, text: str) -> None:
        print(f"   {self._paint('✓', '32')} {text}", flush=True)

    def note(self, text: str) -> None:
        print(f"     {text}", flush=True)

    def progress(self, done: int, of: int) -> None:
        if self.colour:
            filled = 30 * done // max(of, 1)
            end = "\n" if done >= of else ""
            print(f"\r     [{'█' * filled}{'·' * (30 - filled)}] {done} of {of}", end=end, flush=True)

    def _paint(self, text: str, code: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.colour else text


def wait_until(what: str, condition: Callable[[], Any], seconds: float = WAIT_SECONDS) -> Any:
    """Wait until something is true, and return it.

    Raises:
        StepFailed: it did not come true in time.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise StepFailed(f"{what} was not seen in {seconds:.0f} seconds.")
        time.sleep(0.1)
    return value


def free_port(wanted: int) -> int:
    """Return the wanted port, or a free one if it is taken."""
    for port in (wanted, 0):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind(("127.0.0.1", port))
            return int(candidate.getsockname()[1])
    raise StepFailed("No port is free on 127.0.0.1.")


class Shop:
    """The example shop: its commands, its processes, its pages."""

    def __init__(self, sandbox: Sandbox, port: int, data: Path, api: str) -> None:
        self.data = data
        self.api = api
        self.url = f"http://127.0.0.1:{port}"
        self.port = port
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "example.settings",
            "EXAMPLE_DATA_DIR": str(data),
            "SENDCLOUD_API_GENERATION": api,
            "SENDCLOUD_BASE_URL": sandbox.base_url,
            "SENDCLOUD_PUBLIC_KEY": sandbox.public_key,
            "SENDCLOUD_SECRET_KEY": sandbox.secret_key,
            "SENDCLOUD_INTEGRATION_ID": str(sandbox.integration_id),
            "SENDCLOUD_SERVICE_POINT_SCRIPT_URL": sandbox.service_point_script_url,
            "SHOP_URL": self.url,
        }
        # The story runs on embedded defaults, whatever this shell is set up for.
        for name in ("DATABASE_URL", "CELERY_BROKER_URL", "DEBUG", "SECRET_KEY", "ALLOWED_HOSTS"):
            os.environ.pop(name, None)

    def manage(self, *arguments: str, **environment: str) -> str:
        """Run a management command; returns what it printed."""
        command = [sys.executable, str(HERE / "manage.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
        if done.returncode:
            raise StepFailed(f"manage.py {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout.strip("\n")

    def start(self, name: str, *command: str) -> None:
        """Start a process that writes to a log of its own."""
        with (self.data / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, *command], stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.processes[name] = process

    def stop(self, *names: str) -> None:
        """End the named processes, or all."""
        ending = [self.processes.pop(name) for name in names or list(self.processes)]
        for process in ending:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in ending:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def is_up(self) -> bool:
        for process in self.processes.values():
            if process.poll() is not None:
                raise StepFailed("A process of the shop ended. Its log is in " + str(self.data))
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.url}/", timeout=5).ok
        return False

    def worker_is_up(self) -> bool:
        return b"ready." in (self.data / "worker.log").read_bytes()

    def check_out(self, **fields: str) -> str:
        """Order something in the storefront, as a browser does; returns the address of the order's page."""
        browser = requests.Session()
        page = browser.get(f"{self.url}/", timeout=30).text
        first = re.search(r'name="(quantity-\d+)"', page)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        if not first or not token:
            raise StepFailed("The storefront has no products, or no form.")
        form = {"csrfmiddlewaretoken": token[1], first[1]: "2", **fields}
        answer = browser.post(f"{self.url}/", form, timeout=30)
        if "/orders/" not in answer.url:
            raise StepFailed(f"The checkout answered {answer.status_code} and no order page.")
        return answer.url


@contextlib.contextmanager
def running(data: Path, api: str = "v2", ports: tuple[int, int] = (8900, 8000)) -> Iterator[tuple[Sandbox, Shop]]:
    """Run the sandbox and a new shop at these ports, and leave no process of either behind."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    with Sandbox(free_port(ports[0]), webhook_retry_scale=0.01, shop_name="Stationsplein Coffee") as sandbox:
        carriers = ["postnl", "dhl", "dhl_de", "bpost", "dpd", "mondial_relay"]
        sandbox.change_integration(service_point_enabled=True, service_point_carriers=carriers)
        if api == "v3":
            # An ordinary account: v2 is for certified partners, and v3 saves an order after accepting it.
            sandbox.certified_partners_only, sandbox.save_delay = True, 0.3
        shop = Shop(sandbox, free_port(ports[1]), data, api)
        try:
            yield sandbox, shop
        finally:
            shop.stop()


def run_steps(sandbox: Sandbox, shop: Shop, reporter: Reporter, orders: int) -> None:
    """Run the whole cycle once, and check each step by its effect."""
    reporter.step("A Sendcloud on this machine, a database, a shop")
    reporter.result(f"The sandbox answers at {sandbox.base_url}.")
    shop.manage("migrate", "-v0")
    shop.manage("create_orders", "0")
    shop.manage("createsuperuser", "--noinput", DJANGO_SUPERUSER_USERNAME="admin",
                DJANGO_SUPERUSER_PASSWORD="admin", DJANGO_SUPERUSER_EMAIL="admin@example.com")  # fmt: skip
    shop.start("shop", str(HERE / "manage.py"), "runserver", f"127.0.0.1:{shop.port}", "--noreload")
    shop.start("worker", "-m", "celery", "--workdir", str(HERE), "-A", "example", "worker", "-B", "-c", "2",
               "--loglevel", "INFO", "--without-gossip", "--without-mingle")  # fmt: skip
    wait_until("The shop", shop.is_up)
    reporter.result(f"The shop is open at {shop.url}.")
    wait_until("The worker", shop.worker_is_up)
    reporter.result("A Celery worker waits for work.")

    reporter.step("Connect them: manage.py sendcloud_connect")
    for line in shop.manage("sendcloud_connect").splitlines():
        reporter.note(line)
    if not sandbox.integration.webhook_active or not sandbox.integration.webhook_url.startswith(shop.url):
        raise StepFailed("Sendcloud does not know the shop's webhook.")
    reporter.result("Sendcloud knows where to report parcels.")

    django_setup()
    from shop.models import Order

    from django_sendcloud.models import EntryState, Integration, OutboxEntry, Parcel, ShipmentStatus

    if Integration.objects.get().api_generation != shop.api:
        raise StepFailed(f"The integration does not use API {shop.api}.")
    reporter.result(f"Orders go by API {shop.api}.")

    reporter.step("A buyer checks out in the storefront")
    page = shop.check_out(
        name="Sam Jansen", email="sam@example.com", street="Stadhuisplein", house_number="1", postal_code="5611 EM",
        city="Eindhoven", country="NL", delivery="Standard delivery",
    )  # fmt: skip
    bought = Order.objects.get()
    wait_until("The buyer's order at Sendcloud", lambda: sandbox.shipment(str(bought.pk)))
    reporter.result(f"Order {bought.number} is at Sendcloud: {page}")

    reporter.step(f"{orders} more orders: manage.py create_orders {orders}")
    upserts = "/orders" if shop.api == "v3" else "/shipments"
    before = sandbox.count("POST", upserts)
    shop.manage("create_orders", str(orders), "--seed", "1")

    def arrived() -> bool:
        reporter.progress(len(sandbox.shipments()), orders + 1)
        return len(sandbox.shipments()) == orders + 1

    wait_until("All orders at Sendcloud", arrived)
    reporter.result(f"All arrived, in {sandbox.count('POST', upserts) - before} requests.")
    wait_until("An empty outbox", lambda: not OutboxEntry.objects.exists())

    changed, cancelled, broken = Order.objects.exclude(pk=bought.pk).order_by("number")[:3]

    reporter.step("One order changes: the buyer has moved")
    changed.street, changed.house_number = "Markt", "7"
    changed.save()
    wait_until("The new address", lambda: sandbox.shipment(str(changed.pk))["address"] == "Markt")
    reporter.result(f"Order {changed.number} now goes to Markt 7, and is still one shipment.")

    reporter.step("One order is cancelled")
    cancelled.status = Order.Status.CANCELLED
    cancelled.save()
    wait_until("The deletion", lambda: sandbox.shipment(str(cancelled.pk)) is None)
    reporter.result(f"Order {cancelled.number} is gone at Sendcloud.")

    reporter.step("One order is broken: a country that does not exist")
    country, broken.country = broken.country, "XX"
    broken.save()
    refused = wait_until(
        "The rejection",
        lambda: OutboxEntry.objects.for_order(broken).filter(state=EntryState.REJECTED).first(),
    )
    reporter.result(f"Order {broken.number} is rejected alone, and says why:")
    from django_sendcloud.admin.explanations.errors import fields_of

    for problem in fields_of(refused.error_fields):
        reporter.note(f"{problem.label}: {' '.join(problem.messages)}")
    if "country" not in str(refused.error_fields):
        raise StepFailed("The rejection does not name the country.")
    broken.country, broken.street = country, "Markt"
    broken.save()
    wait_until("The fixed order", lambda: sandbox.shipment(str(broken.pk))["address"] == "Markt")
    wait_until("An empty outbox", lambda: not OutboxEntry.objects.exists())
    reporter.result("Fixed in the shop, it went out automatically.")

    reporter.step("Labels are made at Sendcloud, and parcels are delivered")
    shipped = [bought, changed]
    parcels = [parcel["id"] for order in shipped for parcel in sandbox.create_label(str(order.pk))]
    for number in parcels:
        while sandbox.parcel(number)["status"]["id"] != 11:
            status = sandbox.parcel(number)["status"]["id"]
            sandbox.advance(number)
            if sandbox.parcel(number)["status"]["id"] == status:
                raise StepFailed(f"Parcel {number} does not move.")
    wait_until("All webhooks", lambda: sandbox.wait_webhooks(1))
    reporter.result(f"{len(sandbox.webhooks)} signed webhooks were sent to the shop.")
    for order in shipped:
        parcel = wait_until(
            "The delivery",
            lambda order=order: Parcel.objects.for_order(order).filter(phase="delivered").first(),
        )
        html = requests.get(f"{shop.url}{order.get_absolute_url()}", timeout=30).text
        if parcel.tracking_number not in html:
            raise StepFailed(f"The page of order {order.number} does not show the tracking number.")
        wait_until(
            "The order's status", lambda order=order: Order.objects.filter(pk=order.pk, status="shipped").exists()
        )
        reporter.result(f"Order {order.number}: {parcel.tracking_number}, {parcel.get_phase_display()}, "
                 f"{parcel.timeline.count()} steps on its page.")  # fmt: skip

    wait_until("An empty outbox", lambda: not OutboxEntry.objects.exists())

    reporter.step("Both sides agree: manage.py sendcloud_reconcile")
    for line in shop.manage("sendcloud_reconcile").splitlines():
        reporter.note(line)
    from django_sendcloud.models import Shipment

    there = {shipment["external_order_id"] for shipment in sandbox.shipments()}

    def agreed() -> bool:
        here = Shipment.objects.filter(status=ShipmentStatus.SYNCED).values_list("external_order_id", flat=True)
        return set(here) == there and len(there) == orders

    # API v3 accepts an order before it saves it, and the worker looks again a few seconds later.
    wait_until("The agreement of both sides", agreed)
    reporter.result(f"{len(there)} orders here, the same {len(there)} there.")


def django_setup() -> None:
    """Look into the shop's database from here."""
    import django

    sys.path.insert(0, str(HERE))
    django.setup()


def fail(error: StepFailed, data: Path) -> NoReturn:
    print(f"\n✗ {error}", file=sys.stderr)
    for log in sorted(data.glob("*.log")):
        print(f"\n--- the end of {log.name} ---\n{log.read_text(errors='replace')[-3000:]}", file=sys.stderr)
    sys.exit(1)


def on_termination(*_: object) -> NoReturn:
    """Stop the shop's processes, too, if only this one is stopped."""
    raise KeyboardInterrupt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the last step")
    parser.add_argument("--api", choices=["v2", "v3"], default="v2", help="API generation (default: %(default)s)")
    parser.add_argument("--orders", type=int, default=250, help="how many orders are placed (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=HERE / ".data" / "demo", help="where the shop's files are")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, on_termination)
    reporter, begin = Reporter(), time.monotonic()
    try:
        # Without visitors, any ports do. Two demos that begin together must not choose the same.
        ports = (0, 0) if options.once else (8900, 8000)
        with running(options.data, options.api, ports) as (sandbox, shop):
            run_steps(sandbox, shop, reporter, max(options.orders, 3))
            print(f"\nEvery step was seen to work, in {time.monotonic() - begin:.0f} seconds.")
            if options.once:
                return
            print(
                f"\nNow try it:\n"
                f"   The shop             {shop.url}/\n"
                f"   Its admin            {shop.url}/admin/   (admin / admin)\n"
                f"   Sendcloud's panel    {sandbox.panel_url}\n\nStop it with Ctrl-C.",
                flush=True,
            )
            while True:
                time.sleep(3600)
    except StepFailed as error:
        fail(error, options.data)
    except KeyboardInterrupt:
        print("\nStopped.")


if __name__ == "__main__":
    main()
