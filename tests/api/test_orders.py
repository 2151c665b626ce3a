"""Orders of API v3: requests, answers, rejections and pages."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from django_sendcloud.api.v3 import Order
from django_sendcloud.exceptions import (
    AuthenticationError,
    InvalidResponse,
    NotFound,
    PayloadError,
    PermissionDenied,
    RequestRejected,
    ServerError,
    StillProcessing,
    UnknownOutcome,
    WrongAddress,
)
from django_sendcloud.payloads.exact_json import decimal_digits

from .conftest import answer, rejection
from .test_contract_v3 import order

STILL_PROCESSING = {
    "code": "invalid",
    "detail": "We are still processing a previous request for one of these orders",
    "source": {"pointer": "/data"},
}


def stored(number: int, **changes: Any) -> dict[str, Any]:
    """Return an order as Sendcloud answers it, with its id as text."""
    details = {"integration": {"id": changes.pop("integration", 7)}, "status": {"code": changes.pop("status", "paid")}}
    return {"id": str(number), "order_id": f"O-{number}", "order_number": "A-1", "order_details": details} | changes


def accepted(number: int, order_id: Any = "555413") -> dict[str, Any]:
    return {"id": number, "order_id": order_id, "order_number": "A-1"}


def refuse(serve, connect, *items: dict[str, Any], status: str = "400 Bad Request") -> Any:
    """Send three orders, have them refused, and return the error."""
    batch = [order(order_id=str(number)) for number in range(3)]
    with pytest.raises(Exception) as caught:  # noqa: PT011  # the caller looks at its class
        connect(serve(rejection(status, *items))).v3.orders.upsert(batch)
    return caught.value


# Upsert


def test_upsert_sends_contracts_json(serve, connect) -> None:
    server = serve(answer({"data": [accepted(752417284)]}, "201 Created"))
    [result] = connect(server).v3.orders.upsert([order()])
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/api/v3/orders")
    assert request.headers["content-type"] == "application/json"
    assert request.json == json.loads(json.dumps([order()], default=float))
    assert (result.id, result.order_id, result.order_number) == (752417284, "555413", "A-1")


@pytest.mark.parametrize("amount", ["0.1", "3.50", "19.99", "1234567890123456.78", "1E-7", "1E+3", "-0.30"])
def test_amount_is_written_digit_by_digit(serve, connect, amount: str) -> None:
    """No float lies between the Decimal and its digits: a float has 17 of them, and another notation."""
    server = serve(answer({"data": []}, "201 Created"))
    payment = {"total_price": {"value": Decimal(amount), "currency": "EUR"}, "status": {"code": "paid"}}
    connect(server).v3.orders.upsert([order(payment_details=payment)])
    assert f'"value":{decimal_digits(Decimal(amount))}'.encode() in server.requests[0].body
    found = json.loads(server.requests[0].body, parse_float=Decimal, parse_int=Decimal)
    assert found[0]["payment_details"]["total_price"]["value"] == Decimal(amount)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), float("nan"), float("inf")])
def test_amount_that_is_none_is_refused(serve, connect, value: Any) -> None:
    server = serve(answer({"data": []}))
    with pytest.raises(ValueError, match="JSON"):
        connect(server).v3.orders.upsert([order(payment_details={"total_price": {"value": value}})])
    assert server.requests == []


def test_sendclouds_id_is_sent_as_text(serve, connect) -> None:
    """Answers have it as a number, requests must not."""
    server = serve(answer({"data": []}, "201 Created"))
    connect(server).v3.orders.upsert([order(id=752417284)])
    assert server.requests[0].json[0]["id"] == "752417284"


def test_results_come_in_order_of_request(serve, connect) -> None:
    server = serve(answer({"data": [accepted(n, str(n)) for n in reversed(range(100))]}, "201 Created"))
    results = connect(server).v3.orders.upsert([order(order_id=str(number)) for number in range(100)])
    assert [result.id for result in results] == list(range(100))


@pytest.mark.parametrize(
    "data",
    [
        [],
        [accepted(1, "other")],
        [accepted(1), accepted(2)],
        [{"order_id": "555413"}],
        [{"order_id": "555413", "id": "none"}],
        [accepted(1, "555413 ")],
        [None, 3, "text", [accepted(1)]],
        [{"id": 1, "order_id": None}],
    ],
    ids=["missing", "stranger", "doubled", "no id", "odd id", "other text", "nonsense", "null"],
)
def test_order_missing_from_answer_is_unknown(serve, connect, data: Any) -> None:
    assert connect(serve(answer({"data": data}, "201 Created"))).v3.orders.upsert([order()]) == [None]


def test_order_id_answered_as_number_is_recognised(serve, connect) -> None:
    [result] = connect(serve(answer({"data": [accepted(1, 555413)]}, "201 Created"))).v3.orders.upsert([order()])
    assert (result.id, result.order_id) == (1, "555413")


def test_invalid_batch_is_never_sent(serve, connect) -> None:
    server = serve(answer({"data": []}))
    orders = connect(server).v3.orders
    elsewhere = order(order_id="2", order_details={"integration": {"id": 8}})
    for batch, path in [
        ([], ""),
        ([order(order_id=str(number)) for number in range(101)], ""),
        ([order(), order(order_id="2"), order()], "[2].order_id"),
        ([order(), []], "[1]"),
        ([order(order_id="")], "[0].order_id"),
        ([order(order_id=5)], "[0].order_id"),
        ([order(), elsewhere], "[1].order_details.integration.id"),
        ([order(order_details={})], "[0].order_details.integration.id"),
        ([order(order_details={"integration": {"id": True}})], "[0].order_details.integration.id"),
    ]:
        with pytest.raises(PayloadError) as caught:
            orders.upsert(batch)
        assert list(caught.value.errors) == [path]
    assert server.requests == []


# Rejections


def test_rejection_names_orders_and_fields(serve, connect) -> None:
    error = refuse(
        serve,
        connect,
        {
            "detail": "Input should be greater than 0",
            "source": {"pointer": "/data/attributes/[1]/order_details/order_items/0/quantity"},
        },
        {"detail": "Field required", "source": {"pointer": "/data/attributes/[2]/payment_details/status"}},
        {"detail": "String should have at least 3 characters", "source": {"pointer": "/data/attributes/[2]"}},
    )
    assert type(error) is RequestRejected
    assert error.items == {
        1: {"order_details.order_items[0].quantity": ["Input should be greater than 0"]},
        2: {"payment_details.status": ["Field required"], "": ["String should have at least 3 characters"]},
    }
    assert error.errors == {
        "[1].order_details.order_items[0].quantity": ["Input should be greater than 0"],
        "[2].payment_details.status": ["Field required"],
        "[2]": ["String should have at least 3 characters"],
    }
    assert "upsert orders (integration 7): HTTP 400: the request is rejected: [1].order_details" in str(error)


@pytest.mark.parametrize(
    ("pointer", "index", "path"),
    [
        ("/data/attributes/[0]/order_id", 0, "order_id"),
        ("/data/attributes/[99]/order_details/order_items/12/unit_price/value", 99,
         "order_details.order_items[12].unit_price.value"),
        ("/data/attributes/orders/[1]", 1, ""),
        ("/data/attributes/orders/0/order_id", 0, "order_id"),
        ("/data/attributes/1/order_id", 1, "order_id"),
        ("/data/attributes/[1]/order_details/order_items/[3]/sku", 1, "order_details.order_items[3].sku"),
        ("/data/attributes/[1]/name of ada@shop.example/x", 1, "….x"),
        ("/data/attributes/", None, ""),
        ("/data", None, ""),
        ("order/order_details/order_items", None, "order_details.order_items"),
        ("body/unknown_field", None, "unknown_field"),
        ("", None, ""),
        (None, None, ""),
        (3, None, ""),
        ("/data/attributes/[" + "9" * 400 + "]/x", None, "….x"),
    ],
)  # fmt: skip
def test_pointer_forms_are_read(serve, connect, pointer: Any, index: int | None, path: str) -> None:
    error = refuse(serve, connect, {"detail": "Wrong", "source": {"pointer": pointer}})
    assert type(error) is RequestRejected
    if index is None:
        assert error.items == {}
        assert list(error.errors.values()) == [["Wrong"]]
        assert list(error.errors) == [path] or "9" * 9 in next(iter(error.errors))
    else:
        assert error.items == {index: {path: ["Wrong"]}}


def test_rejection_shows_no_value_that_was_sent(serve, connect) -> None:
    bad = order(shipping_address={"name": "Ada Example", "city": "Amsterdam"})
    item = {
        "detail": "'Ada Example' of Amsterdam is unknown, write to ada@shop.example",
        "source": {"pointer": "/data/attributes/[0]/shipping_address/name"},
    }
    with pytest.raises(RequestRejected) as caught:
        connect(serve(rejection("400 Bad Request", item))).v3.orders.upsert([bad])
    assert "Ada" not in str(caught.value) + str(caught.value.items)
    assert "Amsterdam" not in str(caught.value.items)
    assert caught.value.items[0]["shipping_address.name"] == ["'…' of … is unknown, write to …"]


def test_rejected_orders_are_all_named(serve, connect) -> None:
    items = [
        {"detail": "Wrong", "source": {"pointer": f"/data/attributes/[{number % 100}]/order_number"}}
        for number in [*[0] * 300, *range(100)]
    ]
    error = refuse(serve, connect, *items)
    assert set(error.items) == set(range(100))
    assert len(str(error)) < 700


@pytest.mark.parametrize(
    "body",
    [
        {
            "errors": {
                "status": 400,
                "code": "invalid",
                "detail": "Wrong",
                "source": {"pointer": "/data/attributes/[1]"},
            }
        },
        {"errors": [None, 3, {"title": "Wrong", "source": {"pointer": "/data/attributes/[1]"}}]},
        {"errors": [{"code": "Wrong", "source": {"pointer": "/data/attributes/[1]", "parameter": None}}]},
    ],
    ids=["one object", "nonsense beside", "no detail"],
)
def test_odd_error_answers_are_read(serve, connect, body: Any) -> None:
    with pytest.raises(RequestRejected) as caught:
        connect(serve(answer(body, "400 Bad Request"))).v3.orders.upsert([order()])
    assert caught.value.items == {1: {"": ["Wrong"]}}


@pytest.mark.parametrize("body", [{"errors": []}, {"errors": None}, {"errors": "x"}, {"errors": [[]]}, {}, []])
def test_rejection_without_items_is_rejection(serve, connect, body: Any) -> None:
    with pytest.raises(RequestRejected) as caught:
        connect(serve(answer(body, "400 Bad Request"))).v3.orders.upsert([order()])
    assert caught.value.items == {}


# Decisions


@pytest.mark.parametrize("status", ["400 Bad Request", "409 Conflict"])
def test_still_processing_means_retry_batch(serve, connect, status: str) -> None:
    error = refuse(serve, connect, STILL_PROCESSING, status=status)
    assert type(error) is StillProcessing
    assert not isinstance(error, RequestRejected | UnknownOutcome)


def test_409_without_body_means_retry_batch(serve, connect) -> None:
    with pytest.raises(StillProcessing):
        connect(serve(answer(b"", "409 Conflict"))).v3.orders.upsert([order()])


def test_rejection_of_whole_request_is_no_conflict(serve, connect) -> None:
    """The pointer alone does not decide: a body that is no list is refused there as well."""
    error = refuse(serve, connect, {"detail": "Input should be a valid list", "source": {"pointer": "/data"}})
    assert type(error) is RequestRejected


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 Unauthorized", AuthenticationError),
        ("403 Forbidden", PermissionDenied),
        ("500 Internal Server Error", ServerError),
    ],
)
def test_status_decides_before_pointer(serve, connect, status: str, kind: type) -> None:
    """A 401 points at ``/data`` as the conflict does."""
    assert type(refuse(serve, connect, STILL_PROCESSING, status=status)) is kind


def test_unknown_integration_is_own_decision(serve, connect) -> None:
    """Each order points at it; none of them is at fault."""
    error = refuse(
        serve,
        connect,
        *(
            {
                "detail": "Integration with id 7 does not exist",
                "source": {"pointer": f"/data/attributes/[{number}]/order_details/integration/id"},
            }
            for number in range(3)
        ),
    )
    assert type(error) is NotFound
    assert (error.resource, error.status, error.integration_id) == ("integration", 400, 7)


def test_malformed_integration_id_is_rejection(serve, connect) -> None:
    pointer = "/data/attributes/[1]/order_details/integration/id"
    error = refuse(serve, connect, {"detail": "Input should be a valid integer", "source": {"pointer": pointer}})
    assert type(error) is RequestRejected
    assert list(error.items) == [1]


def test_foreign_integration_of_list_is_not_found(serve, connect) -> None:
    item = {"code": "invalid_choice", "detail": "7 is no valid choice", "source": {"parameter": "integration"}}
    with pytest.raises(NotFound) as caught:
        list(connect(serve(rejection("400 Bad Request", item))).v3.orders.list(integration_id=7))
    assert caught.value.resource == "integration"


# Lists


def linked(server: Any, cursor: str, rel: str = "next") -> str:
    """Return a ``Link`` header as the documents have it: without ``/api``, at Sendcloud's host."""
    return f'<https://panel.sendcloud.sc/v3/orders/?cursor={cursor}>; rel="{rel}"'


