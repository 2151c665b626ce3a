"""A TCP proxy that behaves as badly as a network can. Its words are those of Toxiproxy."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from typing import Self

CHUNK = 16_384


class ToxicProxy:
    """A proxy that passes on everything, until a test sets a fault. All methods may be called from any thread.

    Args:
        host: Where the true server is.
        port: On which port.

    Attributes:
        port: Where the proxy listens, on 127.0.0.1; the same for its whole life.
        latency: Seconds each piece of data takes longer, both ways. What is on its way still arrives, even where the
            client has hung up meanwhile.
        limit_data: Bytes of answers after which a connection is closed; ``None`` for any number. Counts from when it
            is set, or from when the connection was made.
        slicer: Answers come in pieces of this many bytes, with this many seconds between; ``None`` for in one piece.
    """

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._lock = threading.Lock()
        self._links: set[_Link] = set()
        self._talking = threading.Event()
        self._resetting = False
        self.latency = 0.0
        self.limit_data: int | None = None
        self.slicer: tuple[int, float] | None = None
        self._talking.set()
        self._socket = self._bind(0)
        self.port: int = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        self._listen()
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()
        self._talking.set()
        self.reset_connections()

    def timeout(self) -> None:
        """Accept connections and go silent, also on those that are there. What is sent meanwhile is lost."""
        self._talking.clear()

    def down(self) -> None:
        """Refuse connections, and reset those that are there."""
        self._hang_up()
        # Bound, so that no other process gets the port; not listening, so that a connection is refused.
        self._socket = self._bind(self.port)
        self.reset_connections()

    def reset_peer(self) -> None:
        """Reset all connections, and each new one as soon as it is made."""
        self._resetting = True
        self.reset_connections()

    def reset_connections(self) -> None:
        """Reset the connections that are there, once."""
        for link in self._now():
            link.close(reset=True)

    def clear(self) -> None:
        """Restore normal service. Reset connections that were silent, since they have lost something."""
        self.latency, self.limit_data, self.slicer, self._resetting = 0.0, None, None, False
        if not self._talking.is_set():
            self.reset_connections()
            self._talking.set()
        if not self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._listen()

    def _now(self) -> list[_Link]:
        with self._lock:
            return list(self._links)

    @staticmethod
    def _bind(port: int) -> socket.socket:
        bound = socket.socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(("127.0.0.1", port))
        return bound

    def _listen(self) -> None:
        self._socket.listen(128)
        threading.Thread(target=self._accept, args=(self._socket,), daemon=True).start()

    def _hang_up(self) -> None:
        # A plain close would not end the thread's accept().
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            link = _Link(self, client)
            with self._lock:
                self._links.add(link)
            threading.Thread(target=self._carry, args=(link,), daemon=True).start()

    def _carry(self, link: _Link) -> None:
        try:
            self._talking.wait()
            if self._resetting:
                link.close(reset=True)
            else:
                link.carry(self._upstream)
        finally:
            link.close()
            with self._lock:
                self._links.discard(link)


class _Link:
    """One client's connection, and the one to the server that was made for it."""

    def __init__(self, proxy: ToxicProxy, client: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server: socket.socket | None = None
        self._closing = False

    def carry(self, upstream: tuple[str, int]) -> None:
        """Pass data on in both directions, until both sides have said all."""
        try:
            self._server = server = socket.create_connection(upstream, timeout=5)
            server.settimeout(None)
            for end in (server, self._client):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            # The server is not there, or the connection was reset meanwhile.
            self.close(reset=True)
            return
        back = threading.Thread(target=self._pass_on, args=(server, self._client, True), daemon=True)
        back.start()
        self._pass_on(self._client, server, False)
        back.join()

    def close(self, *, reset: bool = False) -> None:
        """Close both connections; with ``reset`` the other side sees an error."""
        self._closing = True
        for end in (self._client, self._server):
            if end is None:
                continue
            with contextlib.suppress(OSError):
                if reset:
                    # A close without lingering reaches the other side as a reset.
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                # A thread may read from it, and a plain close would not end its read.
                end.shutdown(socket.SHUT_RD if reset else socket.SHUT_RDWR)
            end.close()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        proxy, passed, limit = self._proxy, 0, None
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if not proxy._talking.is_set():
                    proxy._talking.wait()
                    break
                if proxy.latency:
                    time.sleep(proxy.latency)
                if is_answer and proxy.limit_data != limit:
                    passed, limit = 0, proxy.limit_data
                if is_answer and limit is not None and passed + len(data) >= limit:
                    target.sendall(data[: limit - passed])
                    break
                passed += len(data)
                if is_answer and (slicer := proxy.slicer):
                    self._in_slices(target, data, *slicer)
                else:
                    target.sendall(data)
            else:
                # One side has said all it had to say; the other may go on. (Or both have, and the other thread ends it.)
                if not self._closing:
                    target.shutdown(socket.SHUT_WR)
                return
        self.close()

    @staticmethod
    def _in_slices(target: socket.socket, data: bytes, size: int, seconds: float) -> None:
        for begin in range(0, len(data), size):
            target.sendall(data[begin : begin + size])
            time.sleep(seconds)
