"""The test project as real processes, on a real database and a real broker."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from tests import services
from tests.spawner import ROOT, Child, Spawner

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
    "CONFIRM_SECONDS": 0.2,
    "SAVE_SECONDS": 5.0,
    # By name, because a test may put a pool or a proxy before the database.
    "DEPLOYMENT": "tests",
}
RUN_SECONDS = 120.0


class Project:
    """The test project with a database of its own, seen through the processes that run it.

    Attributes:
        settings: The ``SENDCLOUD`` setting of its processes. A change costs a new spawner: give what is known to
            ``make_project``.
        queue: Name of its Celery queue, and on Redis the prefix of all its keys, because projects share brokers.
    """

    def __init__(self, database_url: str, broker_url: str, sandbox: Any, folder: Path, **settings: Any) -> None:
        self.database_url = database_url
        self.broker_url = broker_url
        self.sandbox = sandbox
        self.folder = folder
        self.queue = f"test-{uuid.uuid4().hex[:12]}"
        self.settings: dict[str, Any] = {**SETTINGS, "BASE_URL": sandbox.base_url, **settings}
        self._children: list[Any] = []
        self._spawners: dict[frozenset[tuple[str, str]], Spawner] = {}
        self._runs = itertools.count()

    def environment(self, **extra: str) -> dict[str, str]:
        """Return the environment of the project's processes."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TEST_DATABASE_URL": self.database_url,
            "TEST_BROKER_URL": self.broker_url,
            "TEST_QUEUE": self.queue,
            "TEST_SENDCLOUD": json.dumps(self.settings),
            "PYTHONPATH": str(ROOT),
            **extra,
        }

    def _spawner(self, extra: dict[str, str]) -> Spawner:
        environment = self.environment(**extra)
        key = frozenset(environment.items())
        if key not in self._spawners:
            self._spawners[key] = Spawner(environment, self.folder / f"spawner-{len(self._spawners)}.log")
        return self._spawners[key]

    def run(self, code: str, *, check: bool = True, **environment: str) -> str:
        """Run Python code, with Django set up, in a process of its own, and return its output.

        Raises:
            AssertionError: its exit code is not 0; never where ``check`` is false.
        """
        name = f"run-{next(self._runs)}"
        out, err = self.folder / f"{name}.out", self.folder / f"{name}.err"
        child = self._spawner(environment).start(code, out=out, err=err)
        try:
            code_returned = child.wait(RUN_SECONDS)
        except BaseException:
            kill(child)
            raise
        said = out.read_text(errors="replace")
        if check and code_returned:
            raise AssertionError(f"exit code {code_returned}\n{said}\n{err.read_text(errors='replace')}")
        return said.strip()

    def start(self, code: str = "", *, argv: Sequence[str] = (), **environment: str) -> Child:
        """Start a process with Django set up, for code or for a module with its arguments; it ends with the test."""
        log = self.folder / f"process-{len(self._children)}.log"
        child = self._spawner(environment).start(code, argv=tuple(argv), out=log, err=log)
        self._children.append(child)
        return child

    def worker(self, *, beat: bool = True, options: Sequence[str] = ()) -> Child:
        """Start a real Celery worker with two processes.

        Args:
            beat: Whether it does the periodic work, too.
            options: More of Celery's.
        """
        if beat:
            options = [*options, "-B", "-s", str(self.folder / f"beat-{uuid.uuid4().hex}")]
        name = f"worker-{uuid.uuid4().hex[:8]}@test"
        argv = [
            "celery", "-A", "tests.celery_app", "worker", "--concurrency", "2", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", "-n", name, *options,
        ]  # fmt: skip
        return self.start(argv=argv)

    def logs(self) -> str:
        """Return the ends of what the started processes have written."""
        return "\n".join(path.read_text(errors="replace")[-3000:] for path in sorted(self.folder.glob("*.log")))

    def wait_for(self, condition: Callable[[], Any], *, seconds: float = 60, what: str = "") -> None:
        """Wait until a condition holds.

        Raises:
            AssertionError: it does not hold after these seconds.
        """
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, f"{what or 'it'} did not happen in {seconds} s\n{self.logs()}"
            time.sleep(0.05)

    def upserts(self) -> int:
        """Return how many upserts Sendcloud has got, by either API."""
        return int(self.sandbox.count("POST", "/shipments") + self.sandbox.count("POST", "/orders"))

    def outbox(self) -> int:
        """Return how many orders wait for a push."""
        return int(self.run("from tests.factories import outbox; print(outbox().count())"))

    def make_due(self) -> None:
        """End all leases, quarantines and debounces, as if time had passed."""
        self.run(
            "from django.utils import timezone\nfrom tests.factories import outbox\n"
            "outbox().update(not_before=timezone.now(), due_at=timezone.now())"
        )

    def push_the_rest(self) -> None:
        """Push, in one process after the other, until nothing is left."""
        push = "from django_sendcloud.sync.worker import push_due; from tests.factories import outbox; push_due()"
        self.wait_for(lambda: self.run(f"{push}; print(outbox().count())") == "0", what="the end of all orders")

    def connect(self, api: str = "v2") -> None:
        """Connect the sandbox's integration by an API generation."""
        self.run(
            "from tests import factories\n"
            "class S: integration_id, public_key, secret_key = "
            f"{self.sandbox.integration_id!r}, {self.sandbox.public_key!r}, {self.sandbox.secret_key!r}\n"
            f"factories.integration(S, api_generation={api!r})"
        )

    def place_orders(self, count: int) -> list[str]:
        """Place orders and return their primary keys."""
        code = f"from tests import factories\nfor _ in range({count}): print(factories.order(lines=3).pk)"
        return self.run(code).split()

    def lose_messages(self) -> None:
        """Empty the broker, as a crash of one that keeps nothing would."""
        if self.broker_url.startswith("redis"):
            _delete_keys(self.broker_url, self.queue)
        elif self.broker_url.startswith("amqp"):
            _delete_queue(self.broker_url, self.queue)

    def stop(self) -> None:
        """Kill all processes, and leave nothing behind in the broker."""
        for child in self._children:
            if child.poll() is None:
                kill(child)
        for spawner in self._spawners.values():
            spawner.close()
        self._spawners.clear()
        self.lose_messages()


def _delete_keys(url: str, prefix: str) -> None:
    import redis

    with contextlib.suppress(redis.ConnectionError), redis.Redis.from_url(url) as client:
        for key in client.scan_iter(match=f"{prefix}*", count=1000):
            client.delete(key)


def _delete_queue(url: str, name: str) -> None:
    import kombu

    with kombu.Connection(url) as connection:
        channel = connection.channel()
        channel.queue_delete(name)
        channel.exchange_delete(name)


def kill(child: Any) -> None:
    """Send SIGKILL to a process and all of its children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait(timeout=10)


@contextlib.contextmanager
def project_on(
    url: str, broker: str, sandbox: Any, folder: Path, api: str = "v2", **settings: Any
) -> Iterator[Project]:
    """Yield a project with a connected integration, on a database that has the tables."""
    project = Project(url, services.URLS[broker] if broker else "memory://", sandbox, folder, **settings)
    try:
        project.connect(api)
        yield project
    finally:
        project.stop()
