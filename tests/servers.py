"""Servers of our own, to be crashed and restarted without harm to others."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest


def _found(name: str) -> str | None:
    """Return the path of a server program. Debian keeps PostgreSQL's out of the PATH."""
    found = [*glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), shutil.which(name), shutil.which(name, path="/usr/sbin")]
    return next(filter(None, found), None)


def _program(name: str) -> str:
    path = _found(name)
    if path is None:
        assert os.environ.get("SENDCLOUD_REQUIRE_SERVICES") != "1", f"{name} is required here and missing"
        pytest.skip(f"not installed here: {name}")
    return path


# Below the ports that the system gives to connections and to servers that ask for any.
_PORTS = range(20_000, 30_000)


def free_port() -> int:
    """Return a port that no other test gets while this process lives, and on which nothing listens.

    Raises:
        AssertionError: all of them are taken.
    """
    for port in random.SystemRandom().sample(_PORTS, 200):
        with contextlib.suppress(OSError):
            # In /tmp, because other checkouts have another TMPDIR. Open until this process ends.
            lock = os.open(f"/tmp/sendcloud-test-port-{port}", os.O_CREAT | os.O_RDWR, 0o666)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            socket.create_server(("127.0.0.1", port)).close()
            return port
    raise AssertionError("no port is free")


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert time.monotonic() < end, f"nobody answers at port {port}"
        time.sleep(0.05)


# Both servers refuse to run as root.
_NOBODY: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        if _NOBODY:
            shutil.chown(name, **_NOBODY)
        yield Path(name)


class Server(Protocol):
    """A server that can be crashed, and started again with what it has kept."""

    url: str

    def start(self) -> None: ...

    def crash(self) -> None: ...


class PrivatePostgres:
    """A PostgreSQL server with an empty data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run(_program("initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        log = str(self.folder / "log")
        self._run(_program("pg_ctl"), "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def crash(self) -> None:
        """Kill the process: what is not in its write-ahead log is lost."""
        self._run(_program("pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=self.folder, **_NOBODY)


class _Killable:
    """A server that is one process of ours."""

    port: int
    folder: Path

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), stdout=log, stderr=subprocess.STDOUT, cwd=self.folder, **_NOBODY
            )
        _wait_for(self.port)

    def crash(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)


class PrivateMariaDB(_Killable):
    """A MariaDB server with an empty database."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"mysql://root@127.0.0.1:{self.port}/test"
        install = [_program("mariadb-install-db"), "--no-defaults", f"--datadir={folder / 'data'}"]
        install += ["--auth-root-authentication-method=normal", "--skip-name-resolve"]
        subprocess.run(install, check=True, capture_output=True, timeout=120, cwd=folder, **_NOBODY)
        self.start()
        import pymysql

        with pymysql.connect(host="127.0.0.1", port=self.port, user="root") as admin, admin.cursor() as cursor:
            cursor.execute("CREATE DATABASE IF NOT EXISTS test CHARACTER SET utf8mb4")
            cursor.execute("ALTER DATABASE test CHARACTER SET utf8mb4")

    def command(self) -> list[str]:
        return [
            _program("mariadbd"), "--no-defaults", f"--datadir={self.folder / 'data'}", f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--socket={self.folder / 'socket'}", f"--pid-file={self.folder / 'pid'}",
            "--innodb-buffer-pool-size=64M",
        ]  # fmt: skip


class PrivateRedis(_Killable):
    """A Redis server that keeps nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def command(self) -> list[str]:
        return [_program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]


_KINDS: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "postgresql": (PrivatePostgres, ("initdb", "pg_ctl")),
    "mariadb": (PrivateMariaDB, ("mariadbd", "mariadb-install-db")),
    "redis": (PrivateRedis, ("redis-server",)),
}


def can_be_private(kind: str) -> bool:
    """Return whether the programs of this kind of server are installed."""
    return kind in _KINDS and all(_found(name) for name in _KINDS[kind][1])


@contextlib.contextmanager
def private(kind: str) -> Iterator[Any]:
    """Run a server of this kind that no other test uses; yields a ``Server``."""
    with _folder() as folder:
        server = _KINDS[kind][0](folder)
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.crash()


@contextlib.contextmanager
def pgbouncer(upstream: str) -> Iterator[str]:
    """Run a PgBouncer that lends connections by the transaction. Yields its URL."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(upstream)
    program, port = _program("pgbouncer"), free_port()
    with _folder() as folder:
        (folder / "pgbouncer.ini").write_text(
            "[databases]\n"
            f"* = host={parts.hostname} port={parts.port or 5432} user={parts.username}\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
            "auth_type = any\n"
            # Fewer than there are processes, so that they take turns on the same connections.
            "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\n"
        )
        process = subprocess.Popen(
            [program, "-q", str(folder / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **_NOBODY,
        )
        try:
            _wait_for(port)
            yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
        finally:
            process.terminate()
            process.wait(10)
