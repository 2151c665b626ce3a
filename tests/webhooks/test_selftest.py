"""The shop's call of its own webhook address: over a real socket, to itself or to an impostor."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from django_sendcloud.models import Integration, WebhookEvent
from django_sendcloud.webhooks import selftest
from django_sendcloud.webhooks.signature import HEADER, sign

SECRET = "canary-secret-0001"


@pytest.fixture
def integration(db: None) -> Integration:
    return Integration.objects.create(remote_id=1, public_key="p", secret_key=SECRET, webhook_active=True)


@pytest.fixture
def at(settings: Any) -> Callable[[str], None]:
    def put(url: str) -> None:
        settings.SENDCLOUD = {**settings.SENDCLOUD, "WEBHOOK_BASE_URL": url}

    return put


class Impostor:
    """A server that answers in the shop's place."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 200, {}, b"{}"
        self.asked: list[tuple[str, str, bytes]] = []
        impostor = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                impostor.asked.append((self.command, self.path, body))
                self.send_response(impostor.status)
                for name, value in impostor.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(impostor.body)))
                self.end_headers()
                self.wfile.write(impostor.body)

            do_GET = do_POST

            def log_message(self, *args: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def impostor() -> Iterator[Impostor]:
    impostor = Impostor()
    yield impostor
    impostor.close()


def outcome(integration: Integration) -> selftest.Outcome:
    return selftest.run(integration, selftest.own_address(integration))


@pytest.mark.django_db(transaction=True)
def test_shop_recognises_itself_and_records_nothing(live_server: Any, at: Callable[[str], None]) -> None:
    integration = Integration.objects.create(remote_id=1, public_key="p", secret_key=SECRET)
    at(live_server.url)
    assert outcome(integration) == selftest.Outcome("", 200)
    assert not WebhookEvent.objects.exists()
    integration.refresh_from_db()
    assert integration.last_webhook_at is None


@pytest.mark.django_db(transaction=True)
def test_separate_signature_key_is_used(live_server: Any, at: Callable[[str], None]) -> None:
    integration = Integration.objects.create(
        remote_id=1, public_key="p", secret_key=SECRET, webhook_signature_key="another key, long enough"
    )
    at(live_server.url)
    assert outcome(integration).problem == ""


@pytest.mark.django_db(transaction=True)
def test_wrong_signature_gets_no_proof(live_server: Any) -> None:
    integration = Integration.objects.create(remote_id=1, public_key="p", secret_key=SECRET)
    body = json.dumps({"action": selftest.ACTION, "nonce": "n"}).encode()
    for header in ("", sign(body, "another secret")):
        answer = requests.post(
            live_server.url + integration.webhook_path(), data=body, headers={HEADER: header}, timeout=5
        )
        assert answer.status_code == 403
        assert "proof" not in answer.text
    # Another of the shop's servers, with other keys, reports the signature as well.
    other = Integration(remote_id=1, public_key="p", secret_key="another secret", webhook_key=integration.webhook_key)
    assert selftest.run(other, other.webhook_address(live_server.url)) == selftest.Outcome("signature", 403)


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"{}", "somebody_else"),
        (200, b'{"detail": "ok", "proof": "0"}', "somebody_else"),
        (204, b"", "somebody_else"),
        (200, b"<h1>This domain is for sale</h1>", "somebody_else"),
        (200, b"[" * 100_000, "somebody_else"),
        (302, b"", "redirected"),
        (401, b"Log in", "closed"),
        (403, b"Are you a robot?", "closed"),
        (403, b'{"detail": "The signature is missing or wrong."}', "signature"),
        (404, b"", "not_there"),
        (410, b"", "not_there"),
        (429, b"", "closed"),
        (500, b"", "failed"),
        (502, b"", "failed"),
    ],
)
def test_impostors_answers_are_distinguished(
    integration: Integration, impostor: Impostor, at: Callable[[str], None], status: int, body: bytes, problem: str
) -> None:
    at(impostor.url)
    impostor.status, impostor.body = status, body
    impostor.headers = {"Location": f"{impostor.url}/elsewhere"} if status == 302 else {}
    found = outcome(integration)
    assert found.problem == problem
    assert [(method, path) for method, path, _ in impostor.asked] == [("POST", integration.webhook_path())]
    assert SECRET.encode() not in impostor.asked[0][2]


def test_closed_port_is_unreachable(integration: Integration, impostor: Impostor, at: Callable[[str], None]) -> None:
    at(impostor.url)
    impostor.close()
    assert outcome(integration) == selftest.Outcome("unreachable", None)


def test_silent_server_is_too_slow(
    integration: Integration, at: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    monkeypatch.setattr(selftest, "DEADLINE_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert outcome(integration) == selftest.Outcome("too_slow", None)


def test_untrusted_certificate_is_reported(
    integration: Integration, impostor: Impostor, at: Callable[[str], None]
) -> None:
    at(impostor.url.replace("http:", "https:"))
    assert outcome(integration).problem == "certificate"


# -- the address that is called -----------------------------------------------------------------------


def test_configured_address_precedes_registered_one(integration: Integration, at: Callable[[str], None]) -> None:
    integration.webhook_url = "https://elsewhere.example" + integration.webhook_path()
    at("https://shop.example/")
    assert selftest.own_address(integration) == f"https://shop.example{integration.webhook_path()}"


@pytest.mark.parametrize(
    ("url", "ours"),
    [
        ("https://shop.example{path}", True),
        ("http://shop.example{path}", True),
        ("https://WWW.Shop.Example{path}", True),
        ("https://shop.example/another/path/", False),
        ("https://shop.example{path}?next=http://10.0.0.1/", False),
        ("https://shop.example{path}more", False),
        ("https://shop.example:22{path}", False),
        ("https://user:word@shop.example{path}", False),
        ("https://10.0.0.1@shop.example{path}", False),
        ("https://shop.example.evil.example{path}", False),
        ("http://169.254.169.254{path}", False),
        ("http://localhost{path}", False),
        ("http://[::1]{path}", False),
        ("https://[nonsense{path}", False),
        ("https://shop.example:nonsense{path}", False),
        ("file://shop.example{path}", False),
        ("//shop.example{path}", False),
        ("", False),
    ],
)
def test_registered_address_is_called_only_if_ours(
    integration: Integration, settings: Any, url: str, ours: bool
) -> None:
    settings.ALLOWED_HOSTS = ["shop.example", ".shop.example"]
    integration.webhook_url = url.format(path=integration.webhook_path())
    assert selftest.own_address(integration) == (integration.webhook_url if ours else "")
    # A site that accepts any host name does not know its own.
    settings.ALLOWED_HOSTS = ["*"]
    assert selftest.own_address(integration) == ""
