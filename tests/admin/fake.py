"""Fake Sendcloud with integrations only, on a real socket; each test sets its behaviour."""

from __future__ import annotations

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeSendcloud:
    def __init__(self) -> None:
        self.public_key, self.secret_key = "public-key-0001", "canary-secret-0001"
        self.integrations: dict[int, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        # Answer everything with this status and message instead.
        self.failure: tuple[int, str] | None = None
        # Answer to a request for a label.
        self.label = b""
        self.add(4001, "Bike shop")
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.handle(self)

            do_PATCH = do_DELETE = do_POST = do_GET

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.base_url = f"http://127.0.0.1:{self._server.server_port}/api/v2"

    def add(self, remote_id: int, name: str) -> None:
        self.integrations[remote_id] = {
            "id": remote_id,
            "shop_name": name,
            "shop_url": "https://bikes.example",
            "system": "api",
            "failing_since": None,
            "last_fetch": None,
            "last_updated_at": "2026-05-01T10:00:00Z",
            "service_point_enabled": True,
            "service_point_carriers": ["postnl"],
            "webhook_active": False,
            "webhook_url": "",
        }

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        body = json.loads(handler.rfile.read(length)) if length else None
        self.requests.append((handler.command, handler.path, body))
        if "/labels/" in handler.path:
            status, data, kind = 200, self.label, "application/pdf"
        else:
            status, content = self._answer(handler, body)
            data, kind = json.dumps(content).encode() if status != 204 else b"", "application/json"
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _answer(self, handler: BaseHTTPRequestHandler, body: Any) -> tuple[int, Any]:
        def error(status: int, message: str) -> tuple[int, Any]:
            return status, {"error": {"code": status, "request": handler.path, "message": message}}

        if self.failure is not None:
            return error(*self.failure)
        credentials = base64.b64encode(f"{self.public_key}:{self.secret_key}".encode()).decode()
        if handler.headers.get("Authorization") != f"Basic {credentials}":
            return error(401, "Invalid username/password.")
        if handler.path.endswith("/v3/integrations"):
            return 200, {"data": [_in_v3_words(integration) for integration in self.integrations.values()]}
        if handler.path.endswith("/integrations"):
            return 200, list(self.integrations.values())
        match = re.search(r"/integrations/(\d+)$", handler.path)
        integration = self.integrations.get(int(match[1])) if match else None
        if integration is None and handler.path.partition("?")[0].endswith("/shipments"):
            return 200, {"next": None, "previous": None, "results": []}
        if integration is None and handler.path.endswith("/shipments/delete"):
            return 204, None
        if integration is None:
            return error(404, "No Integration matches the given query.")
        if "/v3/" in handler.path and handler.command != "DELETE":
            integration.update(body or {})
            return (200, {"data": _in_v3_words(integration)}) if handler.command == "GET" else (204, None)
        if handler.command == "DELETE":
            return 204, self.integrations.pop(integration["id"])
        integration.update(body or {})
        return 200, integration

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _in_v3_words(integration: dict[str, Any]) -> dict[str, Any]:
    """Return an integration under the names of API v3."""
    names = {
        "system": "type",
        "failing_since": "started_failing_at",
        "last_fetch": "last_fetched_at",
        "last_updated_at": "updated_at",
    }
    return {names.get(name, name): value for name, value in integration.items()}
