"""The client against a hostile network and broken servers, over real sockets."""

from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import json
import resource
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from django_sendcloud.api import SendcloudClient
from django_sendcloud.exceptions import (
    APIError,
    InvalidResponse,
    Redirected,
    RequestNotSent,
    TLSError,
    TransportError,
    UnknownOutcome,
)
from tests.payloads.builders import shipment

from .conftest import answer

INTEGRATION = {"id": 7, "shop_name": "Shop", "system": "api", "last_updated_at": "2026-03-01T00:00:00Z"}


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# Timeouts and deadlines


@pytest.mark.parametrize("part", ["status line", "headers", "body", "chunks", "continues"])
def test_f19_deadline_ends_exchange_with_dripping_server(serve, connect, part: str) -> None:
    """The server sends one byte at a time, so no read ever times out."""

    def script(request: Any, connection: socket.socket) -> None:
        whole = {
            "status line": b"HTTP/1.1 200 OK" + b" " * 10_000,
            "headers": b"HTTP/1.1 200 OK\r\n" + b"X-Drip: drop\r\n" * 1_000,
            "body": answer(b"[" + b" " * 10_000 + b"]"),
            "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 10_000,
            "continues": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        }[part]
        connection.sendall(whole[:15])
        server.drip(connection, whole[15:], pause=0.02)

    server = serve(script)
    client = connect(server, read_timeout=0.2, deadline=0.4)
    started = time.monotonic()
    with pytest.raises(TransportError, match=r"no complete answer from 127\.0\.0\.1:\d+ in time"):
        client.v2.integrations.list()
    assert 0.35 < time.monotonic() - started < 3


def test_silent_server_is_abandoned_after_read_timeout(serve, connect) -> None:
    server = serve(lambda request, connection: server.stopping.wait(10) and None)
    started = time.monotonic()
    with pytest.raises(TransportError, match=r"list integrations: no complete answer from 127\.0\.0\.1:\d+ in time"):
        connect(server, read_timeout=0.3).v2.integrations.list()
    assert time.monotonic() - started < 2


