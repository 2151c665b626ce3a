"""The sandbox as a process of its own, started in both ways."""

from __future__ import annotations

import errno
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from .conftest import order
from .v3.conftest import order as v3_order

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]
ALONE = ["-m", "django_sendcloud.sandbox"]
MANAGED = ["-m", "django", "sendcloud_sandbox", "--settings=tests.settings"]

both = pytest.mark.parametrize("how", [ALONE, MANAGED], ids=["alone", "managed"])


class Process:
    """A sandbox in a process; its lines can be waited for."""

    def __init__(self, *arguments: str) -> None:
        self.child = subprocess.Popen(
            # Warnings are errors here, too: a process should print nothing but what it has to say.
            [sys.executable, "-W", "error", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.child.stdout
        for line in self.child.stdout:
            self._lines.put(line.rstrip("\n"))

    def line(self) -> str:
        """Wait for the next line it prints."""
        return self._lines.get(timeout=30)

    def greeting(self) -> str:
        lines = [self.line()]
        while "Ctrl-C" not in lines[-1]:
            lines.append(self.line())
        return "\n".join(lines)

    def settings(self) -> dict[str, str]:
        """Return the exports, as a shell would read them."""
        return dict(re.findall(r"^export (\w+)=(\S+)$", self.greeting(), re.MULTILINE))

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal, and wait for the end: exit code, and what went to standard error."""
        self.child.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        assert self.child.stderr
        errors = self.child.stderr.read()
        return self.child.wait(30), errors

    def close(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self._reader.join(10)
        for stream in (self.child.stdout, self.child.stderr):
            assert stream
            stream.close()


Start = Callable[..., Process]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[Process] = []

    def run(*arguments: str) -> Process:
        started.append(Process(*arguments))
        return started[-1]

    yield run
    for process in started:
        process.close()


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@both
def test_process_greets_serves_and_ends(start: Start, how: list[str]) -> None:
    process = start(*how, "--port", "0", "--public-key", "pub", "--secret-key", "sec", "--integration-id", "7")
    settings = process.settings()
    base_url = settings.pop("SENDCLOUD_BASE_URL")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", base_url)
    assert settings == {
        "SENDCLOUD_PUBLIC_KEY": "pub",
        "SENDCLOUD_SECRET_KEY": "sec",
        "SENDCLOUD_INTEGRATION_ID": "7",
    }
    answer = requests.post(
        f"{base_url}/api/v2/integrations/7/shipments",
        json=[order(), order("2", country="XX")],
        auth=("pub", "sec"),
        timeout=10,
    )
    assert [result["status"] for result in answer.json()] == ["created", "error"]
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d POST   /api/v2/integrations/7/shipments 200  1 created, 1 error", process.line()
    )
    assert "Incoming orders" in requests.get(base_url, timeout=10).text
    assert process.end() == (0, "")


def test_interrupt_ends_process(start: Start) -> None:
    process = start(*ALONE, "--port", "0")
    process.greeting()
    assert process.end(signal.SIGINT) == (0, "")


@both
def test_taken_port_is_reported_in_one_line(start: Start, how: list[str], taken: int) -> None:
    code, errors = start(*how, "--port", str(taken)).wait()
    assert code == 1
    assert errors == f"Cannot listen on 127.0.0.1:{taken}: {os.strerror(errno.EADDRINUSE)}. Choose another --port.\n"


@both
@pytest.mark.parametrize("port", ["65536", "-1", "http"])
def test_wrong_port_is_reported_in_one_line(start: Start, how: list[str], port: str) -> None:
    code, errors = start(*how, f"--port={port}").wait()
    assert code == 2
    assert errors.endswith("error: argument --port: must be a number from 0 to 65535\n")


def test_unwritable_log_is_reported_in_one_line(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "log"
    code, errors = start(*ALONE, "--port", "0", "--log-file", str(path)).wait()
    assert (code, errors) == (1, f"Cannot write {path}: {os.strerror(errno.ENOENT)}.\n")


def test_options_reach_sandbox(start: Start, tmp_path: Path) -> None:
    log = tmp_path / "requests.log"
    process = start(
        *(*ALONE, "--port", "0", "--auth", "oauth2", "--shop-name", "My shop", "--quiet", "--rate-limits"),
        *("--log-file", str(log), "--latency", "0.001", "--webhook-retry-scale", "0.5"),
    )
    settings = process.settings()
    keys = settings["SENDCLOUD_PUBLIC_KEY"], settings["SENDCLOUD_SECRET_KEY"]
    form = {"grant_type": "client_credentials"}
    token = requests.post(settings["SENDCLOUD_TOKEN_URL"], form, auth=keys, timeout=10).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    address = f"{settings['SENDCLOUD_BASE_URL']}/api/v2/integrations"
    [integration] = requests.get(address, headers=headers, timeout=10).json()
    assert (integration["shop_name"], integration["id"]) == ("My shop", 1001)
    with requests.Session() as session:
        statuses = [session.delete(f"{address}/1", headers=headers, timeout=10).status_code for _ in range(101)]
    assert statuses == [404] * 100 + [429]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["status"] for line in lines] == [200, 200, *statuses]
    assert [line["operation"] for line in lines[:3]] == ["get token", "list integrations", "delete integration"]
    # Neither keys nor tokens are written down.
    assert not any(secret in log.read_text() for secret in (*keys, token))
    assert process.end() == (0, "")


def test_open_host_gets_warning(start: Start) -> None:
    process = start(*ALONE, "--port", "0", "--host", "0.0.0.0")
    assert "http://127.0.0.1:" in process.greeting()
    assert process.line().startswith("WARNING: Other machines can reach 0.0.0.0")


def test_keys_stay_the_same_on_loopback(start: Start) -> None:
    keys = [start(*ALONE, "--port", "0").settings() for _ in range(2)]
    names = ("SENDCLOUD_PUBLIC_KEY", "SENDCLOUD_SECRET_KEY")
    assert [keys[0][name] for name in names] == [keys[1][name] for name in names]
    assert keys[0][names[0]] != keys[0][names[1]]
    open_to_all = start(*ALONE, "--port", "0", "--host", "0.0.0.0").settings()
    assert not {open_to_all[name] for name in names} & {keys[0][name] for name in names}


def test_advertised_address_is_printed_and_linked(start: Start) -> None:
    """Another container reaches the sandbox under a name of their network."""
    url = "http://sendcloud.localhost:8900"
    port = str(free_port())
    keys = ("--public-key", "it's", "--secret-key", "a b")
    process = start(*ALONE, "--host", "0.0.0.0", "--port", port, "--advertise", f"{url}/", *keys)
    greeting = process.greeting()
    assert f"export SENDCLOUD_BASE_URL={url}\n" in greeting
    shell = subprocess.run(
        [
            "sh",
            "-c",
            f'{greeting[greeting.index("export") : greeting.index("It forgets")]}\necho "$SENDCLOUD_PUBLIC_KEY"',
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shell.stdout == "it's\n"
    session = requests.Session()
    session.headers["Host"], session.auth = "sendcloud.localhost:8900", ("it's", "a b")
    here = f"http://127.0.0.1:{port}"
    assert session.get(here, timeout=10).status_code == 200
    for number in range(2):
        entry = {"base_url": "https://shop.example", "created_at": f"2026-03-0{number + 1}T00:00:00Z"}
        session.post(f"{here}/api/v3/integrations/1001/logs", json=entry, timeout=10)
    page = session.get(f"{here}/api/v3/integrations/logs?page_size=1", timeout=10)
    assert page.links["next"]["url"].startswith(f"{url}/v3/integrations/logs?")


@pytest.mark.parametrize("url", ["sandbox:8900", "http://", "http://a/b", "ftp://a"])
def test_advertised_address_must_be_origin(start: Start, url: str) -> None:
    code, errors = start(*ALONE, f"--advertise={url}").wait()
    assert code == 2
    assert errors.endswith("must be an address such as http://sendcloud.localhost:8900\n")


def test_options_of_v3_reach_sandbox(start: Start) -> None:
    process = start(*ALONE, "--port", "0", "--save-delay", "3600", "--partners-only")
    settings = process.settings()
    keys = settings["SENDCLOUD_PUBLIC_KEY"], settings["SENDCLOUD_SECRET_KEY"]
    root = settings["SENDCLOUD_BASE_URL"]
    old = requests.post(f"{root}/api/v2/integrations/1001/shipments", json=[order()], auth=keys, timeout=10)
    assert old.status_code == 403
    new = requests.post(f"{root}/api/v3/orders", json=[v3_order()], auth=keys, timeout=10)
    assert new.status_code == 201
    assert requests.get(f"{root}/api/v3/orders", auth=keys, timeout=10).json() == {"data": []}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_standard_library_is_enough(start: Start) -> None:
    # -S leaves out whatever is installed; the package itself comes from the path.
    process = start("-S", *ALONE, "--port", "0")
    assert process.settings()
    assert process.end() == (0, "")
