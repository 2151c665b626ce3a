"""Real browser, and the example shop as real processes with the sandbox as its Sendcloud."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox
from tests.servers import free_port

from .operator import open_operator, operator

__all__ = ["browser", "example_shop", "open_operator", "operator"]

MANAGE = Path(__file__).resolve().parents[2] / "example_project" / "manage.py"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Nothing but the page itself may go out to the network.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        if os.environ.get("SENDCLOUD_REQUIRE_SERVICES") == "1":
            pytest.fail("Chromium is required here and missing: install chromium")
        pytest.skip(
            "not installed here: Chromium (Debian's package chromium; SENDCLOUD_REQUIRE_SERVICES=1 makes this a failure)"
        )
    from playwright.sync_api import sync_playwright

    # Playwright leaves its event loop in this thread while the browser lives; Django would refuse database access.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class ExampleShop:
    """The example shop with a database of its own."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SENDCLOUD_", "DJANGO_", "TEST_"))
            and name not in ("DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY", "DEBUG", "ALLOWED_HOSTS")
        }
        self.environment = inherited | {
            "DJANGO_SETTINGS_MODULE": "example.settings",
            "EXAMPLE_DATA_DIR": str(folder),
            "SENDCLOUD_BASE_URL": sandbox.base_url,
            "SENDCLOUD_PUBLIC_KEY": sandbox.public_key,
            "SENDCLOUD_SECRET_KEY": sandbox.secret_key,
            "SENDCLOUD_INTEGRATION_ID": str(sandbox.integration_id),
            "SENDCLOUD_SERVICE_POINT_SCRIPT_URL": sandbox.service_point_script_url,
            "SHOP_URL": self.url,
        }
        self._server: subprocess.Popen[bytes] | None = None

    def manage(self, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(MANAGE), *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def push(self) -> None:
        """Push all orders, as a worker does."""
        self.manage("sendcloud_sync")

    def start(self) -> None:
        self.manage("migrate", "-v0")
        self.manage("create_orders", "0")
        with (self.folder / "shop.log").open("wb") as log:
            self._server = subprocess.Popen(
                [sys.executable, str(MANAGE), "runserver", f"127.0.0.1:{self.port}", "--noreload"],
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
        self.manage("sendcloud_connect")

    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/", timeout=5).ok
        except requests.ConnectionError:
            return False

    def log(self) -> str:
        return (self.folder / "shop.log").read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        if self._server is not None:
            os.killpg(self._server.pid, signal.SIGTERM)
            self._server.wait(10)


@pytest.fixture(scope="session")
def example_shop(tmp_path_factory: pytest.TempPathFactory, browser: Any) -> Iterator[ExampleShop]:
    with Sandbox() as sandbox:
        carriers = ["postnl", "dhl_de"]
        sandbox.change_integration(service_point_enabled=True, service_point_carriers=carriers)
        shop = ExampleShop(sandbox, tmp_path_factory.mktemp("shop"))
        try:
            shop.start()
            yield shop
        finally:
            shop.stop()