def pages(serve, *batches: list[dict[str, Any]]) -> Any:
    """Serve a list page by page, with the cursors c1, c2, …"""

    def script(request: Any, connection: Any) -> bytes:
        cursor = dict(part.split("=") for part in request.query.split("&") if part).get("cursor", "c0")
        number = int(cursor[1:])
        links = [linked(server, f"c{number - 1}", "prev")] if number else []
        links += [linked(server, f"c{number + 1}")] if number + 1 < len(batches) else []
        headers = {"Link": ", ".join(links)} if links else {}
        return answer({"data": batches[number]}, headers=headers)

    server = serve(script)
    return server


def test_pages_are_walked_lazily_with_filters(serve, connect) -> None:
    server = pages(serve, [stored(1), stored(2)], [stored(3)], [stored(4)])
    found = connect(server).v3.orders.list(integration_id=7, order_number="A-1", page_size=2)
    assert server.requests == []
    assert next(found).id == 1
    assert len(server.requests) == 1
    assert [order.id for order in found] == [2, 3, 4]
    assert [request.target for request in server.requests] == [
        "/api/v3/orders?integration=7&order_number=A-1&page_size=2",
        "/api/v3/orders?integration=7&order_number=A-1&page_size=2&cursor=c1",
        "/api/v3/orders?integration=7&order_number=A-1&page_size=2&cursor=c2",
    ]


