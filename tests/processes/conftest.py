"""Real processes on a real database and a real broker."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests import services

ROOT = Path(__file__).resolve().parent.parent.parent

# Small enough to wait for, and in the proportions of the real ones.
SETTINGS = {
    "DEBOUNCE_SECONDS": 0.1,
    "CONNECT_TIMEOUT_SECONDS": 0.5,
    "READ_TIMEOUT_SECONDS": 1.0,
    "DEADLINE_SECONDS": 1.0,
    "LEASE_SECONDS": 4.0,
    "QUARANTINE_SECONDS": 1.0,
    "SWEEP_SECONDS": 1.0,
    "BACKOFF_MAX_SECONDS": 1.0,
}


class Project:
    """The test project with a database of its own, seen through the processes that run it."""

    def __init__(self, database_url: str, broker_url: str, sandbox: Any, folder: Path) -> None:
        self.database_url = database_url
        self.broker_url = broker_url
        self.sandbox = sandbox
        self.folder = folder
        self.settings: dict[str, Any] = {**SETTINGS, "BASE_URL": sandbox.base_url}
        self._children: list[subprocess.Popen[bytes]] = []

    def environment(self, **extra: str) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TEST_DATABASE_URL": self.database_url,
            "TEST_BROKER_URL": self.broker_url,
            "TEST_SENDCLOUD": json.dumps(self.settings),
            "PYTHONPATH": str(ROOT),
            **extra,
        }

    def run(self, code: str, *, check: bool = True, **environment: str) -> str:
        """Run Python code with Django set up, in a process of its own; returns what it printed."""
        program = "import tests.celery_app, django; django.setup()\n" + code
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", program],
            cwd=ROOT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip()

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"process-{len(self._children)}.log").open("wb")
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            cwd=ROOT,
            env=self.environment(**environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._children.append(child)
        return child

    def worker(self, *, beat: bool = True, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """A real Celery worker with two processes, with the periodic work beside it unless told otherwise."""
        if beat:
            options = [*options, "-B", "-s", str(self.folder / f"beat-{uuid.uuid4().hex}")]
        return self.start(
            "-m", "celery", "-A", "tests.celery_app", "worker", "--concurrency", "2", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", *options,
        )  # fmt: skip

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(self.folder.glob("*.log")))

    def wait_for(self, condition: Callable[[], Any], *, seconds: float = 60, what: str = "") -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what or 'it'} did not happen in {seconds} s\n{self.logs()}"
            time.sleep(0.1)

    def outbox(self) -> int:
        return int(self.run("from tests.factories import outbox; print(outbox().count())"))

    def push_the_rest(self) -> None:
        """Push, in one process after the other, until nothing is left."""
        push = "from django_sendcloud.sync.pump import pump; from tests.factories import outbox; pump()"
        self.wait_for(lambda: self.run(f"{push}; print(outbox().count())") == "0", what="the end of all orders")

    def connect(self) -> None:
        self.run(
            "from tests import factories\n"
            "class S: integration_id, public_key, secret_key = "
            f"{self.sandbox.integration_id!r}, {self.sandbox.public_key!r}, {self.sandbox.secret_key!r}\n"
            "factories.integration(S)"
        )

    def place_orders(self, count: int) -> list[str]:
        code = f"from tests import factories\nfor _ in range({count}): print(factories.order(lines=3).pk)"
        return self.run(code).split()

    def stop(self) -> None:
        for child in self._children:
            if child.poll() is None:
                kill(child)


def kill(child: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a process and all of its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(timeout=10)


@contextlib.contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """A database that nobody else uses."""
    name = f"test_sendcloud_{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'db.sqlite3'}?transaction_mode=IMMEDIATE&timeout=30"
        return
    parts = urlsplit(services.URLS[kind])
    url = urlunsplit(parts._replace(path=f"/{name}"))
    if kind == "postgresql":
        import psycopg

        with psycopg.connect(services.URLS[kind], autocommit=True) as admin:
            admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield url
        finally:
            with psycopg.connect(services.URLS[kind], autocommit=True) as admin:
                admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        return
    import pymysql

    where = {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": parts.username,
        "password": parts.password or "",
    }
    with pymysql.connect(**where) as admin, admin.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
    try:
        yield url
    finally:
        with pymysql.connect(**where) as admin, admin.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


@pytest.fixture
def make_project(sandbox: Any) -> Iterator[Callable[..., Project]]:
    """Make a migrated project with a connected integration on the given database and broker.

    A ``url`` names an empty database that is there already.
    """
    with contextlib.ExitStack() as stack:

        def make(database: str, broker: str = "", *, url: str = "") -> Project:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = url or stack.enter_context(fresh_database(database, folder))
            if broker == "redis":
                broker_url = services.URLS["redis"]
            elif broker == "rabbitmq":
                broker_url = stack.enter_context(virtual_host())
            else:
                broker_url = "memory://"
            project = Project(url, broker_url, sandbox, folder)
            stack.callback(project.stop)
            project.run(
                "from django.core.management import call_command; call_command('migrate', run_syncdb=True, verbosity=0)"
            )
            if broker == "redis":
                import redis

                redis.Redis.from_url(broker_url).flushdb()
            project.connect()
            return project

        yield make


@contextlib.contextmanager
def virtual_host() -> Iterator[str]:
    """RabbitMQ's default virtual host, with the queue emptied before and after."""
    import kombu

    def purge() -> None:
        with kombu.Connection(services.URLS["rabbitmq"]) as connection:
            channel = connection.channel()
            for queue in ("celery",):
                with contextlib.suppress(Exception):
                    channel.queue_delete(queue)

    purge()
    yield services.URLS["rabbitmq"]
    purge()
