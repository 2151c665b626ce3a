"""One HTTP exchange, bounded in time, in size, and in the hosts it reaches.

The only module that knows ``requests`` (and ``urllib3`` beneath it). Its promises:

- The whole exchange ends by its deadline, whatever the server drips: the clock is read before
  every single read from the socket, headers included.
- An answer is never larger than allowed, counted after decompression.
- No redirect is followed, no cookie is kept, and nothing is read from the environment: a proxy or a
  certificate bundle that a machine sets for other programs does not decide where credentials go. Both
  can be given explicitly.
- A failure names the host and says whether the request can have arrived. That is observed, not guessed from
  the kind of exception: the connection notes the moment before the first byte of the request leaves.

A transport may be shared by threads: urllib3's pool hands each exchange a connection of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import http.cookiejar
import io
import logging
import os
import ssl
import threading
import time
import urllib.parse
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

from ..exceptions import APIError, InvalidResponse, RequestNotSent, TLSError, TransportError
from ..hidden import HiddenBytes
from .urls import host_of

__all__ = ["Response", "Transport", "not_after"]

logger = logging.getLogger("django_sendcloud.api")

_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer.

    Attributes:
        status: HTTP status code.
        headers: Names in lower case.
        body: Decompressed.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        """Return whether it is any 2xx."""
        return 200 <= self.status < 300


class Transport:
    """Makes exchanges, over connections that are kept alive.

    Args:
        connect_timeout: Seconds to wait for a connection, per address of the host.
        read_timeout: Seconds the server may stay silent.
        deadline: Seconds a whole exchange may take. Name resolution is the operating system's and
            cannot be interrupted, but nothing is sent once the deadline has passed.
        max_response_bytes: Size an answer may have once decompressed.
        proxy: Address of an HTTP proxy for all exchanges, ``http://[user:password@]host:port``; ``None`` for none.
        ca_bundle: Path of a file with the certificates to trust instead of the built-in ones.
        user_agent: The ``User-Agent`` header.

    Raises:
        ValueError: a number makes no sense, the proxy is no address, or the bundle is no file.
    """

    def __init__(
        self,
        *,
        connect_timeout: float = 3.0,
        read_timeout: float = 15.0,
        deadline: float = 20.0,
        max_response_bytes: int = 32 * 1024 * 1024,
        proxy: str | None = None,
        ca_bundle: str | None = None,
        user_agent: str = "django-sendcloud",
    ) -> None:
        for name, seconds in (
            ("connect_timeout", connect_timeout),
            ("read_timeout", read_timeout),
            ("deadline", deadline),
            ("max_response_bytes", max_response_bytes),
        ):
            if not seconds > 0:
                raise ValueError(f"{name} must be greater than 0, got {seconds!r}.")
        self.connect_timeout = connect_timeout
        self.read_timeout = read_timeout
        self.deadline = deadline
        self.max_response_bytes = max_response_bytes
        self.user_agent = user_agent
        self._session = requests.Session()
        self._session.trust_env = False
        self._proxies = {"http": _check_proxy(proxy), "https": _check_proxy(proxy)} if proxy else {}
        self._via = f" through the proxy {host_of(proxy)}" if proxy else ""
        self._verify: str | bool = _check_bundle(ca_bundle) if ca_bundle else True
        self._session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self._session.mount("https://", _Adapter())
        self._session.mount("http://", _Adapter())
        self._closed = False

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        operation: str = "",
        integration_id: int | None = None,
    ) -> Response:
        """Make one exchange.

        Args:
            method: HTTP method.
            url: Absolute address, query included.
            headers: The request's own headers.
            body: The request's body; ``None`` for none at all.
            operation: For the error: what was being done.
            integration_id: For the error: with which integration.

        Raises:
            RequestNotSent: it surely did not arrive.
            TLSError: nor will it, the server is not trusted.
            TransportError: the connection broke or time ran out after sending had begun.
            InvalidResponse: the answer is too large or cannot be decompressed.
            RuntimeError: the client has been closed.
        """
        if self._closed:
            raise RuntimeError("This client is closed; make another one.")
        context: dict[str, Any] = {"operation": operation, "integration_id": integration_id}
        started = time.monotonic()
        _exchange.begin(started + self.deadline, self.read_timeout)
        try:
            answer = self._exchange(method, url, headers, body)
        except _Unreadable as error:
            failure: APIError = InvalidResponse(str(error), status=error.status, **context)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            failure = _failure(error, f"{host_of(url)}{self._via}", context)
        except BaseException as error:
            # An interruption, or a bug. The frames of the HTTP libraries hold the credentials in clear.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        else:
            logger.debug("%s: HTTP %d after %.3f s", operation, answer.status, time.monotonic() - started)
            return answer
        # Raised out here so that the original, which holds the request with its credentials, is not chained.
        logger.debug("%s: %s after %.3f s", operation, type(failure).__name__, time.monotonic() - started)
        raise failure

    def close(self) -> None:
        """Close all connections."""
        self._closed = True
        self._session.close()

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        request = requests.Request(method, url, headers={"User-Agent": self.user_agent, **headers}, data=body).prepare()
        if body is None:
            request.headers.pop("Content-Length", None)  # a GET with a body, even an empty one, is answered 403
        request.headers["Accept-Encoding"] = "gzip"
        response = self._session.send(
            request,
            allow_redirects=False,
            timeout=(min(self.connect_timeout, self.deadline), min(self.read_timeout, self.deadline)),
            proxies=self._proxies,
            stream=True,
            verify=self._verify,
            cert=None,
        )
        with response:
            content = HiddenBytes(b"".join(self._content(response)))
            return Response(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)

    def _content(self, response: requests.Response) -> Iterator[bytes]:
        """Read the body piece by piece, decompress it here, and stop where it gets too large.

        urllib3 would decompress too, but some of its versions inflate a whole chunk in one step, and
        64 KiB of gzip may hold 64 MiB.
        """
        encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in {"identity", "", "gzip", "x-gzip", "deflate"}:
            raise _Unreadable("an answer in a compression that was not asked for", response.status_code)
        inflate = _inflate if encoding not in {"identity", ""} else None
        size = 0
        chunks = response.raw.stream(_CHUNK, decode_content=False)
        try:
            for piece in inflate(chunks) if inflate else chunks:
                size += len(piece)
                if size > self.max_response_bytes:
                    raise _Unreadable(f"an answer larger than {self.max_response_bytes} bytes", response.status_code)
                yield piece
        except zlib.error:
            raise _Unreadable("an answer whose compression is broken", response.status_code) from None


class _Unreadable(Exception):
    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


def _inflate(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield gzip or zlib decompressed, in pieces of bounded size."""
    make: Callable[[], Any] = lambda: zlib.decompressobj(wbits=47)  # noqa: E731  # 47: recognise gzip and zlib
    inflater = make()
    for chunk in chunks:
        while chunk:
            if inflater.eof:  # gzip may consist of several members
                inflater = make()
            yield inflater.decompress(chunk, _CHUNK)
            chunk = inflater.unconsumed_tail or inflater.unused_data
    yield inflater.flush()
    if not inflater.eof:
        raise zlib.error("truncated")


