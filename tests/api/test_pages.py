from __future__ import annotations

from typing import Any

import pytest

from django_sendcloud.exceptions import InvalidResponse, NotFound

from .conftest import answer, error


def pages_of(server: Any, count: int, *, link: Any = None, size: int = 2) -> Any:
    """A script that serves shipments page by page, with cursors c1, c2, …"""

    def script(request: Any, connection: Any) -> bytes:
        here = dict(part.split("=") for part in request.query.split("&") if part)
        number = int(here.pop("cursor", "c0")[1:])
        rest = "".join(f"&{name}={value}" for name, value in here.items())
        following = f"{server().url}/integrations/7/shipments?cursor=c{number + 1}{rest}"
        results = [{"external_order_id": f"{number}-{index}"} for index in range(size)]
        more = number + 1 < count
        return answer({"next": (link or following) if more else None, "previous": None, "results": results})

    return script


@pytest.fixture
def serve_pages(serve) -> Any:
    def start(count: int, **options: Any) -> Any:
        server = serve(pages_of(lambda: server, count, **options))
        return server

    return start


def test_all_pages_are_walked_lazily_and_filters_stay(serve_pages, connect) -> None:
    server = serve_pages(3)
    found = connect(server).shipments(7).list(order_number="A")
    assert next(found).external_order_id == "0-0"
    assert len(server.requests) == 1
    assert [shipment.external_order_id for shipment in found] == ["0-1", "1-0", "1-1", "2-0", "2-1"]
    assert [request.query for request in server.requests] == [
        "order_number=A",
        "cursor=c1&order_number=A",
        "cursor=c2&order_number=A",
    ]


def test_a_scan_can_be_resumed_where_a_page_ended(serve_pages, connect) -> None:
    server = serve_pages(3)
    shipments = connect(server).shipments(7)
    first = next(shipments.pages())
    assert first.next_cursor == "c1"
    assert [len(page.results) for page in shipments.pages(cursor=first.next_cursor)] == [2, 2]
    assert [page.next_cursor for page in shipments.pages(cursor="c1")] == ["c2", None]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/v2/integrations/7/shipments?cursor=x",
        "http://127.0.0.1:1/api/v2/integrations/7/shipments?cursor=x",
        "{scheme-less}//evil.example/api/v2/integrations/7/shipments",
        "{base}/integrations/8/shipments?cursor=x",
        "{base}/integrations/7/shipments/../../8?cursor=x",
        "{origin}/elsewhere?cursor=x",
        "{userinfo}/api/v2/integrations/7/shipments?cursor=x",
        "file:///etc/passwd",
        "http://[broken",
        7,
        {"href": "x"},
    ],
)
def test_f30_a_link_that_leads_elsewhere_is_not_followed(serve, connect, link: Any) -> None:
    def script(request: Any, connection: Any) -> bytes:
        following = link
        if isinstance(link, str):
            following = (
                link.replace("{base}", server.url)
                .replace("{origin}", f"http://127.0.0.1:{server.port}")
                .replace("{userinfo}", f"http://user:pw@127.0.0.1:{server.port}")
                .replace("{scheme-less}", "")
            )
        return answer({"next": following, "results": [{"external_order_id": "1"}]})

    server = serve(script)
    with pytest.raises(InvalidResponse, match="a link to a next page that is not at the configured address"):
        list(connect(server).shipments(7).list())
    assert len(server.requests) == 1


@pytest.mark.parametrize("link", ["?cursor=c{n}", "{base}/integrations/7/shipments/?cursor=c{n}"])
def test_relative_links_and_trailing_slashes_are_fine(serve, connect, link: str) -> None:
    def script(request: Any, connection: Any) -> bytes:
        number = int((request.query or "cursor=c0")[8:])
        following = link.replace("{base}", server.url).replace("{n}", str(number + 1)) if number < 2 else ""
        return answer({"next": following, "results": []})

    server = serve(script)
    assert list(connect(server).shipments(7).list()) == []
    assert [request.path for request in server.requests] == ["/api/v2/integrations/7/shipments"] * 3


@pytest.mark.parametrize("steps", [1, 3])
def test_f30_pages_that_lead_in_a_circle_are_noticed(serve, connect, steps: int) -> None:
    def script(request: Any, connection: Any) -> bytes:
        number = int((request.query or "cursor=c0")[8:])
        return answer({"next": f"?cursor=c{(number + 1) % steps or steps}", "results": []})

    server = serve(script)
    with pytest.raises(InvalidResponse, match="lead in a circle"):
        list(connect(server).shipments(7).list())
    assert len(server.requests) <= steps + 2


@pytest.mark.parametrize("page", [[], {}, {"results": None}, {"results": {}}, None])
def test_a_page_without_results_is_no_page(serve, connect, page: Any) -> None:
    with pytest.raises(InvalidResponse, match=r"list shipments \(integration 7\): an answer without a list of results"):
        list(connect(serve(answer(page))).shipments(7).list())


def test_a_result_that_cannot_be_identified_is_no_shipment(serve, connect) -> None:
    with pytest.raises(InvalidResponse, match="a Shipment without its external_order_id"):
        list(connect(serve(answer({"results": [{"name": "x"}]}))).shipments(7).list())


def test_a_cursor_that_does_not_exist_says_so(serve, connect) -> None:
    with pytest.raises(NotFound) as caught:
        list(connect(serve(error("404 Not Found", "Invalid cursor"))).shipments(7).list(cursor="old"))
    assert caught.value.resource == "page"


def test_logs_are_paged_too(serve, connect) -> None:
    def script(request: Any, connection: Any) -> bytes:
        last = "cursor" in request.query
        return answer({"next": None if last else "?cursor=c1", "results": [{"id": 2 if last else 1}]})

    client = connect(serve(script))
    assert [entry.id for entry in client.logs.list()] == [1, 2]
    assert [page.next_cursor for page in client.logs.pages(7)] == ["c1", None]
