"""Each operation of both generations succeeds by exactly the answers its contract promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_sendcloud.api import SendcloudClient
from django_sendcloud.exceptions import InvalidResponse, UnknownOutcome
from tests.payloads.contract import document

from . import contracts
from .conftest import answer
from .test_contract import CALLS as CALLS_V2
from .test_contract import operations as operations_v2
from .test_contract_v3 import BODIES
from .test_contract_v3 import CALLS as CALLS_V3

HTML = b"<!doctype html><html><title>Sign in</title><p>This page is under maintenance.</p></html>"

#: Statuses beyond the contract that are documented elsewhere (facts: v2 upsert, v3 upsert).
TOLERATED = {("v2", "post", "/integrations/{id}/shipments"): {201}, ("v3", "post", "/orders"): {200}}

Use = Callable[[SendcloudClient], object]


def uses() -> Iterator[tuple[str, str, str, Use, set[int]]]:
    """Yield each operation with its use and the statuses that count as success."""
    for path, method, name in operations_v2():
        statuses = {int(s) for s in document()["paths"][path][method]["responses"] if s.startswith("2")}
        yield "v2", method, path, CALLS_V2[name], statuses | TOLERATED.get(("v2", method, path), set())
    for name, method, path in contracts.operations():
        statuses = contracts.promised(name, method, path)
        yield "v3", method, path, CALLS_V3[method, path], statuses | TOLERATED.get(("v3", method, path), set())
    yield "v2", "get", "/parcels", lambda client: list(client.v2.parcels.list()), {200}
    yield "v2", "get", "label", lambda client: client.v2.labels.download(f"{client._requestor.base_url}/label"), {200}
    yield "v2", "get", "/service-points", lambda client: client.v2.service_points.is_available(7), {200}


every_operation = pytest.mark.parametrize(
    ("use", "statuses"),
    [pytest.param(use, statuses, id=f"{v} {method} {path}") for v, method, path, use, statuses in uses()],
)


@every_operation
def test_html_page_is_never_success(serve, connect, use: Use, statuses: set[int]) -> None:
    """A proxy, a login or a maintenance page answers 200 with HTML: nothing was done as far as anyone knows."""
    server = serve(answer(HTML, "200 OK", {"Content-Type": "text/html"}))
    with pytest.raises(InvalidResponse, match=r"text/html|label in PDF") as caught:
        use(connect(server))
    assert isinstance(caught.value, UnknownOutcome)
    assert "maintenance" not in str(caught.value)


@every_operation
def test_unpromised_status_is_never_success(serve, connect, use: Use, statuses: set[int]) -> None:
    for status in {200, 201, 202, 203, 204, 206, 207, 299} - statuses:
        server = serve(answer({"data": [], "results": [], "id": 7}, f"{status} Odd"))
        with pytest.raises(InvalidResponse, match="is due"):
            use(connect(server))


@pytest.mark.parametrize("status", [200, 201])
def test_v3_upsert_takes_reference_and_guide(serve, connect, status: int) -> None:
    """The reference promises 201, the guide 200."""
    server = serve(answer({"data": [{"id": 1, "order_id": "555413", "order_number": "A-1"}]}, f"{status} OK"))
    [result, missing] = CALLS_V3["post", "/orders"](connect(server))
    assert result.id == 1
    assert missing is None


@pytest.mark.parametrize(("method", "path"), [key for key in BODIES if key[0] == "get"])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"data": null}', b'{"data": 3}', b'{"data": [3]}'])
def test_v3_answer_of_other_shape_is_unknown(serve, connect, method: str, path: str, body: bytes) -> None:
    with pytest.raises(InvalidResponse) as caught:
        CALLS_V3[method, path](connect(serve(answer(body))))
    assert caught.value.operation


def test_v3_status_of_cancellation_is_demanded(serve, connect) -> None:
    for body in (b"", b"{}", b'{"data": {}}', b'{"data": {"status": null}}'):
        with pytest.raises(InvalidResponse):
            connect(serve(answer(body))).v3.shipments.cancel("S1")


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"status": null}', b'{"message": "Welcome"}'])
def test_v2_status_of_cancellation_is_demanded(serve, connect, body: bytes) -> None:
    """A label counts as cancelled, and its goods go in another parcel, only if Sendcloud says so."""
    with pytest.raises(InvalidResponse, match="cancel parcel"):
        connect(serve(answer(body))).v2.parcels.cancel(7)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": {}}', b'{"data": "x"}'])
def test_v3_upsert_of_other_shape_is_unknown(serve, connect, body: bytes) -> None:
    with pytest.raises(InvalidResponse, match="upsert orders"):
        CALLS_V3["post", "/orders"](connect(serve(answer(body, "201 Created"))))


def test_v2_login_page_is_no_token(serve, connect) -> None:
    """The token's address may be answered by a proxy as well."""
    from django_sendcloud.api import OAuth2ClientCredentials
    from django_sendcloud.exceptions import RequestNotSent

    server = serve(answer(HTML, "200 OK", {"Content-Type": "text/html"}))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token/")
    with pytest.raises(RequestNotSent, match="holds none"):
        connect(server, auth=auth).v3.integrations.list()
    assert [request.path for request in server.requests] == ["/token/"]


def test_v3_examples_of_success_are_read(serve, connect) -> None:
    """Each example of the documents can be read as the value it stands for."""
    read: dict[tuple[str, str], Any] = {
        ("get", "/orders/{id}"): lambda client: client.v3.orders.get(669),
        ("get", "/orders"): lambda client: list(client.v3.orders.list()),
        ("get", "/integrations"): lambda client: client.v3.integrations.list(),
        ("get", "/integrations/{id}"): lambda client: client.v3.integrations.get(23452345),
        ("get", "/integrations/{id}/logs"): lambda client: list(client.v3.integrations.logs.list(7)),
        ("get", "/integrations/logs"): lambda client: list(client.v3.integrations.logs.list()),
        ("post", "/integrations/{id}/logs"): CALLS_V3["post", "/integrations/{id}/logs"],
        ("patch", "/orders/{id}"): CALLS_V3["patch", "/orders/{id}"],
        ("get", "/shipments"): lambda client: list(client.v3.shipments.list()),
        ("post", "/shipments/{id}/cancel"): CALLS_V3["post", "/shipments/{id}/cancel"],
        ("get", "/user/auth/metadata"): CALLS_V3["get", "/user/auth/metadata"],
    }
    seen = 0
    for name, method, path in contracts.operations():
        responses = contracts.document(name)["paths"][path][method]["responses"]
        for status in contracts.promised(name, method, path):
            content = contracts.resolved(name, responses[str(status)]).get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                if (method, path) in read:
                    assert read[method, path](connect(serve(answer(example["value"], f"{status} OK")))) is not None
                    seen += 1
    assert seen >= len(read)


#: Answers in JSON that no operation's contract promises, whole or cut off.
OTHERS = [b"", b'{"id": 7, "name', b"null", b'"ok"', b"7", b"NaN", b'{"message": "ok"}', b'{"error": {"code": 500}}']


@every_operation
@pytest.mark.parametrize("body", OTHERS)
def test_json_of_other_shape_is_never_success(serve, connect, use: Use, statuses: set[int], body: bytes) -> None:
    for status in statuses - {204}:
        server = serve(answer(body, f"{status} OK", {"Content-Type": "application/json"}))
        with pytest.raises(InvalidResponse) as caught:
            use(connect(server))
        assert isinstance(caught.value, UnknownOutcome)
