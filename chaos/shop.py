"""The example shop as the processes of a run see it: its database, its broker, its Sendcloud, its settings."""

from __future__ import annotations

import contextlib
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tests import services
from tests.processes.conftest import ROOT, Project
from tests.servers import Server
from tests.toxic import ToxicProxy

# Small enough for many faults a minute, and in the proportions of the real ones: the lease is longer than an
# exchange with Sendcloud may take, and the quarantine longer than anything is late.
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
}
# A minute of Sendcloud's, so to say: an account may send so many requests that change something within it.
WINDOW_SECONDS = 10.0
WINDOW_REQUESTS = 60
# Nine at once and 42 in a window: nine of the sixty are left for those that were held up on their way.
SETTINGS |= {"UNSAFE_REQUESTS_PER_MINUTE": 42 * 60 / WINDOW_SECONDS, "UNSAFE_BURST": 9}

# For how long a Redis database counts as taken, where a run was killed and could not give it back.
TAKEN_SECONDS = 3600


class Shop(Project):
    """The example shop, whose processes reach everything by way of toxic proxies."""

    def __init__(self, database_url: str, broker_url: str, sandbox: Any, folder: Path) -> None:
        super().__init__(database_url, broker_url, sandbox, folder)
        self.queue = f"chaos-{uuid.uuid4().hex[:8]}"
        self.settings = dict(SETTINGS)
        self.database = self._proxy(database_url)
        self.broker = self._proxy(broker_url)
        self.sendcloud = self._proxy(sandbox.base_url)

    @staticmethod
    def _proxy(url: str) -> ToxicProxy:
        address = urlsplit(url)
        assert address.port is not None, f"{url} needs a port"
        return ToxicProxy(address.hostname or "127.0.0.1", address.port)

    def environment(self, **extra: str) -> dict[str, str]:
        environment = super().environment(
            DJANGO_SETTINGS_MODULE="chaos.settings",
            PYTHONPATH=f"{ROOT}:{ROOT / 'example_project'}",
            EXAMPLE_DATA_DIR=str(self.folder),
            SENDCLOUD_SETTINGS=json.dumps(self.settings),
            CHAOS_QUEUE=self.queue,
            DEBUG="0",
        )
        # The settings name other things than those of the test project do.
        for name in ("TEST_DATABASE_URL", "TEST_BROKER_URL", "TEST_SENDCLOUD"):
            environment.pop(name)
        return {
            **environment,
            "DATABASE_URL": via(self.database_url, self.database),
            "CELERY_BROKER_URL": via(self.broker_url, self.broker),
            "SENDCLOUD_BASE_URL": via(self.sandbox.base_url, self.sendcloud),
            **extra,
        }

    def directly(self) -> dict[str, str]:
        """The environment of those who look on: without proxies, and with a true clock."""
        return {"DATABASE_URL": self.database_url, "CELERY_BROKER_URL": self.broker_url, "CHAOS_CLOCK": ""}

    def ask(self, expression: str) -> Any:
        """What a function of ``chaos.inside`` says, in a process of its own."""
        code = f"import json\nfrom chaos import inside\nprint(json.dumps(inside.{expression}))"
        return json.loads(self.run(code, **self.directly()))

    def waiting(self) -> int:
        """How many orders Sendcloud still has to be told of."""
        with self._cursor() as cursor:
            cursor.execute("SELECT COUNT(*) FROM django_sendcloud_outboxentry")
            return int(cursor.fetchone()[0])

    def leases(self) -> set[str]:
        """What workers have claimed and not settled yet."""
        with self._cursor() as cursor:
            cursor.execute("SELECT DISTINCT lease FROM django_sendcloud_outboxentry WHERE lease <> ''")
            return {lease for (lease,) in cursor.fetchall()}

    def end_database_connections(self) -> None:
        """Let the database end all other connections to the shop's own database, and to no other."""
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
                    # It may have ended by itself meanwhile.
                    with contextlib.suppress(Exception):
                        cursor.execute("KILL CONNECTION %s", [number])

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Any]:
        """Directly, without a proxy and without Django, which would take seconds to start."""
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
        """A real Celery worker with two processes."""
        return self.start(
            "-m", "celery", "-A", "chaos.app", "worker", "--concurrency", "2", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", "-n", f"{name}-{uuid.uuid4().hex[:6]}@chaos",
            CHAOS_CLOCK=str(self.clock_of(name)),
        )  # fmt: skip

    def start_beat(self) -> subprocess.Popen[bytes]:
        schedule = self.folder / f"beat-{uuid.uuid4().hex}"
        return self.start("-m", "celery", "-A", "chaos.app", "beat", "--loglevel", "INFO", "-s", str(schedule))

    def start_writer(self, name: str, seed: str, diary: Path, begin: float) -> subprocess.Popen[bytes]:
        return self.start("-m", "chaos.writer", seed, str(diary), str(begin), CHAOS_CLOCK=str(self.clock_of(name)))

    def everything_said(self) -> str:
        """What all processes have written."""
        return "".join(path.read_text(errors="replace") for path in self.folder.glob("process-*.log"))

    def last_words(self, child: subprocess.Popen[bytes]) -> str:
        """The last line of what a process has written."""
        lines = (self.folder / f"process-{self._children.index(child)}.log").read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}"
            for path in sorted(self.folder.glob("process-*.log"))
        )


def via(url: str, proxy: ToxicProxy) -> str:
    """The same address, reached by way of a proxy."""
    parts = urlsplit(url)
    credentials = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{credentials}{'@' if credentials else ''}127.0.0.1:{proxy.port}"))


class Broker:
    """What can be done to a broker by its owner, and only to what is ours in it."""

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
                # Taken at once, so that two runs that start together do not share one.
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
        """Take away all that a run has left behind."""
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
    """A broker of one's own: a server, a Redis database that was empty, or RabbitMQ, where only the queue is ours."""
    broker = Broker(kind, server)
    try:
        yield broker
    finally:
        if kind == "redis" and server is None:
            broker.leave("")