@pytest.mark.long
def test_server_that_reads_nothing_is_abandoned(connect) -> None:
    """The request exceeds the socket buffers, so sending it blocks."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client = connect(f"http://127.0.0.1:{listener.getsockname()[1]}", read_timeout=0.3, deadline=1.0)
        large = shipment(address="x" * 20_000_000)
        with pytest.raises(TransportError):
            client.v2.shipments.upsert(7, [large])


def test_request_past_deadline_is_not_sent(serve, connect, monkeypatch) -> None:
    server = serve(answer([]))
    client = connect(server)
    client.v2.integrations.list()
    clock = iter([0.0, *[1e9] * 50])  # the process was stopped between the beginning and the sending
    monkeypatch.setattr("django_sendcloud.api.transport.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(RequestNotSent, match=r"no connection to 127\.0\.0\.1:\d+ could be made in time"):
        client.v2.shipments.upsert(7, [shipment()])
    assert len(server.requests) == 1


# Broken exchanges: not sent, or an unknown outcome


def test_refused_connection_is_not_sent(connect, dead_port: int) -> None:
    with pytest.raises(
        RequestNotSent, match=rf"no connection to 127\.0\.0\.1:{dead_port} could be made \(Connection refused\)"
    ) as caught:
        connect(f"http://127.0.0.1:{dead_port}").v2.shipments.upsert(7, [shipment()])
    assert caught.value.integration_id == 7
    assert not isinstance(caught.value, UnknownOutcome)


def test_unknown_host_is_not_sent(connect) -> None:
    with pytest.raises(RequestNotSent):
        connect("https://no-such-host.invalid").v2.integrations.list()


def test_connect_timeout_is_not_sent(connect) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        queue = [socket.socket() for _ in range(3)]  # fill the backlog, so that nothing is accepted any more
        for waiting in queue:
            waiting.setblocking(False)
            waiting.connect_ex(address)
        started = time.monotonic()
        with pytest.raises(RequestNotSent, match=r"no connection to 127\.0\.0\.1:\d+ could be made in time"):
            connect(f"http://127.0.0.1:{address[1]}", connect_timeout=0.4).v2.integrations.list()
        assert time.monotonic() - started < 3
        for waiting in queue:
            waiting.close()


@pytest.mark.parametrize("close", [reset, socket.socket.close], ids=["reset", "closed"])
def test_f19_connection_broken_before_answer_is_unknown(serve, connect, close) -> None:
    """Sendcloud may have applied the request before the connection broke."""
    server = serve(lambda request, connection: close(connection))
    with pytest.raises(
        TransportError, match=r"the connection to 127\.0\.0\.1:\d+ broke before the answer was complete"
    ):
        connect(server).v2.shipments.upsert(7, [shipment()])
    assert len(server.requests) == 1


def test_connection_dying_in_reuse_is_unknown(serve, connect) -> None:
    """The server resets a kept-alive connection after it received the request."""

    def script(request: Any, connection: socket.socket) -> bytes | None:
        return reset(connection) if len(server.requests) > 1 else answer([])

    server = serve(script)
    client = connect(server, retries=2)
    client.v2.integrations.list()
    with pytest.raises(TransportError):
        client.v2.shipments.upsert(7, [shipment()])
    assert [request.method for request in server.requests] == ["GET", "POST"]
    assert server.connections == 1


def test_connection_closed_by_server_is_replaced(serve, connect) -> None:
    def script(request: Any, connection: socket.socket) -> None:
        connection.sendall(answer([]))

    server = serve(script)
    client = connect(server)
    for _ in range(3):
        assert client.v2.integrations.list() == []
        time.sleep(0.1)
    assert server.connections == 3


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{"ext',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n[{"ext\r\n',
        b'HTTP/1.1 200 OK\r\n\r\n[{"ext',
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"[]" * 500)[:20],
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip",
        b"SSH-2.0-OpenSSH_9.6\r\n",
    ],
    ids=["headers", "length", "chunk", "until close", "gzip", "no gzip", "no http"],
)
def test_f19_half_an_answer_is_an_unknown_outcome(serve, connect, cut: bytes) -> None:
    server = serve(lambda request, connection: connection.sendall(cut))
    with pytest.raises(UnknownOutcome) as caught:
        connect(server).v2.shipments.upsert(7, [shipment()])
    assert caught.value.operation == "upsert shipments"
    assert caught.value.integration_id == 7


# Size limits of an answer


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.long
def test_f19_gzip_bomb_is_not_unpacked(serve, connect) -> None:
    bomb = gzip.compress(b" " * 300_000_000, 9)
    assert len(bomb) < 400_000
    server = serve(answer(bomb, headers={"Content-Encoding": "gzip"}))
    before = peak_memory()
    with pytest.raises(InvalidResponse, match="an answer larger than 1000000 bytes"):
        connect(server, max_response_bytes=1_000_000).v2.integrations.list()
    assert peak_memory() - before < 50_000_000


@pytest.mark.parametrize("length", [True, False], ids=["with length", "without length"])
def test_f19_answer_of_200_megabytes_is_refused(serve, connect, length: bool) -> None:
    sent = []

    def script(request: Any, connection: socket.socket) -> None:
        head = "HTTP/1.1 200 OK\r\n" + ("Content-Length: 200000000\r\n" if length else "") + "\r\n"
        connection.sendall(head.encode())
        for _ in range(200):
            connection.sendall(b" " * 1_000_000)
            sent.append(1_000_000)

    before = peak_memory()
    with pytest.raises(InvalidResponse, match="larger than 1000000 bytes"):
        connect(serve(script), max_response_bytes=1_000_000).v2.integrations.list()
    assert peak_memory() - before < 50_000_000
    assert sum(sent) < 100_000_000


def test_endless_headers_are_not_read(serve, connect) -> None:
    def script(request: Any, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: " + b"x" * 60_000 + b"\r\n")

    with pytest.raises(TransportError):
        connect(serve(script)).v2.integrations.list()


def test_compressed_answers_are_read(serve, connect) -> None:
    body = gzip.compress(b"[]" + b" " * 100_000) + gzip.compress(b" " * 10)  # gzip of two members
    server = serve(answer(body, headers={"Content-Encoding": "gzip"}))
    assert connect(server).v2.integrations.list() == []
    assert server.requests[0].headers["accept-encoding"] == "gzip"


def test_unrequested_compression_is_refused(serve, connect) -> None:
    server = serve(answer(b"[]", headers={"Content-Encoding": "br"}))
    with pytest.raises(InvalidResponse, match="compression that was not asked for"):
        connect(server).v2.integrations.list()


# Redirects, cookies and proxies


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_redirect_is_not_followed(serve, connect, status: str) -> None:
    elsewhere = serve(answer([]))
    server = serve(answer(b"", status, {"Location": f"{elsewhere.url}/integrations"}))
    with pytest.raises(Redirected) as caught:
        connect(server, retries=3).v2.integrations.list()
    assert elsewhere.requests == []
    assert len(server.requests) == 1
    assert caught.value.status == int(status[:3])


def test_cookies_are_not_kept(serve, connect) -> None:
    server = serve(answer([], headers={"Set-Cookie": "session=1; Path=/"}))
    client = connect(server)
    client.v2.integrations.list()
    client.v2.integrations.list()
    assert "cookie" not in server.requests[1].headers


def test_environment_does_not_redirect_credentials(serve, connect, monkeypatch, tmp_path: Path) -> None:
    """Neither proxy variables nor a netrc file have an effect."""
    proxy, server = serve(answer([{**INTEGRATION, "shop_name": "proxy"}])), serve(answer([INTEGRATION]))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert connect(server).v2.integrations.list()[0].shop_name == "Shop"
    assert proxy.requests == []
    assert "proxy" not in str(vars(connect(server)))


def test_proxy_given_explicitly_carries_requests(serve, connect) -> None:
    proxy, server = serve(answer([{**INTEGRATION, "shop_name": "proxy"}])), serve(answer([INTEGRATION]))
    client = connect(server, proxy=f"http://someone:pa55word@127.0.0.1:{proxy.port}")
    assert client.v2.integrations.list()[0].shop_name == "proxy"
    assert server.requests == []
    [request] = proxy.requests
    assert request.target == f"{server.url}/api/v2/integrations"
    assert request.headers["authorization"] == "Basic cHVibGljLWtleTpzM2NyM3Qta2V5"
    assert request.headers["proxy-authorization"] == "Basic c29tZW9uZTpwYTU1d29yZA=="


def test_dead_proxy_is_named(serve, connect, dead_port: int) -> None:
    server = serve(answer([]))
    with pytest.raises(RequestNotSent) as caught:
        connect(server, proxy=f"http://someone:pa55word@127.0.0.1:{dead_port}").v2.integrations.list()
    assert f"127.0.0.1:{server.port} through the proxy 127.0.0.1:{dead_port}" in str(caught.value)
    assert "pa55word" not in str(caught.value)


@pytest.mark.parametrize(
    "proxy", ["proxy.example", "ftp://proxy.example", "http://", "http://canary@proxy.example:x", "a b"]
)
def test_invalid_proxy_address_is_refused(connect, proxy: str) -> None:
    with pytest.raises(ValueError, match=r"^proxy must be an address") as caught:
        connect("http://127.0.0.1:1", proxy=proxy)
    assert "canary" not in str(caught.value)


def test_missing_certificate_bundle_is_refused(connect, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^ca_bundle must be the path of a file"):
        connect("http://127.0.0.1:1", ca_bundle=str(tmp_path / "missing.pem"))


# Keep-alive, threads, closing


def test_connections_are_kept_alive(serve, connect) -> None:
    server = serve(answer([]))
    client = connect(server)
    for _ in range(5):
        client.v2.integrations.list()
    assert server.connections == 1


def test_error_answer_keeps_connection_alive(serve, connect) -> None:
    server = serve(answer(b"<html>", "404 Not Found"))
    client = connect(server)
    for _ in range(3):
        with pytest.raises(APIError):
            client.v2.integrations.get(7)
    assert server.connections == 1


@pytest.mark.long
def test_client_is_shared_by_threads(serve, connect) -> None:
    def script(request: Any, connection: socket.socket) -> bytes:
        time.sleep(0.01)
        number = int(request.path.rsplit("/", 1)[1])
        return answer({**INTEGRATION, "id": number})

    client = connect(serve(script))
    wrong = []

    def work(start: int) -> None:
        wrong.extend(number for number in range(start, start + 20) if client.v2.integrations.get(number).id != number)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(1, 161, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_deadlines_of_threads_are_independent(serve, connect) -> None:
    """Two clients with different deadlines run in two threads."""

    def script(request: Any, connection: socket.socket) -> bytes:
        time.sleep(0.6 if request.path.endswith("1") else 0)
        return answer(INTEGRATION)

    server = serve(script)
    patient, hasty = connect(server, deadline=3.0), connect(server, deadline=0.2)
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(patient.v2.integrations.get(1)))
    thread.start()
    with pytest.raises(TransportError):
        hasty.v2.integrations.get(1)
    thread.join()
    assert len(results) == 1


def test_closed_client_refuses_requests(serve) -> None:
    server = serve(answer([]))
    with SendcloudClient(public_key="public", secret_key="secret", base_url=server.url) as client:
        client.v2.integrations.list()
    with pytest.raises(RuntimeError, match="closed"):
        client.v2.integrations.list()


# TLS


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """Return a server's context with a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def test_untrusted_certificate_is_refused(serve, connect, tls) -> None:
    """The client refuses the server before it sends a byte of the request."""
    server = serve(answer([]), context=tls)
    with pytest.raises(
        TLSError, match=r"no trusted TLS connection to 127\.0\.0\.1:\d+ could be made \(self-signed certificate"
    ):
        connect(server, retries=3).v2.integrations.list()
    assert server.requests == []
    assert server.connections == 1


