"""HTTP/1.1 on a real socket: keep-alive, one thread per connection, standard library only."""

from __future__ import annotations

import contextlib
import http.server
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from .http import Response

__all__ = ["MAX_BODY", "Server"]

#: Size of the largest body the server reads, in bytes. A batch of a hundred orders has some 150 kB.
MAX_BODY: Final = 20 * 1024 * 1024

Answerer = Callable[[str, str, str, Mapping[str, str], bytes], "Response | None"]


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Server with one thread per connection.

    Args:
        host: Address to listen on.
        port: Port to listen on, 0 for any free one.
        answer: Function that takes method, path, query, headers by lower-case names, and body; ``None`` closes the
            connection without a response.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, host: str, port: int, answer: Answerer) -> None:
        self.answer = answer
        self.stopping = threading.Event()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def port(self) -> int:
        """Port it listens on."""
        return int(self.server_address[1])

    def stop(self) -> None:
        """Stop listening, and close all connections."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            # Its own thread closes it.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print our own errors, and ignore clients that went away."""
        import sys

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 300
    wbufsize = -1

    def handle_one_request(self) -> None:
        # The operations decide which methods exist.
        try:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or len(self.raw_requestline) > 65536:
                self.close_connection = True
            elif self.parse_request():
                self._respond()
                self.wfile.flush()
        except OSError:
            self.close_connection = True

    def _respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        if "transfer-encoding" in headers:
            self._refuse(HTTPStatus.LENGTH_REQUIRED)
            return
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdecimal()):
            self._refuse(HTTPStatus.BAD_REQUEST)
            return
        if int(length) > MAX_BODY:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            return
        # A client may send a whole address, as to a proxy.
        target = self.path if self.path.startswith("/") else self.path.partition("://")[2].partition("/")[2]
        parts = urlsplit(f"//sandbox/{target.lstrip('/')}")
        response = self.server.answer(self.command, parts.path, parts.query, headers, body)
        if response is None or self.server.stopping.is_set():
            self.close_connection = True
        else:
            self._write(response)

    def _write(self, response: Response) -> None:
        self.send_response_only(response.status)
        self.send_header("Server", "django-sendcloud-sandbox")
        self.send_header("Date", self.date_time_string())
        for name, value in response.headers.items():
            self.send_header(name, value)
        if response.status != HTTPStatus.NO_CONTENT:
            if response.body:
                self.send_header("Content-Type", response.content_type)
            self.send_header("Content-Length", str(len(response.body)))
        if response.cut or self.close_connection:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body[: len(response.body) // 2] if response.cut else response.body)

    def _refuse(self, status: HTTPStatus) -> None:
        """Respond without reading the body, which makes the connection useless."""
        self.close_connection = True
        self._write(Response(status))

    def log_message(self, format: str, *args: Any) -> None:
        """Do not print."""
