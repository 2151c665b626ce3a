"""Requests that no operation answers."""

from __future__ import annotations

import http.client
import json

from django_sendcloud.sandbox import Sandbox

from .conftest import Shop, order


def test_wrong_addresses_are_refused(shop: Shop, sandbox: Sandbox) -> None:
    foreign = sandbox.add_integration(account="another")
    missing = "No Integration matches the given query."
    for integration_id in (foreign.id, 999_999, 0, "abc", "1.5", "%31", "1" * 30):
        for path in ("", "/shipments", "/logs"):
            assert shop.error(404, "GET", f"/integrations/{integration_id}{path}") == missing
    for path in ("/", "/integration", "/integrations/1001/orders", "/integrations/1001/shipments/x"):
        assert shop.error(404, "GET", path) == "Not found."
    answer = shop.ask("DELETE", "shipments")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, POST")
    # With or without a slash at the end, as Sendcloud's own examples have it.
    assert shop.get(f"/integrations/{sandbox.integration_id}/shipments/")["results"] == []


def test_wrong_bodies_are_refused(shop: Shop, sandbox: Sandbox) -> None:
    assert "JSON parse error" in shop.error(
        400, "POST", "shipments", data="{", headers={"Content-Type": "application/json"}
    )
    for constant in ("NaN", "Infinity", "-Infinity"):
        body = json.dumps([order()]).replace('"NL"', constant)
        assert "JSON" in shop.error(400, "POST", "shipments", data=body, headers={"Content-Type": "application/json"})
    deep = "[" * 100_000
    assert "JSON" in shop.error(400, "POST", "shipments", data=deep, headers={"Content-Type": "application/json"})
    assert "Unsupported media type" in shop.error(415, "POST", "shipments", data="a=b", headers={"Content-Type": "x/y"})
    # A GET must not have one.
    assert shop.ask("GET", "shipments", {"a": 1}).status_code == 403
    assert sandbox.shipments() == []


def test_large_body_is_refused_unread(sandbox: Sandbox) -> None:
    for headers, status in [
        ({"Content-Length": str(21 * 1024 * 1024)}, 413),
        ({"Content-Length": "-1"}, 400),
        ({"Transfer-Encoding": "chunked"}, 411),
    ]:
        connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
        connection.putrequest("POST", "/api/v2/integrations")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        assert connection.getresponse().status == status
        connection.close()
