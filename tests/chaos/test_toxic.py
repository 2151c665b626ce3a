"""The toxic proxy does what its words say."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from tests.toxic import ToxicProxy

ANSWER = b"0123456789" * 100


class Greeter(socketserver.BaseRequestHandler):
    """Answers every piece of data it gets with the same long answer."""

    def handle(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        while data := self.request.recv(1024):
            server.heard.append(data)
            self.request.sendall(ANSWER)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Greeter)

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore reset connections, because these tests cause them."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def proxy(server: Server) -> Iterator[ToxicProxy]:
    with ToxicProxy("127.0.0.1", server.server_address[1]) as running:
        yield running


def call(proxy: ToxicProxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=10)
    connection.sendall(b"hello")
    return connection


def hear(connection: socket.socket, size: int = len(ANSWER)) -> bytes:
    heard = b""
    while len(heard) < size and (data := connection.recv(size - len(heard))):
        heard += data
    return heard


def hears_all(proxy: ToxicProxy) -> bool:
    with call(proxy) as connection:
        return hear(connection) == ANSWER


def test_proxy_passes_everything_on(proxy: ToxicProxy, server: Server) -> None:
    with call(proxy) as connection:
        assert hear(connection) == ANSWER
        connection.sendall(b"again")
        assert hear(connection) == ANSWER
    assert server.heard == [b"hello", b"again"]


def test_proxy_down_refuses_and_returns(proxy: ToxicProxy) -> None:
    with call(proxy) as connection:
        hear(connection)
        proxy.down()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        call(proxy)
    proxy.clear()
    assert hears_all(proxy)


def test_reset_peer_resets_new_connections(proxy: ToxicProxy) -> None:
    proxy.reset_peer()
    with pytest.raises(OSError, match=r"reset|Broken pipe"):  # noqa: SIM117
        with call(proxy) as connection:
            connection.recv(1)
    proxy.clear()
    assert hears_all(proxy)


def test_timeout_accepts_and_stays_silent(proxy: ToxicProxy, server: Server) -> None:
    with call(proxy) as before:
        hear(before)
        proxy.timeout()
        before.sendall(b"lost")
        with call(proxy) as connection:
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            proxy.clear()
            with pytest.raises(ConnectionResetError):
                before.recv(1)
    assert hears_all(proxy)
    assert b"lost" not in server.heard


def test_limit_data_closes_within_the_answer(proxy: ToxicProxy) -> None:
    proxy.limit_data = 123
    with call(proxy) as connection:
        assert hear(connection) == ANSWER[:123]
    proxy.clear()
    assert hears_all(proxy)


def test_slicer_keeps_answers_whole(proxy: ToxicProxy) -> None:
    proxy.slicer = (100, 0.01)
    with call(proxy) as connection:
        begin = connection.recv(len(ANSWER))
        assert len(begin) < len(ANSWER)
        assert begin + hear(connection, len(ANSWER) - len(begin)) == ANSWER


def test_latency_delivers_after_the_callers_timeout(proxy: ToxicProxy, server: Server) -> None:
    proxy.latency = 0.3
    call(proxy).close()
    assert server.heard == [], "it is still on its way"
    end = time.monotonic() + 10
    while not server.heard and time.monotonic() < end:
        time.sleep(0.01)
    assert server.heard == [b"hello"]
