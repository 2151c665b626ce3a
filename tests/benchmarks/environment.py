"""Environment of a benchmark: a database of its own, a sandbox in a process of its own, and statistics."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parents[2]
# Names that a sandbox exports, without their prefix.
EXPORTS = {"BASE_URL", "PUBLIC_KEY", "SECRET_KEY", "INTEGRATION_ID"}


class RemoteSandbox:
    """A sandbox in another process, so that it does not share the interpreter with what is measured."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "django_sendcloud.sandbox", "--port", "0", "--quiet", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.values: dict[str, str] = {}
        for line in self.process.stdout:
            if match := re.match(r"export SENDCLOUD_(\w+)=(\S+)", line):
                self.values[match[1]] = match[2]
            if self.values.keys() >= EXPORTS:
                break
        else:
            raise RuntimeError(f"The sandbox ended with exit code {self.process.wait()}.")

    @property
    def base_url(self) -> str:
        return self.values["BASE_URL"]

    def connect(self, api: str = "v2") -> Any:
        """Connect the shop to the sandbox by an API generation."""
        from django_sendcloud.models import Integration

        return Integration.objects.create(
            remote_id=int(self.values["INTEGRATION_ID"]),
            name="Benchmark",
            public_key=self.values["PUBLIC_KEY"],
            secret_key=self.values["SECRET_KEY"],
            api_generation=api,
        )

    def shipments(self) -> int:
        """Return the number of shipments that the sandbox's panel shows."""
        page = requests.get(self.base_url.removesuffix("/api/v2") + "/", timeout=30).text
        match = re.search(r"Incoming orders\s*<[^>]+>\s*([\d,.]+)", page)
        return int(re.sub(r"\D", "", match[1])) if match else -1

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@contextlib.contextmanager
def timed_requests() -> Iterator[dict[str, list[float]]]:
    """Note when each request of this process was answered, by its HTTP method."""
    from django_sendcloud.api.requestor import Requestor

    answered: dict[str, list[float]] = collections.defaultdict(list)
    send = Requestor.send

    def note(self: Any, request: Any) -> Any:
        response = send(self, request)
        answered[request.method].append(time.perf_counter())
        return response

    Requestor.send = note  # type: ignore[method-assign]
    try:
        yield answered
    finally:
        Requestor.send = send  # type: ignore[method-assign]


@contextlib.contextmanager
def django_environment(sandbox: Any = None, database: str = "postgresql", **settings: Any) -> Iterator[str]:
    """Set Django up on a fresh database: PostgreSQL where it runs, SQLite in a file elsewhere. Once per process.

    Args:
        sandbox: Whose ``base_url`` the settings get.
        database: Which database, where it runs.
        **settings: More keys of the ``SENDCLOUD`` setting.
    """
    sys.path.insert(0, str(ROOT))
    from tests import services
    from tests.databases import fresh_database

    kind = database if database == "sqlite" or services.available(database) else "sqlite"
    with tempfile.TemporaryDirectory() as folder, fresh_database(kind, Path(folder)) as url:
        os.environ["TEST_DATABASE_URL"] = url
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
        os.environ["TEST_SENDCLOUD"] = json.dumps({**({"BASE_URL": sandbox.base_url} if sandbox else {}), **settings})
        import django

        django.setup()
        from django.core.management import call_command
        from django.db import connections

        call_command("migrate", run_syncdb=True, verbosity=0)
        try:
            yield kind
        finally:
            connections.close_all()


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def percentile(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def resident() -> float:
    """Return the resident memory of this process, in MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


def line(text: str, value: str, goal: str = "") -> None:
    print(f"  {text:<62} {value:>16}   {goal}", flush=True)
