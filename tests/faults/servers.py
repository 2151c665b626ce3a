"""Database servers of our own, to be crashed and restarted without anybody else noticing."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def _program(name: str) -> str:
    """Where a server program is. Debian keeps PostgreSQL's out of the way."""
    found = [*glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), shutil.which(name), shutil.which(name, path="/usr/sbin")]
    path = next(filter(None, found), None)
    if path is None:
        assert os.environ.get("SENDCLOUD_REQUIRE_SERVICES") != "1", f"{name} is required here and missing"
        pytest.skip(f"not installed here: {name}")
    return path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert time.monotonic() < end, f"nobody answers at port {port}"
        time.sleep(0.05)


# These servers refuse to run as root.
_NOBODY: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        if _NOBODY:
            shutil.chown(name, **_NOBODY)
        yield Path(name)


class PrivatePostgres:
    """A PostgreSQL server with an empty data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._run(_program("initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        log = str(self.folder / "log")
        self._run(_program("pg_ctl"), "-D", str(self.folder / "data"), "-w", "-l", log, "-o", options, "start")

    def crash(self) -> None:
        """End at once, without a word to anybody: what is not in its write-ahead log is lost."""
        self._run(_program("pg_ctl"), "-D", str(self.folder / "data"), "-m", "immediate", "stop")

    def _run(self, *command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=self.folder, **_NOBODY)


@contextlib.contextmanager
def private_postgres() -> Iterator[PrivatePostgres]:
    with _folder() as folder:
        server = PrivatePostgres(folder)
        try:
            yield server
        finally:
            with contextlib.suppress(subprocess.CalledProcessError):
                server.crash()


@contextlib.contextmanager
def pgbouncer(upstream: str) -> Iterator[str]:
    """A PgBouncer that lends out connections by the transaction. Yields its URL."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(upstream)
    program, port = _program("pgbouncer"), _free_port()
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
