"""Reading parcels."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from django_sendcloud.api import SendcloudClient
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
    client.shipments(sandbox.integration_id).upsert(payloads)
    return [parcel for n in range(5) for parcel in sandbox.create_label(f"o-{n}")]


def test_all_page_by_page(sandbox: Sandbox, client: SendcloudClient, parcels: list[dict[str, Any]]) -> None:
    sandbox.page_size = 2
    found = client.parcels.list()
    before = sandbox.count("GET", "/parcels")
    assert next(found).id == parcels[0]["id"]
    assert sandbox.count("GET", "/parcels") - before == 1
    assert [parcel.id for parcel in found] == [parcel["id"] for parcel in parcels[1:]]
    assert sandbox.count("GET", "/parcels") - before == 3


def test_filters(client: SendcloudClient, parcels: list[dict[str, Any]]) -> None:
    wanted = [parcels[1]["id"], parcels[3]["id"]]
    assert [parcel.id for parcel in client.parcels.list(ids=wanted)] == wanted
    assert [parcel.order_number for parcel in client.parcels.list(order_number="N-2")] == ["N-2"]
    future = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    assert list(client.parcels.list(updated_after=future)) == []


def test_what_is_told_of_a_parcel(client: SendcloudClient, parcels: list[dict[str, Any]]) -> None:
    (found,) = client.parcels.list(ids=[parcels[0]["id"]])
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
def test_what_makes_no_sense_is_refused_before_it_is_sent(
    sandbox: Sandbox, client: SendcloudClient, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        list(client.parcels.list(**arguments))
    assert not sandbox.requests


def test_a_next_that_is_a_bare_number_is_a_cursor() -> None:
    from django_sendcloud.api.pages import _next_query
    from django_sendcloud.api.requestor import Call

    call = Call(operation="list parcels", method="GET", path="/parcels", query=[("ids", "1"), ("cursor", "a")])
    assert _next_query(None, call, 17, True) == [("ids", "1"), ("cursor", "17")]  # type: ignore[arg-type]
