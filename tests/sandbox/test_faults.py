"""Every fault that can be ordered, seen from the other end of the socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox
from django_sendcloud.sandbox.faults import Fault

from .conftest import Shop, eventually, order

LATER = "2026-03-02T10:00:01Z"


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], Any]], Background]]:
    """Do something in a thread of its own."""
    started: list[Background] = []

    def start(action: Callable[[], Any]) -> Background:
        started.append(Background(action))
        return started[-1]

    yield start
    for background in started:
        background.join()


class Background:
    def __init__(self, action: Callable[[], Any]) -> None:
        self.result: Any = None
        self._action = action
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._action()
        except Exception as error:
            self.result = error

    def join(self) -> Any:
        self._thread.join(10)
        assert not self._thread.is_alive()
        return self.result


# Errors instead of answers


@pytest.mark.parametrize("apply", [True, False])
def test_error_may_apply_request(shop: Shop, sandbox: Sandbox, apply: bool) -> None:
    sandbox.fail_next(503, times=2, headers={"Retry-After": "9"}, apply=apply)
    for _ in range(2):
        answer = shop.ask("POST", "shipments", [order()])
        assert (answer.status_code, answer.content, answer.headers["Retry-After"]) == (503, b"", "9")
    assert bool(sandbox.shipments()) is apply
    assert [(request.fault, request.applied) for request in sandbox.requests] == [("answer", apply)] * 2
    # Twice means twice.
    assert shop.ask("POST", "shipments", [order(updated_at=LATER)]).json()[0]["status"] == (
        "updated" if apply else "created"
    )
    assert sandbox.faults == []


def test_error_has_any_body(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.fail_next(200, body=b'{"a": ')
    answer = shop.ask("GET", "/integrations")
    assert (answer.content, answer.headers["Content-Type"]) == (b'{"a": ', "application/json")
    sandbox.html_next()
    answer = shop.ask("GET", "/integrations")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        (None, {"upsert", "list", "delete"}),
        ("POST", {"upsert", "delete"}),
        ("shipments", {"upsert", "list"}),
        ("POST shipments", {"upsert"}),
        ("POST shipments/delete", {"delete"}),
        ("/shipments/", {"upsert", "list"}),
        ("upsert shipments", {"upsert"}),
        ("pments", set()),
    ],
)
def test_fault_hits_only_matching_requests(shop: Shop, sandbox: Sandbox, match: str | None, hit: set[str]) -> None:
    requests = {
        "upsert": lambda: shop.ask("POST", "shipments", []),
        "list": lambda: shop.ask("GET", "shipments"),
        "delete": lambda: shop.ask("POST", "shipments/delete", {}),
    }
    sandbox.fail_next(418, times=3, match=match)
    assert {name for name, send in requests.items() if send().status_code == 418} == hit


def test_fault_spares_tokens_unless_named(sandbox: Sandbox) -> None:
    modern = sandbox.add_integration(auth="oauth2")

    def get_token() -> int:
        form = {"grant_type": "client_credentials"}
        keys = (modern.client_id, modern.client_secret)
        return requests.post(sandbox.token_url, form, auth=keys, timeout=10).status_code

    sandbox.fail_next(503)
    assert get_token() == 200
    sandbox.clear_faults()
    sandbox.fail_next(503, match="get token")
    assert [get_token(), get_token()] == [503, 200]


def test_faults_keep_their_order(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.fail_next(500)
    sandbox.fail_next(502, match="POST")
    sandbox.fail_next(503)
    assert [shop.ask("GET", "shipments").status_code for _ in range(3)] == [500, 503, 200]
    assert [(fault.status, fault.times) for fault in sandbox.faults] == [(502, 1)]
    sandbox.clear_faults()
    assert shop.ask("POST", "shipments", []).status_code == 200
    with pytest.raises(ValueError, match="at least 1"):
        sandbox.fail_next(times=0)
    assert sandbox.faults == []


# No answers


@pytest.mark.parametrize("applied", [True, False])
def test_connection_closes_without_response(shop: Shop, sandbox: Sandbox, applied: bool) -> None:
    sandbox.drop_answer(after_apply=applied)
    with pytest.raises(requests.ConnectionError):
        shop.ask("POST", "shipments", [order()])
    assert bool(sandbox.shipments()) is applied
    [request] = sandbox.requests
    assert (request.status, request.fault, request.applied) == (None, "drop", applied)
    assert request.finished is not None
    # The next one is answered.
    assert shop.ask("GET", "shipments").status_code == 200


def test_response_breaks_off(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.truncate_next()
    connection = http.client.HTTPConnection("127.0.0.1", sandbox.port, timeout=10)
    authorization = requests.auth._basic_auth_str(*shop.keys)
    connection.request(
        "POST",
        f"/api/v2/integrations/{sandbox.integration_id}/shipments",
        json.dumps([order()]),
        {"Content-Type": "application/json", "Authorization": authorization},
    )
    answer = connection.getresponse()
    with pytest.raises(http.client.IncompleteRead) as caught:
        answer.read()
    connection.close()
    length = int(answer.headers["Content-Length"])
    assert (answer.status, len(caught.value.partial)) == (200, length // 2)
    # It had been done.
    assert len(sandbox.shipments()) == 1


class Rest:
    """Stands in for all waiting of the API: it lasts until the test says so."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.begun = threading.Event()
        self.over = threading.Event()

    def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self.begun.set()
        assert self.over.wait(10)