def _check_proxy(proxy: str) -> str:
    """Return a proxy's address, which may hold credentials and is therefore not repeated in the error."""
    try:
        parts = urllib.parse.urlsplit(proxy)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not proxy.isascii() or not proxy.isprintable():
        raise ValueError("proxy must be an address such as 'http://proxy.example:3128'.")
    return proxy


def _check_bundle(path: str) -> str:
    if not os.path.isfile(path):
        raise ValueError(f"ca_bundle must be the path of a file with certificates, and {path!r} is none.")
    return path


def _failure(error: Exception, host: str, context: dict[str, Any]) -> APIError:
    """Return the error a broken exchange means: whether it can have arrived, and whether repeating it can help."""
    causes = list(_causes(error))
    timed_out = any(isinstance(cause, TimeoutError) for cause in causes)
    if _exchange.sent:
        if timed_out:
            return TransportError(f"no complete answer from {host} in time", **context)
        cause = _kind(causes)
        return TransportError(f"the connection to {host} broke before the answer was complete ({cause})", **context)
    if any(isinstance(cause, ssl.SSLError | ssl.CertificateError) for cause in causes) and not any(
        isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError) for cause in causes
    ):
        return TLSError(f"no trusted TLS connection to {host} could be made ({_kind(causes)})", **context)
    if timed_out:
        return RequestNotSent(f"no connection to {host} could be made in time", **context)
    return RequestNotSent(f"no connection to {host} could be made ({_kind(causes)})", **context)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from what requests raised down to what the socket said."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]


