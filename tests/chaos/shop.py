"""The example shop as the processes of a run see it: its database, its broker, its Sendcloud, its settings."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests import services
from tests.project import RUN_SECONDS, Project
from tests.servers import Server, free_port
from tests.spawner import ROOT
from tests.toxic import ToxicProxy

# Small enough for many faults a minute, and in the proportions of the real ones: the lease is longer than any
# exchange with Sendcloud, and the quarantine longer than any delay of a request.
SETTINGS: dict[str, Any] = {
    "DEBOUNCE_SECONDS": 0.2,
    "CONNECT_TIMEOUT_SECONDS": 0.5,
    "READ_TIMEOUT_SECONDS": 1.0,
    "DEADLINE_SECONDS": 1.5,
    "LEASE_SECONDS": 6.0,
    "QUARANTINE_SECONDS": 4.0,
    "BACKOFF_MAX_SECONDS": 1.0,
    "SWEEP_SECONDS": 1.0,
    "PROBE_SECONDS": 2.0,
    "CLAIM_SIZE": 100,
    "BATCH_SIZE": 10,
    # An explicit name, because each process reaches the database through a proxy, so under another address.
    "DEPLOYMENT": "chaos",
    # A webhook that found no web server for too long is made up for by polling.
    "POLL_SECONDS": 5.0,
}
# API v3 saves an accepted order later. The quarantine is longer than the delay of a request and the saving together.
SETTINGS |= {"CONFIRM_SECONDS": 0.4, "SAVE_SECONDS": 3.0}
SAVE_DELAYS = (0.02, 0.3)
# The run's counterpart of Sendcloud's minute: the window, and the requests that may change something within it.
WINDOW_SECONDS = 10.0
WINDOW_REQUESTS = 60
# A burst of nine and 42 in a window leave nine of the sixty for requests that were delayed on their way.
SETTINGS |= {"UNSAFE_REQUESTS_PER_MINUTE": 42 * 60 / WINDOW_SECONDS, "UNSAFE_BURST": 9}

# A Redis database counts as taken for so long after a run that was killed and could not return it.
TAKEN_SECONDS = 3600


class Shop(Project):
    """The example shop with processes that reach every service through toxic proxies."""

    def __init__(
        self, database_url: str, replica_url: str, copy_url: str, broker_url: str, sandbox: Any, folder: Path
    ) -> None:
        super().__init__(database_url, broker_url, sandbox, folder)
        self.replica_url = replica_url
        self.copy_url = copy_url
        self.queue = f"chaos-{uuid.uuid4().hex[:8]}"
        self.settings = dict(SETTINGS)
        self.database = self._proxy(database_url)
        self.broker = self._proxy(broker_url)
        self.sendcloud = self._proxy(sandbox.base_url)
        self.port = free_port()

    @staticmethod
    def _proxy(url: str) -> ToxicProxy:
        address = urlsplit(url)
        assert address.port is not None, f"{url} needs a port"
        return ToxicProxy(address.hostname or "127.0.0.1", address.port)

    def environment(self, **extra: str) -> dict[str, str]:
        environment = super().environment(
            DJANGO_SETTINGS_MODULE="tests.chaos.settings",
            PYTHONPATH=f"{ROOT}:{ROOT / 'example_project'}",
            EXAMPLE_DATA_DIR=str(self.folder),
            SENDCLOUD_SETTINGS=json.dumps(self.settings),
            CHAOS_QUEUE=self.queue,
            DEBUG="0",
        )
        # The settings of the example project use other names than those of the test project.
        for name in ("TEST_DATABASE_URL", "TEST_BROKER_URL", "TEST_SENDCLOUD"):
            environment.pop(name)
        return {
            **environment,
            "DATABASE_URL": via(self.database_url, self.database),
            "CELERY_BROKER_URL": via(self.broker_url, self.broker),
            "SENDCLOUD_BASE_URL": via(self.sandbox.base_url, self.sendcloud),
            **extra,
        }

    def run(self, code: str, *, check: bool = True, **environment: str) -> str:
        """Run code in a new interpreter: the shop's settings take the clock over before Django is set up."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", "import django; django.setup()\n" + code],
            cwd=ROOT,
            env=self.environment(**environment),
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout.strip()

    def start_module(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a module with its arguments in a new interpreter; it ends with the run."""
        with (self.folder / f"process-{len(self._children)}.log").open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", *command],
                cwd=ROOT,
                env=self.environment(**environment),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children.append(child)
        return child

    def directly(self) -> dict[str, str]:
        """Return the environment of an observer: without proxies, and with a true clock."""
        return {"DATABASE_URL": self.database_url, "CELERY_BROKER_URL": self.broker_url, "CHAOS_CLOCK": ""}

    def prepare_replica(self) -> None:
        """Create the replica's tables, which stay empty."""
        code = "from django.core.management import call_command; call_command('migrate', verbosity=0)"
        self.run(code, **{**self.directly(), "DATABASE_URL": self.replica_url})

    def ask(self, expression: str, **environment: str) -> Any:
        """Return the answer of a function of ``tests.chaos.shop_process``, called in a process of its own."""
        code = f"import json\nfrom tests.chaos import shop_process\nprint(json.dumps(shop_process.{expression}))"
        return json.loads(self.run(code, **{**self.directly(), **environment}))

    def waiting(self) -> int:
        """Return the number of orders that still have to be pushed, and of webhooks that still have an effect."""
        with self._cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM django_sendcloud_outboxentry")
            orders = int(cursor.fetchone()[0])
            cursor.execute("SELECT COUNT(*) FROM django_sendcloud_webhookevent WHERE due_at IS NOT NULL")
            return orders + int(cursor.fetchone()[0])

    def phases(self) -> dict[int, str]:
        """Return the phase of each known parcel by Sendcloud's id."""
        with self._cursor() as cursor:
            cursor.execute("SELECT remote_id, phase FROM django_sendcloud_parcel")
            return dict(cursor.fetchall())

    def leases(self) -> set[str]:
        """Return the leases of claims that workers have not settled yet."""
        with self._cursor() as cursor:
            cursor.execute("SELECT DISTINCT lease FROM django_sendcloud_outboxentry WHERE lease <> ''")
            return {lease for (lease,) in cursor.fetchall()}

    def end_database_connections(self) -> None:
        """Make the server end all other connections to the shop's database, and to no other database."""
        with self._cursor() as cursor:
            if self.database_url.startswith("postgresql"):
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
                return
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = DATABASE()")
            mine = cursor.connection.thread_id()
            for (number,) in cursor.fetchall():
                if number != mine:
                    # The connection may have ended meanwhile.
                    with contextlib.suppress(Exception):
                        cursor.execute("KILL CONNECTION %s", [number])

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        """Connect to the database without a proxy, and without Django because it takes seconds to start."""
        connection: Any
        if self.database_url.startswith("postgresql"):
            import psycopg

            connection = psycopg.connect(self.database_url, autocommit=True)
        else:
            import pymysql

            address = urlsplit(self.database_url)
            connection = pymysql.connect(
                host=address.hostname,
                port=address.port or 3306,
                user=address.username,
                password=address.password or "",
                database=address.path.strip("/"),
                autocommit=True,
            )
        with contextlib.closing(connection), connection.cursor() as cursor:
            yield cursor

    def clock_of(self, name: str) -> Path:
        return self.folder / f"clock-{name}"

    def start_worker(self, name: str) -> subprocess.Popen[bytes]:
        """Start a real Celery worker with two processes."""
        return self.start_module(
            "celery", "-A", "tests.chaos.app", "worker", "--concurrency", "2", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", "-n", f"{name}-{uuid.uuid4().hex[:6]}@chaos",
            CHAOS_CLOCK=str(self.clock_of(name)), CHAOS_REPLICA=self.replica_url,
        )  # fmt: skip

    def start_copy(self) -> subprocess.Popen[bytes]:
        """Start the worker of a test shop that has a copy of the database, with its keys."""
        settings = json.dumps({**self.settings, "DEPLOYMENT": "copy"})
        environment = {**self.directly(), "DATABASE_URL": self.copy_url, "SENDCLOUD_SETTINGS": settings}
        return self.start_module("tests.chaos.copy", **environment)

    def start_beat(self) -> subprocess.Popen[bytes]:
        schedule = self.folder / f"beat-{uuid.uuid4().hex}"
        return self.start_module("celery", "-A", "tests.chaos.app", "beat", "--loglevel", "INFO", "-s", str(schedule))

    def start_web(self) -> subprocess.Popen[bytes]:
        return self.start_module("tests.chaos.web", str(self.port), CHAOS_REPLICA=self.replica_url)

    def start_writer(self, name: str, seed: str, diary: Path, begin: float) -> subprocess.Popen[bytes]:
        return self.start_module(
            "tests.chaos.writer", seed, str(diary), str(begin), CHAOS_CLOCK=str(self.clock_of(name))
        )

    def all_output(self) -> str:
        """Return the output of all processes."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("process-*.log"))

    def last_output(self, child: subprocess.Popen[bytes]) -> str:
        """Return the last line of a process's output."""
        lines = (self.folder / f"process-{self._children.index(child)}.log").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}"
            for path in sorted(self.folder.glob("process-*.log"))
        )