@pytest.fixture
def rest(sandbox: Sandbox) -> Iterator[Rest]:
    rest = sandbox._gateway.pause = Rest()
    yield rest
    rest.over.set()


@pytest.mark.parametrize(("apply", "while_waiting", "afterwards"), [("before", 1, 1), ("after", 0, 1), ("never", 0, 0)])
def test_late_response_applies_when_asked(
    shop: Shop, sandbox: Sandbox, rest: Rest, in_background: Any, apply: Any, while_waiting: int, afterwards: int
) -> None:
    sandbox.hang_next(3600, apply=apply)
    late = in_background(lambda: shop.ask("POST", "shipments", [order()]))
    assert rest.begun.wait(10)
    assert rest.asked == [3600]
    assert len(sandbox.shipments()) == while_waiting
    assert sandbox.requests[0].finished is None
    rest.over.set()
    answer = late.join()
    assert len(sandbox.shipments()) == afterwards
    if apply == "never":
        assert isinstance(answer, requests.ConnectionError)
    else:
        assert answer.json()[0]["status"] == "created"


def test_request_is_applied_after_client_left(shop: Shop, sandbox: Sandbox, rest: Rest) -> None:
    sandbox.hang_next(30, apply="after")
    with socket.create_connection(("127.0.0.1", sandbox.port)) as client:
        body = json.dumps([order(city="Old", updated_at="2026-01-01T00:00:00Z")])
        head = (
            f"POST /api/v2/integrations/{sandbox.integration_id}/shipments HTTP/1.1\r\nHost: sandbox\r\n"
            f"Authorization: {requests.auth._basic_auth_str(*shop.keys)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall((head + body).encode())
        assert rest.begun.wait(10)
    # Another client is served meanwhile, and the late request overwrites its order.
    shop.upsert(order(city="New", updated_at=LATER))
    assert sandbox.shipment("1042")["city"] == "New"
    rest.over.set()
    eventually(lambda: sandbox.requests[0].finished)
    assert sandbox.shipment("1042")["city"] == "Old"
    # In order of arrival, and in the order in which they were applied.
    assert [request.applied_order for request in sandbox.requests] == [2, 1]


def test_pause_holds_all_responses(shop: Shop, sandbox: Sandbox, in_background: Any) -> None:
    sandbox.paused = True
    waiting = in_background(lambda: shop.ask("GET", "/integrations"))
    eventually(lambda: sandbox.requests)
    assert sandbox.requests[0].status is None
    # The panel goes on: how else would one end it?
    assert requests.get(f"{sandbox.origin}/faults/", timeout=10).status_code == 200
    sandbox.paused = False
    assert waiting.join().status_code == 200


def test_latency_delays_every_response(shop: Shop, sandbox: Sandbox, rest: Rest) -> None:
    rest.over.set()
    sandbox.latency = 0.75
    shop.ask("GET", "/integrations")
    shop.ask("GET", "/integrations/1")
    assert rest.asked == [0.75, 0.75]
    sandbox.clear_faults()
    shop.ask("GET", "/integrations")
    assert (rest.asked, sandbox.latency) == ([0.75, 0.75], 0)


def test_restart_keeps_everything(shop: Shop, sandbox: Sandbox, in_background: Any) -> None:
    shop.upsert(order())
    sandbox.hang_next(3600)
    hanging = in_background(lambda: shop.ask("GET", "shipments"))
    eventually(lambda: sandbox.requests[-1].fault == "hang")
    address = sandbox.base_url
    sandbox.stop()
    # Waiting clients get an error immediately.
    assert isinstance(hanging.join(), requests.ConnectionError)
    with pytest.raises(requests.ConnectionError):
        shop.ask("GET", "shipments")
    sandbox.start()
    assert sandbox.base_url == address
    assert len(shop.get("shipments")["results"]) == 1


# Wrong results


@pytest.mark.parametrize("how", ["order", "missing", "duplicate", "unknown"])
def test_garbled_results_store_everything(shop: Shop, sandbox: Sandbox, how: Any) -> None:
    sandbox.garble_results(how)
    sent = [str(number) for number in range(10)]
    found = [result["external_order_id"] for result in shop.upsert(*map(order, sent))]
    assert [shipment["external_order_id"] for shipment in sandbox.shipments()] == sent
    match how:
        case "order":
            assert sorted(found) == sent
            assert found not in (sent, sent[::-1])
        case "missing":
            assert found == sent[:-1]
        case "duplicate":
            assert found == [*sent, "0"]
        case "unknown":
            assert found == ["an unknown order", *sent[1:]]
    sandbox.garble_results(None)
    assert [result["external_order_id"] for result in shop.upsert(*map(order, sent))] == sent


def test_unknown_garbling_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="order, missing, duplicate, unknown"):
        sandbox.garble_results("upside down")