def _kind(causes: list[BaseException]) -> str:
    """Name the innermost cause, in words that hold neither addresses nor content."""
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return cause.strerror
    return type(causes[-1]).__name__


class _Exchange(threading.local):
    """The current thread's exchange, as its connections have to know it."""

    deadline = float("inf")
    # The deadline of all exchanges of this thread (``not_after``).
    latest = float("inf")
    read_timeout = 0.0
    sent = False

    def begin(self, deadline: float, read_timeout: float) -> None:
        self.deadline = min(deadline, self.latest)
        self.read_timeout = read_timeout
        self.sent = False

    def remaining(self) -> float:
        """Return the seconds left.

        Raises:
            TimeoutError: there are none.
        """
        seconds = self.deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline of the exchange has passed")
        return seconds


_exchange = _Exchange()


@contextlib.contextmanager
def not_after(moment: float) -> Iterator[None]:
    """Let no exchange of this thread begin, or go on, after a moment of the steady clock (``time.monotonic()``).

    A caller's right to send may end: a process may be stopped at any line, and go on much later. A request that has
    not begun to leave by then ends with ``RequestNotSent``, one that has with ``TransportError``.
    """
    before = _exchange.latest
    _exchange.latest = min(before, moment)
    try:
        yield
    finally:
        _exchange.latest = before


class _ClockedReader(io.RawIOBase):
    """A socket's reading end that never waits beyond the deadline of the exchange."""

    def __init__(self, raw: Any, sock: Any) -> None:
        self._raw = raw
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(min(_exchange.read_timeout, _exchange.remaining()))
        return self._raw.readinto(buffer)  # type: ignore[no-any-return]  # socket.SocketIO's

    def close(self) -> None:
        self._raw.close()
        super().close()


class _ClockedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_ClockedReader(self.fp.detach(), sock))


class _Clocked:
    """Mixed into urllib3's connections: keeps the deadline, and notes when the request starts to leave."""

    response_class: Any = _ClockedResponse
    sock: Any

    def connect(self) -> None:
        _exchange.remaining()
        try:
            super().connect()  # type: ignore[misc]  # http.client's
        finally:
            _exchange.sent = False  # a proxy may have been spoken to, Sendcloud has not

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(min(_exchange.read_timeout, _exchange.remaining()))
        _exchange.sent = True
        super().send(data)  # type: ignore[misc]  # http.client's


class _HTTPConnection(_Clocked, urllib3.connection.HTTPConnection):
    pass


class _HTTPSConnection(_Clocked, urllib3.connection.HTTPSConnection):
    pass


class _HTTPPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


_POOLS: Final = {"http": _HTTPPool, "https": _HTTPSPool}


class _Adapter(HTTPAdapter):
    """requests' adapter over our connections. It repeats nothing: the requestor decides that."""

    def __init__(self) -> None:
        super().__init__(pool_connections=4, pool_maxsize=32, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