def test_scan_resumes_at_cursor(serve, connect) -> None:
    server = pages(serve, [stored(1)], [stored(2)], [stored(3)])
    orders = connect(server).v3.orders
    first = next(orders.pages())
    assert first.next_cursor == "c1"
    assert [page.next_cursor for page in orders.pages(cursor="c1")] == ["c2", None]


@pytest.mark.parametrize(
    "link",
    [
        '<https://panel.sendcloud.sc/v3/orders?cursor=c%3D1>; rel="next"',
        "<https://panel.sendcloud.sc/v3/orders?cursor=c%3D1>; rel=next",
        '<https://panel.sendcloud.sc/v3/orders?page_size=1&cursor=c%3D1>;rel="next"',
        '<https://evil.example/steal?cursor=c%3D1>; rel="next"',
        '</v3/orders?cursor=c%3D1> ; title="a, b"; rel="next"',
        '<https://x/?cursor=a>; rel="prev", <https://x/?cursor=c%3D1>; rel="next"',
        '<https://x/?cursor=c%3D1>; rel="next", <https://x/?cursor=a>; rel="prev"',
    ],
)
def test_cursor_alone_is_taken_from_link(serve, connect, link: str) -> None:
    """The address in the link decides nothing: the documented one is wrong, another one may be hostile."""

    def script(request: Any, connection: Any) -> bytes:
        return answer({"data": []}) if "cursor" in request.query else answer({"data": []}, headers={"Link": link})

    server = serve(script)
    assert len(list(connect(server).v3.orders.pages())) == 2
    assert [request.target for request in server.requests] == ["/api/v3/orders", "/api/v3/orders?cursor=c%3D1"]
    assert server.requests[1].headers["host"] == f"127.0.0.1:{server.port}"