def via(url: str, proxy: ToxicProxy) -> str:
    """Return a URL with its address replaced by that of a proxy."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}{'@' if credentials else ''}127.0.0.1:{proxy.port}"))


class Broker:
    """A broker, and operations on the part of it that belongs to this run."""

    def __init__(self, kind: str, server: Server | None) -> None:
        self.kind = kind
        self.url = server.url if server else services.URLS[kind]
        if kind == "redis" and server is None:
            self.url = self._free_redis_database()

    def _free_redis_database(self) -> str:
        import redis

        parts = urlsplit(self.url)
        for number in range(15, 0, -1):
            url = urlunsplit(parts._replace(path=f"/{number}"))
            with redis.Redis.from_url(url) as client:
                # Taken in the same step, so that two runs that start together do not share a database.
                if client.dbsize() == 0 and client.set("chaos", "taken", nx=True, ex=TAKEN_SECONDS):
                    return url
        raise SystemExit("All of Redis' databases are in use; a run empties the one it works in.")

    def lose_everything(self, queue: str) -> None:
        """Forget all messages."""
        if self.kind == "redis":
            import redis

            with redis.Redis.from_url(self.url) as client:
                client.flushdb()
                client.set("chaos", "taken", ex=TAKEN_SECONDS)
            return
        import kombu

        with kombu.Connection(self.url) as connection, contextlib.suppress(Exception):
            connection.channel().queue_purge(queue)

    def leave(self, queue: str) -> None:
        """Remove everything that a run has left in the broker."""
        if self.kind == "redis":
            import redis

            with redis.Redis.from_url(self.url) as client:
                client.flushdb()
            return
        import kombu

        with kombu.Connection(self.url) as connection, contextlib.suppress(Exception):
            connection.channel().queue_delete(queue)


@contextlib.contextmanager
def broker_for(kind: str, server: Server | None) -> Iterator[Broker]:
    """Provide a broker for one run: a private server, an empty Redis database, or a queue of a shared RabbitMQ."""
    broker = Broker(kind, server)
    try:
        yield broker
    finally:
        if kind == "redis" and server is None:
            broker.leave("")
