"""A server on a real socket, scripted by each test down to the byte."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from django_sendcloud.api import SendcloudClient


@dataclass
class Request:
    """One request as the server received it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[Request, socket.socket], object]


def answer(
    content: Any = b"", status: str = "200 OK", headers: dict[str, str] | None = None, *, length: bool = True
) -> bytes:
    """Return a whole HTTP answer: bytes unchanged, other content as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    lines = [f"HTTP/1.1 {status}"]
    fields = {"Content-Type": "application/json", **({"Content-Length": str(len(body))} if length else {})}
    lines += [f"{name}: {value}" for name, value in (fields | (headers or {})).items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def rejection(status: str, *items: dict[str, Any], headers: dict[str, str] | None = None) -> bytes:
    """Return an error in the form of API v3. Complete each item with the fields that the contract requires."""
    complete = [{"status": status[:3], "code": "invalid", "detail": "Invalid", **item} for item in items]
    return answer({"errors": complete}, status, headers)


def error(status: str, message: str, headers: dict[str, str] | None = None) -> bytes:
    """Return an error in the form of the contract of API v2."""
    return answer({"error": {"code": int(status[:3]), "request": "api/v2/x", "message": message}}, status, headers)


@dataclass
class Server:
    """A server that answers each request with the script's result; ``None`` closes the connection."""

    script: Script
    context: Any = None
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.stopping = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True).start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError), contextlib.closing(connection):
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            connection.settimeout(30)
            reader = connection.makefile("rb")
            while line := reader.readline():
                method, target, _ = line.decode().split(" ", 2)
                headers = {}
                while (line := reader.readline()) not in (b"\r\n", b""):
                    name, _, value = line.decode().partition(":")
                    headers[name.strip().lower()] = value.strip()
                body = reader.read(int(headers.get("content-length", 0)))
                request = Request(method, target, headers, body, number)
                self.requests.append(request)
                result = self.script(request, connection)
                if result is None:
                    return
                if isinstance(result, bytes):
                    connection.sendall(result)
            reader.close()

    def drip(self, connection: socket.socket, data: bytes, pause: float = 0.05) -> None:
        """Send one byte at a time until the client disconnects or the test ends. ``pause`` is in seconds."""
        for index in range(len(data)):
            if self.stopping.is_set():
                return
            connection.sendall(data[index : index + 1])
            time.sleep(pause)

    def close(self) -> None:
        self.stopping.set()
        self.listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers; they end with the test."""
    servers: list[Server] = []

    def start(script: Script | bytes, **options: Any) -> Server:
        server = Server(script if callable(script) else lambda request, connection: script, **options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., SendcloudClient]]:
    """Make clients with small timeouts; they end with the test."""
    clients: list[SendcloudClient] = []

    def make(server: Server | str, **options: Any) -> SendcloudClient:
        keys = {} if "auth" in options else {"public_key": "public-key", "secret_key": "s3cr3t-key"}
        settings = {"connect_timeout": 1.0, "read_timeout": 2.0, "deadline": 4.0, "retries": 0}
        base_url = server if isinstance(server, str) else server.url
        client = SendcloudClient(**(keys | {"base_url": base_url} | settings | options))
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Reserve a port on which nothing listens during the test."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