@pytest.mark.parametrize("link", ["", "nonsense", '<https://x/?cursor=a>; rel="prev"', "<https://x/?cursor=a>", "<"])
def test_link_without_next_ends_list(serve, connect, link: str) -> None:
    server = serve(answer({"data": [stored(1)]}, headers={"Link": link}))
    assert [page.next_cursor for page in connect(server).v3.orders.pages()] == [None]


@pytest.mark.parametrize("query", ["", "?page=2", "?cursor=a&cursor=b"])
def test_next_link_without_cursor_is_unreadable(serve, connect, query: str) -> None:
    server = serve(answer({"data": []}, headers={"Link": f'<https://x/orders{query}>; rel="next"'}))
    with pytest.raises(InvalidResponse, match="without its cursor"):
        list(connect(server).v3.orders.list())


def test_pages_in_circle_are_unreadable(serve, connect) -> None:
    server = serve(answer({"data": []}, headers={"Link": linked(None, "c1")}))
    with pytest.raises(InvalidResponse, match="circle"):
        list(connect(server).v3.orders.list())
    assert len(server.requests) == 2


def test_orders_not_asked_for_are_left_out(serve, connect) -> None:
    """Sendcloud ignores filters it does not know, and answers the whole account."""
    there = [
        stored(1, order_id="A"),
        stored(2, order_id="B"),
        stored(3, order_id="a", order_number="OTHER"),
        stored(4, order_id="A", integration=8),
        stored(5, order_id="A", status="open"),
    ]
    server = serve(answer({"data": there}))
    orders = connect(server).v3.orders
    assert [order.id for order in orders.list(order_id="a")] == [1, 3, 4, 5], "its filter ignores letter case"
    assert [order.id for order in orders.list(order_id="A", order_number="a-1")] == [1, 4, 5]
    assert [order.id for order in orders.list(order_id="A", integration_id=7)] == [1, 3, 5]
    assert [order.id for order in orders.list(order_id="A", integration_id=[8, 9])] == [4]
    assert [order.id for order in orders.list(order_id="A", status="OPEN")] == [5]
    assert [order.id for order in orders.list()] == [1, 2, 3, 4, 5]
    assert server.requests[3].query == "integration=8%2C9&order_id=A"