def test_certificate_bundle_counts_only_given_explicitly(serve, connect, tls, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "server.pem"))
    server = serve(answer([]), context=tls)
    with pytest.raises(TLSError):
        connect(server).v2.integrations.list()
    assert connect(server, ca_bundle=str(tmp_path / "server.pem")).v2.integrations.list() == []


def test_server_without_tls_is_not_trusted(connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.recv(10_000)

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(TLSError):
            connect(f"https://127.0.0.1:{listener.getsockname()[1]}").v2.integrations.list()


def test_hang_up_during_handshake_is_not_sent(serve, connect) -> None:
    server = serve(lambda request, connection: None)
    with pytest.raises(RequestNotSent) as caught:
        connect(server.url.replace("http:", "https:")).v2.integrations.list()
    assert not isinstance(caught.value, TLSError)


def test_tls_broken_after_sending_is_unknown(serve, connect, tls, tmp_path: Path) -> None:
    """The request may have arrived, so the error is no ``RequestNotSent``."""

    def script(request: Any, connection: socket.socket) -> None:
        raw = socket.socket(fileno=connection.detach())
        raw.sendall(b"no TLS record at all")
        raw.close()

    with pytest.raises(TransportError):
        connect(serve(script, context=tls), ca_bundle=str(tmp_path / "server.pem")).v2.shipments.upsert(7, [shipment()])


# Content of a request, and imports


def test_reading_request_has_no_body(serve, connect) -> None:
    server = serve(answer([]))
    connect(server).v2.integrations.list()
    [request] = server.requests
    assert request.body == b""
    assert not {"content-length", "transfer-encoding", "content-type"} & set(request.headers)


def test_request_carries_expected_headers(serve, connect) -> None:
    server = serve(answer([]))
    client = connect(server, partner_id="6B436CB2-65A4-482C-9D25-38BE7868FF00", user_agent_suffix="my-shop/1.0")
    client.v2.integrations.list()
    headers = server.requests[0].headers
    assert headers["authorization"] == "Basic cHVibGljLWtleTpzM2NyM3Qta2V5"
    assert headers["sendcloud-partner-id"] == "6b436cb2-65a4-482c-9d25-38be7868ff00"
    assert headers["user-agent"].startswith("django-sendcloud/0.")
    assert headers["user-agent"].endswith(" my-shop/1.0")
    assert headers["accept"] == "application/json"


def test_requests_is_imported_by_transport_alone() -> None:
    """``transport`` is the one module that imports ``requests``."""
    package = Path(__file__).parents[2] / "django_sendcloud"
    users = [path.name for path in package.rglob("*.py") if "import requests" in path.read_text()]
    assert [name for name in users if (package / "api" / name).exists()] == ["transport.py"]
    assert requests.__name__


@pytest.mark.long
def test_client_imports_no_django() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from django_sendcloud.api import SendcloudClient; SendcloudClient(public_key='p', secret_key='s');"
        "print([m for m in ('django', 'celery', 'rest_framework') if m in sys.modules])"
    )
    assert (
        json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        == []
    )
