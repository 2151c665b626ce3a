from __future__ import annotations

import http.server
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox
from django_sendcloud.webhooks.signature import verify
from tests.payloads.builders import shipment


def order(external_order_id: str = "1042", external_shipment_id: str | None = "S1", **changes: Any) -> dict[str, Any]:
    """Return a shipment as a shop sends it."""
    ids = {"external_order_id": external_order_id, "external_shipment_id": external_shipment_id}
    return {**shipment().to_json(), **ids, **changes}


def eventually(condition: Callable[[], Any]) -> None:
    """Wait for an event of another thread that gives no sign."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Shop:
    """Sends v2 requests to a sandbox, by default with the keys of its first integration."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.session = requests.Session()
        self.session.trust_env = False
        self.keys = (sandbox.public_key, sandbox.secret_key)

    def ask(self, method: str, path: str, body: Any = None, **options: Any) -> requests.Response:
        """Send a request. A path without a slash at its beginning continues that of the integration."""
        address = path if "://" in path else f"{self.sandbox.v2_url}{path}"
        if not path.startswith(("/", "http")):
            address = f"{self.sandbox.v2_url}/integrations/{self.sandbox.integration_id}/{path}".rstrip("/")
        if body is not None:
            options["json"] = body
        options.setdefault("auth", self.keys)
        return self.session.request(method, address, timeout=10, **options)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.ask("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upsert(self, *orders: Any) -> list[dict[str, Any]]:
        answer = self.ask("POST", "shipments", list(orders))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def error(self, status: int, method: str, path: str, body: Any = None, **options: Any) -> str:
        """Send a request that is refused, and return the message."""
        answer = self.ask(method, path, body, **options)
        assert answer.status_code == status, answer.text
        return answer.json()["error"]["message"]


@pytest.fixture
def shop(sandbox: Sandbox) -> Iterator[Shop]:
    shop = Shop(sandbox)
    yield shop
    shop.session.close()


@dataclass
class Received:
    """A webhook that arrived."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def payload(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def action(self) -> str:
        return self.payload["action"]

    def signed_with(self, key: str) -> bool:
        return verify(self.body, self.headers.get("sendcloud-signature"), [key])


class Receiver:
    """A shop's end of the webhooks: a server that keeps what arrives.

    Attributes:
        answers: Statuses for the next webhooks; 200 where there are none left.
        answering: While it is cleared, a webhook gets no answer.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.answering = threading.Event()
        self.answering.set()
        self._arrived: queue.Queue[Received] = queue.Queue()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver._arrived.put(Received(self.path, headers, body))
                receiver.answering.wait(10)
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def next(self) -> Received:
        """Wait for the next webhook."""
        return self._arrived.get(timeout=10)

    def nothing_more(self, sandbox: Sandbox) -> bool:
        """Return whether the test has seen all webhooks."""
        return sandbox.wait_webhooks() and self._arrived.empty()

    def close(self) -> None:
        self.answering.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def listening(sandbox: Sandbox, receiver: Receiver) -> Receiver:
    """Return the receiver, with the sandbox's integration connected to it."""
    sandbox.change_integration(webhook_url=receiver.url, webhook_active=True)
    assert receiver.next().action == "integration_connected"
    return receiver