def test_ignored_filter_does_not_walk_account(serve, connect) -> None:
    server = pages(serve, [stored(n) for n in range(100)], [stored(n) for n in range(100)], [stored(900)])
    with pytest.raises(InvalidResponse, match="ignored the filter"):
        list(connect(server).v3.orders.list(order_id="O-900"))
    assert len(server.requests) == 1


def test_last_page_without_match_is_no_error(serve, connect) -> None:
    """One page of other orders may be a filter that finds more than exact matches."""
    assert list(connect(serve(answer({"data": [stored(1)]}))).v3.orders.list(order_id="O")) == []


@pytest.mark.parametrize(
    "filters",
    [
        {"order_id": ""},
        {"order_id": 5},
        {"order_number": ["A"]},
        {"order_created_at": dt.datetime(2026, 1, 1)},
        {"order_updated_at_min": "2026-01-01"},
        {"integration_id": 0},
        {"integration_id": [1, "2"]},
        {"integration_id": range(1, 102)},
        {"sort": "name"},
        {"page_size": 0},
        {"page_size": 201},
        {"cursor": ""},
    ],
)
def test_filter_that_makes_no_sense_is_refused(connect, dead_port: int, filters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(filters)).replace("integration_id", "integration")):
        connect(f"http://127.0.0.1:{dead_port}").v3.orders.list(**filters)


def test_unknown_cursor_is_page_not_found(serve, connect) -> None:
    item = {"code": "not_found", "detail": "Invalid cursor", "source": {"pointer": "/data"}}
    with pytest.raises(NotFound) as caught:
        list(connect(serve(rejection("404 Not Found", item))).v3.orders.list(cursor="gone"))
    assert caught.value.resource == "page"


# One order

MISSING = {"code": "not_found", "detail": "The order could not be found with the search criteria given"}


def test_get_reads_one_order(serve, connect) -> None:
    server = serve(answer({"data": stored(669)}))
    assert connect(server).v3.orders.get(669).order_id == "O-669"
    assert server.requests[0].target == "/api/v3/orders/669"


def test_get_that_answers_other_order_is_unreadable(serve, connect) -> None:
    with pytest.raises(InvalidResponse, match="another order"):
        connect(serve(answer({"data": stored(670)}))).v3.orders.get(669)


@pytest.mark.parametrize("detail", [MISSING["detail"], "Could not find specified item.", "Not found"])
def test_missing_order_is_not_found(serve, connect, detail: str) -> None:
    client = connect(serve(rejection("404 Not Found", MISSING | {"detail": detail})))
    for use in (client.v3.orders.get, lambda id: client.v3.orders.patch(id, {"order_number": "A"})):
        with pytest.raises(NotFound) as caught:
            use(669)
        assert caught.value.resource == "order"


def test_delete_is_done_by_204_alone(serve, connect) -> None:
    server = serve(answer(b"", "204 No Content"))
    assert connect(server).v3.orders.delete(669).found is True
    assert (server.requests[0].method, server.requests[0].target) == ("DELETE", "/api/v3/orders/669")
    assert server.requests[0].body == b""


def test_delete_of_missing_order_finds_nothing(serve, connect) -> None:
    assert connect(serve(rejection("404 Not Found", MISSING))).v3.orders.delete(669).found is False


