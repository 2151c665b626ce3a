"""Reading parcels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from django_sendcloud.api import SendcloudClient
from django_sendcloud.exceptions import NotFound, RequestRejected
from django_sendcloud.sandbox import Sandbox
from tests.payloads.builders import shipment as build


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as server:
        yield server


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[SendcloudClient]:
    with SendcloudClient(
        public_key=sandbox.public_key, secret_key=sandbox.secret_key, base_url=sandbox.base_url
    ) as client:
        yield client


@pytest.fixture
def parcels(sandbox: Sandbox, client: SendcloudClient) -> list[dict[str, Any]]:
    now = dt.datetime.now(dt.UTC)
    payloads = [build(external_order_id=f"o-{n}", order_number=f"N-{n}").stamped(now) for n in range(5)]
    client.v2.shipments.upsert(sandbox.integration_id, payloads)
    return [parcel for n in range(5) for parcel in sandbox.create_label(f"o-{n}")]


def test_parcels_are_listed_page_by_page(
    sandbox: Sandbox, client: SendcloudClient, parcels: list[dict[str, Any]]
) -> None:
    sandbox.page_size = 2
    found = client.v2.parcels.list()
    before = sandbox.count("GET", "/parcels")
    assert next(found).id == parcels[0]["id"]
    assert sandbox.count("GET", "/parcels") - before == 1
    assert [parcel.id for parcel in found] == [parcel["id"] for parcel in parcels[1:]]
    assert sandbox.count("GET", "/parcels") - before == 3


def test_parcels_are_filtered(client: SendcloudClient, parcels: list[dict[str, Any]]) -> None:
    wanted = [parcels[1]["id"], parcels[3]["id"]]
    assert [parcel.id for parcel in client.v2.parcels.list(ids=wanted)] == wanted
    assert [parcel.order_number for parcel in client.v2.parcels.list(order_number="N-2")] == ["N-2"]
    future = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert list(client.v2.parcels.list(updated_after=future)) == []


def test_parcel_fields_are_read(client: SendcloudClient, parcels: list[dict[str, Any]]) -> None:
    (found,) = client.v2.parcels.list(ids=[parcels[0]["id"]])
    assert found.tracking_number == parcels[0]["tracking_number"]
    assert found.shipment_uuid == parcels[0]["shipment_uuid"]
    assert found.status is not None
    assert found.status.id == str(parcels[0]["status"]["id"])
    assert found.raw["name"] not in repr(found)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"ids": []}, "1 to 100"),
        ({"ids": list(range(101))}, "got 101"),
        ({"updated_after": dt.datetime(2026, 1, 1)}, "time zone"),
    ],
)
def test_invalid_parcel_filter_is_never_sent(
    sandbox: Sandbox, client: SendcloudClient, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        list(client.v2.parcels.list(**arguments))
    assert not sandbox.requests


def test_next_as_bare_number_is_a_cursor() -> None:
    from django_sendcloud.api.pages import _query_of_link
    from django_sendcloud.api.requestor import Request

    request = Request(
        operation="list parcels",
        method="GET",
        path="/api/v2/parcels",
        success=[200],
        query=[("ids", "1"), ("cursor", "a")],
    )
    assert _query_of_link(None, request, 17, numbers_are_cursors=True) == [("ids", "1"), ("cursor", "17")]  # type: ignore[arg-type]


def test_parcel_is_cancelled_while_possible(
    sandbox: Sandbox, client: SendcloudClient, parcels: list[dict[str, Any]]
) -> None:
    first, second, third, shipped, old = (parcel["id"] for parcel in parcels)
    assert not client.v2.parcels.cancel(first).queued
    sandbox.advance(second)
    assert client.v2.parcels.cancel(second).queued
    sandbox.set_parcel_status(third, 1002)
    assert not client.v2.parcels.cancel(third).queued, "one whose announcement failed is deleted"
    sandbox.set_parcel_status(shipped, 3)
    for number, said in ((first, "already being cancelled"), (shipped, "Shipped parcels")):
        with pytest.raises(RequestRejected, match=said):
            client.v2.parcels.cancel(number)
    with pytest.raises(NotFound):
        client.v2.parcels.cancel(third)
    now = sandbox.clock
    sandbox.clock = lambda: now() + dt.timedelta(days=43)
    with pytest.raises(RequestRejected, match="older than 42 days"):
        client.v2.parcels.cancel(old)
    with pytest.raises(ValueError, match="parcel_id"):
        client.v2.parcels.cancel(0)
