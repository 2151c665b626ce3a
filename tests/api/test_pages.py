from __future__ import annotations

from typing import Any

import pytest

from django_sendcloud.exceptions import InvalidResponse, NotFound

from .conftest import answer, error


def pages_of(server: Any, count: int, *, link: Any = None, size: int = 2) -> Any:
    """Return a script that serves shipments page by page, with cursors c1, c2, …"""

    def script(request: Any, connection: Any) -> bytes:
        here = dict(part.split("=") for part in request.query.split("&") if part)
        number = int(here.pop("cursor", "c0")[1:])
        rest = "".join(f"&{name}={value}" for name, value in here.items())
        following = f"{server().url}/api/v2/integrations/7/shipments?cursor=c{number + 1}{rest}"
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


def test_pages_are_fetched_lazily_with_filters(serve_pages, connect) -> None:
    """The client fetches a page when the caller needs it and repeats the filters."""
    server = serve_pages(3)
    found = connect(server).v2.shipments.list(7, order_number="A")
    assert next(found).external_order_id == "0-0"
    assert len(server.requests) == 1
    assert [shipment.external_order_id for shipment in found] == ["0-1", "1-0", "1-1", "2-0", "2-1"]
    assert [request.query for request in server.requests] == [
        "order_number=A",
        "cursor=c1&order_number=A",
        "cursor=c2&order_number=A",
    ]


def test_scan_resumes_from_cursor_of_page(serve_pages, connect) -> None:
    server = serve_pages(3)
    shipments = connect(server).v2.shipments
    first = next(shipments.pages(7))
    assert first.next_cursor == "c1"
    assert [len(page.results) for page in shipments.pages(7, cursor=first.next_cursor)] == [2, 2]
    assert [page.next_cursor for page in shipments.pages(7, cursor="c1")] == ["c2", None]


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/api/v2/integrations/7/shipments?cursor=x",
        "http://127.0.0.1:1/api/v2/integrations/7/shipments?cursor=x",
        "{scheme-less}//evil.example/api/v2/integrations/7/shipments",
        "{base}/api/v2/integrations/8/shipments?cursor=x",
        "{base}/api/v2/integrations/7/shipments/../../8?cursor=x",
        "{origin}/elsewhere?cursor=x",
        "{userinfo}/api/v2/integrations/7/shipments?cursor=x",
        "file:///etc/passwd",
        "http://[broken",
        7,
        {"href": "x"},
    ],
)
def test_f30_link_to_elsewhere_is_not_followed(serve, connect, link: Any) -> None:
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
        list(
            connect(server).v2.shipments.list(
                7,
            )
        )
    assert len(server.requests) == 1


@pytest.mark.parametrize("link", ["?cursor=c{n}", "{base}/api/v2/integrations/7/shipments/?cursor=c{n}"])
def test_relative_links_and_trailing_slashes_are_followed(serve, connect, link: str) -> None:
    def script(request: Any, connection: Any) -> bytes:
        number = int((request.query or "cursor=c0")[8:])
        following = link.replace("{base}", server.url).replace("{n}", str(number + 1)) if number < 2 else ""
        return answer({"next": following, "results": []})

    server = serve(script)
    assert (
        list(
            connect(server).v2.shipments.list(
                7,
            )
        )
        == []
    )
    assert [request.path for request in server.requests] == ["/api/v2/integrations/7/shipments"] * 3


@pytest.mark.parametrize("steps", [1, 3])
def test_f30_circular_pages_raise_an_error(serve, connect, steps: int) -> None:
    def script(request: Any, connection: Any) -> bytes:
        number = int((request.query or "cursor=c0")[8:])
        return answer({"next": f"?cursor=c{(number + 1) % steps or steps}", "results": []})

    server = serve(script)
    with pytest.raises(InvalidResponse, match="lead in a circle"):
        list(
            connect(server).v2.shipments.list(
                7,
            )
        )
    assert len(server.requests) <= steps + 2


@pytest.mark.parametrize("page", [[], {}, {"results": None}, {"results": {}}, None])
def test_page_without_results_is_unreadable(serve, connect, page: Any) -> None:
    with pytest.raises(
        InvalidResponse, match=r"list shipments \(integration 7\): HTTP 200: an answer without its list of results"
    ):
        list(
            connect(serve(answer(page))).v2.shipments.list(
                7,
            )
        )


def test_shipment_without_order_id_is_unreadable(serve, connect) -> None:
    with pytest.raises(InvalidResponse, match="a Shipment without its external_order_id"):
        list(
            connect(serve(answer({"results": [{"name": "x"}]}))).v2.shipments.list(
                7,
            )
        )


def test_unreadable_shipment_is_left_out(serve, connect, caplog: pytest.LogCaptureFixture) -> None:
    """One bad row must not keep an integration from being compared, again and again."""
    rows = [{"external_order_id": "1"}, {"name": "Ada"}, 3, None, {"external_order_id": "2"}]
    pages = [answer({"results": rows, "next": "?cursor=c1"}), answer({"results": [{"name": "Ada"}]})]
    client = connect(serve(lambda request, connection: pages["cursor" in request.query]))
    assert [shipment.external_order_id for shipment in client.v2.shipments.list(7)] == ["1", "2"]
    assert len(caplog.records) == 4
    assert "Element 1 of an answer (list shipments) is left out" in caplog.text
    assert "Ada" not in caplog.text


@pytest.mark.parametrize("row", [{}, {"id": "x"}, {"id": None}, {"id": [1]}, [], None, "text", 3])
def test_unreadable_parcel_never_blocks(serve, connect, row: Any) -> None:
    good = {"id": 1.0, "order_number": None, "status": "odd", "shipment_uuid": 5, "tracking_number": {}}
    client = connect(serve(answer({"parcels": [row, good, row]})))
    assert [parcel.id for parcel in client.v2.parcels.list()] == [1]
    assert list(connect(serve(answer({"parcels": [row]}))).v2.parcels.list()) == []


def test_unknown_cursor_raises_not_found(serve, connect) -> None:
    with pytest.raises(NotFound) as caught:
        list(connect(serve(error("404 Not Found", "Invalid cursor"))).v2.shipments.list(7, cursor="old"))
    assert caught.value.resource == "page"


def test_logs_are_paged_too(serve, connect) -> None:
    def script(request: Any, connection: Any) -> bytes:
        last = "cursor" in request.query
        return answer({"next": None if last else "?cursor=c1", "results": [{"id": 2 if last else 1}]})

    client = connect(serve(script))
    assert [entry.id for entry in client.v2.integrations.logs.list()] == [1, 2]
    assert [page.next_cursor for page in client.v2.integrations.logs.pages(7)] == ["c1", None]