@pytest.mark.parametrize("body", [b"", b'{"error": {"message": "Not found."}}', b"{}"])
def test_404_of_something_else_deletes_nothing(serve, connect, body: bytes) -> None:
    """A proxy, or an address that is not Sendcloud's, answers 404 to everything."""
    with pytest.raises(NotFound) as caught:
        connect(serve(answer(body, "404 Not Found"))).v3.orders.delete(669)
    assert caught.value.resource == ""


def test_404_of_web_page_names_the_address(serve, connect) -> None:
    with pytest.raises(WrongAddress, match=r"http://127\.0\.0\.1:\d+ is not the address of Sendcloud's API"):
        connect(serve(answer(b"<html>not found</html>", "404 Not Found"))).v3.orders.delete(669)


def test_404_for_integration_is_no_missing_order(serve, connect) -> None:
    detail = "The Integration could not be found with the search criteria given"
    client = connect(serve(rejection("404 Not Found", {"code": "not_found", "detail": detail})))
    with pytest.raises(NotFound) as caught:
        client.v3.orders.delete(669)
    assert caught.value.resource == "integration"
    with pytest.raises(NotFound) as caught:
        client.v3.integrations.get(7)
    assert caught.value.resource == "integration"


def test_patch_sends_given_fields(serve, connect) -> None:
    server = serve(answer({"data": accepted(669)}))
    result = connect(server).v3.orders.patch(669, {"payment_details": {"total_price": {"value": Decimal("1.10")}}})
    assert server.requests[0].body == b'{"payment_details":{"total_price":{"value":1.1}}}'
    assert result.id == 669
    with pytest.raises(PayloadError):
        connect(server).v3.orders.patch(669, {})


def test_patch_rejection_names_field(serve, connect) -> None:
    item = {"detail": "Could not find specified item.", "source": {"pointer": "order/order_details/order_items"}}
    with pytest.raises(RequestRejected) as caught:
        connect(serve(rejection("400 Bad Request", item))).v3.orders.patch(669, {"order_number": "A"})
    assert caught.value.errors == {"order_details.order_items": ["Could not find specified item."]}


@pytest.mark.parametrize("number", [0, -1, True, "7", None, 1.0])
def test_id_that_is_none_is_refused(connect, dead_port: int, number: Any) -> None:
    orders = connect(f"http://127.0.0.1:{dead_port}").v3.orders
    for use in (orders.get, orders.delete, lambda id: orders.patch(id, {"order_number": "A"})):
        with pytest.raises(ValueError, match="id must be a positive whole number"):
            use(number)


# Reading


def test_live_order_is_read() -> None:
    """Live answers have text as id, numbers as costs, and leave optional fields out."""
    found = Order.from_api(
        {
            "id": "752417284",
            "order_id": "555413",
            "order_number": "OX-12",
            "created_at": "2026-02-27T10:00:00.555309+00:00",
            "modified_at": "2026-02-27T10:00:00.626411+00:00",
            "order_details": {
                "integration": {"id": 739283},
                "status": {"code": "unfulfilled", "message": "Unfulfilled"},
                "order_created_at": "2026-02-27T10:00:00+00:00",
                "order_items": [{"name": "Mug", "quantity": 2, "total_price": {"value": 25.98, "currency": "EUR"}}],
                "tags": None,
            },
            "payment_details": {"discount_granted": {"value": 3.99, "currency": "EUR"}, "status": None},
            "shipping_address": {"name": "Ada Example", "country_code": "NL"},
            "brand_new": {"a": 1},
        }
    )
    assert (found.id, found.integration_id) == (752417284, 739283)
    assert found.modified_at == dt.datetime(2026, 2, 27, 10, 0, 0, 626411, tzinfo=dt.UTC)
    details = found.order_details
    assert details is not None
    assert (details.order_updated_at, details.notes, details.tags) == (None, None, ())
    assert details.order_items[0].total_price.value == Decimal("25.98")  # type: ignore[union-attr]
    assert found.payment_details.discount_granted.value == Decimal("3.99")  # type: ignore[union-attr]
    assert found.customer_details is None
    assert found.raw["brand_new"] == {"a": 1}
    assert "Ada" not in repr(found)


@pytest.mark.parametrize("raw", [{}, {"id": "1"}, {"order_id": "1"}, {"id": "x", "order_id": "1"}, [], None, "text"])
def test_order_without_ids_is_unreadable(serve, connect, raw: Any) -> None:
    with pytest.raises(InvalidResponse, match="list orders: an answer that holds"):
        list(connect(serve(answer({"data": [raw]}))).v3.orders.list())