def test_order_is_rejected_until_accepted(shop: Shop, sandbox: Sandbox) -> None:
    errors = {"postal_code": ["This postal code does not exist."]}
    sandbox.reject_order("2", errors)
    good, bad, other = shop.upsert(order("1"), order("2"), order("3"))
    assert (good["status"], bad["error"], other["status"]) == ("created", errors, "created")
    assert sandbox.requests[-1].items[1].key == ("2", "S1")
    sandbox.reject_order("2", None)
    assert shop.upsert(order("2"))[0]["status"] == "created"


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_poisoned_order_spoils_its_batches(shop: Shop, sandbox: Sandbox, status: int) -> None:
    sandbox.poison_batch("2", status)
    assert shop.ask("POST", "shipments", [order("1"), order("2")]).status_code == status
    assert sandbox.shipments() == []
    assert shop.upsert(order("1"))[0]["status"] == "created"
    sandbox.poison_batch("2", None)
    assert shop.upsert(order("2"))[0]["status"] == "created"


def test_reset_keeps_integrations(shop: Shop, sandbox: Sandbox) -> None:
    shop.upsert(order())
    shop.ask("POST", "logs", {"base_url": "https://shop.example"})
    sandbox.create_label("1042")
    sandbox.fail_next()
    sandbox.paused = True
    sandbox.latency = 5
    sandbox.garble_results("order")
    sandbox.reject_order("1", {})
    sandbox.poison_batch("1")
    sandbox.set_rate_limits(0, 0)
    sandbox.retry_after = 5
    sandbox.revoke_credentials()
    other = sandbox.add_integration()
    sandbox.reset()
    assert (sandbox.shipments(), sandbox.parcels(), sandbox.requests, sandbox.connection_log) == ([], [], [], [])
    assert sandbox.count() == 0
    assert sandbox.integrations == [sandbox.integration, other]
    assert shop.upsert(order("1"), order("2"))[0]["status"] == "created"


def test_faults_describe_themselves(sandbox: Sandbox) -> None:
    sandbox.hang_next(5, times=2, apply="after", match="POST")
    [fault] = sandbox.faults
    assert isinstance(fault, Fault)
    assert (fault.kind, fault.seconds, fault.times, fault.apply, fault.match) == ("hang", 5, 2, "after", "POST")
