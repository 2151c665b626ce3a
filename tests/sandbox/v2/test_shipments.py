"""Shipments in v2: upserts, lists and deletions."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest
import requests

from django_sendcloud.sandbox import Sandbox
from tests.payloads.builders import full_shipment

from ..conftest import Shop, order

LATER = "2026-03-02T10:00:01Z"


def numbers(page: dict[str, Any]) -> list[str]:
    return [shipment["order_number"] for shipment in page["results"]]


def test_upsert_applies_if_stamp_differs(shop: Shop, sandbox: Sandbox) -> None:
    [created] = shop.upsert(order(city="Delft", updated_at="2026-03-02T10:00:00Z"))
    assert created["status"] == "created"
    # The same stamp, also where it is written in another way: nothing happens, and nothing says so.
    for stamp in ("2026-03-02T10:00:00Z", "2026-03-02T10:00:00.000000Z", "2026-03-02T12:00:00+02:00"):
        [same] = shop.upsert(order(city="Gouda", updated_at=stamp))
        assert same == {**created, "status": "updated"}
        assert sandbox.shipment("1042")["city"] == "Delft"
        assert sandbox.requests[-1].items[0].outcome == "unchanged"
    [updated] = shop.upsert(order(city="Gouda", updated_at=LATER))
    assert updated == {**created, "status": "updated"}
    assert sandbox.shipment("1042")["city"] == "Gouda"
    # "Differs", not "grows": an older state is taken as readily.
    shop.upsert(order(city="Utrecht", updated_at="2020-01-01T00:00:00Z"))
    assert sandbox.shipment("1042")["city"] == "Utrecht"
    assert len(sandbox.shipments()) == 1


def test_update_clears_omitted_fields(shop: Shop, sandbox: Sandbox) -> None:
    shop.upsert(order(weight="1.5"))
    shop.upsert(order(updated_at=LATER))
    assert sandbox.shipment("1042")["weight"] is None


def test_repeated_shipment_in_batch_is_one(shop: Shop, sandbox: Sandbox) -> None:
    first, second, third = shop.upsert(order(city="A"), order(city="B"), order(city="C", updated_at=LATER))
    assert [first["status"], second["status"], third["status"]] == ["created", "updated", "updated"]
    assert first["shipment_uuid"] == second["shipment_uuid"] == third["shipment_uuid"]
    assert [item.outcome for item in sandbox.requests[-1].items] == ["created", "unchanged", "updated"]
    assert [shipment["city"] for shipment in sandbox.shipments()] == ["C"]


def test_shipment_may_lack_its_id(shop: Shop, sandbox: Sandbox) -> None:
    without, named = shop.upsert(order("1", None), order("1", "S1"))
    # Null comes back as "".
    assert (without["external_shipment_id"], named["external_shipment_id"]) == ("", "S1")
    assert without["shipment_uuid"] != named["shipment_uuid"]
    [again] = shop.upsert(order("1", None, updated_at=LATER))
    assert again["shipment_uuid"] == without["shipment_uuid"]
    assert sandbox.shipment("1", None)["external_shipment_id"] is None

    # "" is no id, and what is not sent at all is missing.
    absent = order("1")
    del absent["external_shipment_id"]
    empty, missing = shop.upsert(order("1", ""), absent)
    assert empty == {
        "error": {"external_shipment_id": ["This field may not be blank."]},
        "external_order_id": "1",
        "external_shipment_id": "",
        "status": "error",
    }
    assert missing["error"] == {"external_shipment_id": ["This field is required."]}
    assert len(sandbox.shipments()) == 2

    sandbox.external_ids_null = True
    assert shop.upsert(order("1", None, updated_at=LATER))[0]["external_shipment_id"] is None


def test_batch_has_hundred_shipments_at_most(shop: Shop, sandbox: Sandbox) -> None:
    orders = [order(str(number)) for number in range(101)]
    assert "100" in shop.error(400, "POST", "shipments", orders)
    assert sandbox.shipments() == []
    assert len(shop.upsert(*orders[:100])) == 100
    assert len(sandbox.shipments()) == 100


def test_integrations_do_not_share_shipments(shop: Shop, sandbox: Sandbox) -> None:
    other = sandbox.add_integration()
    [mine] = shop.upsert(order())
    [theirs] = shop.ask("POST", f"/integrations/{other.id}/shipments", [order()]).json()
    assert (theirs["status"], theirs["shipment_uuid"] != mine["shipment_uuid"]) == ("created", True)
    by_uuid = {"shipment_uuid": theirs["shipment_uuid"]}
    assert shop.ask("POST", "shipments/delete", by_uuid).status_code == 404
    assert len(sandbox.shipments(other.id)) == 1


@pytest.mark.parametrize(
    ("changes", "errors"),
    [
        ({"country": "XX"}, {"country": ['"XX" is not a valid choice.']}),
        ({"weight": "-1"}, {"weight": ["Ensure this value is greater than or equal to 0.001."]}),
        ({"weight": 1.5}, {"weight": ["Not a valid string."]}),
        ({"name": ""}, {"name": ["This field may not be blank."]}),
        ({"weight": f"0.{'1' * 35}"}, {"weight": ["Ensure this field has no more than 10 characters."]}),
        (
            {"shipping_method_checkout_name": "x" * 101},
            {"shipping_method_checkout_name": ["Ensure this field has no more than 100 characters."]},
        ),
        ({"email": "nobody"}, {"email": ["Enter a valid email address."]}),
        ({"currency": "CHF"}, {"currency": ['"CHF" is not a valid choice.']}),
        (
            {"parcel_items": [{"description": "Mug", "quantity": 1, "value": "1"}, {"hs_code": "1" * 13}]},
            # An entry for each of the items, an empty one where nothing is wrong.
            {
                "parcel_items": [
                    {},
                    {
                        "description": ["This field is required."],
                        "hs_code": ["Ensure this field has no more than 12 characters."],
                        "quantity": ["This field is required."],
                        "value": ["This field is required."],
                    },
                ]
            },
        ),
        (
            {"name": "", "city": None},
            {"name": ["This field may not be blank."], "city": ["This field may not be null."]},
        ),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else None,
)
def test_bad_shipment_is_rejected_by_field(
    shop: Shop, sandbox: Sandbox, changes: dict[str, Any], errors: dict[str, Any]
) -> None:
    good, bad, other = shop.upsert(order("1"), order("2", **changes), order("3"))
    assert bad == {"error": errors, "external_order_id": "2", "external_shipment_id": "S1", "status": "error"}
    assert (good["status"], other["status"]) == ("created", "created")
    assert [shipment["external_order_id"] for shipment in sandbox.shipments()] == ["1", "3"]


def test_pages_lead_forth_and_back(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.page_size = 2
    shop.upsert(*(order(str(number), order_number=str(number)) for number in range(5)))
    address, forth = "shipments", []
    while address:
        page = shop.get(address)
        forth.append(numbers(page))
        last, address = address, page["next"]
    assert forth == [["0", "1"], ["2", "3"], ["4"]]
    address, back = last, []
    while address:
        page = shop.get(address)
        back.append(numbers(page))
        address = page["previous"]
    assert back == [["4"], ["2", "3"], ["0", "1"]]
    # A cursor is what Sendcloud's are: a query in base64.
    cursor = requests.utils.unquote(shop.get("shipments")["next"].partition("cursor=")[2])
    assert base64.b64decode(cursor) == b"p=2"


def test_page_keeps_its_place(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.page_size = 2
    created = shop.upsert(*(order(str(number), order_number=str(number)) for number in range(4)))
    first = shop.get("shipments")
    for result in created[:2]:
        sandbox.delete_shipment(result["shipment_uuid"])
    shop.upsert(order("4", order_number="4"))
    second = shop.get(first["next"])
    assert numbers(second) == ["2", "3"]
    assert numbers(shop.get(second["next"])) == ["4"]


def test_links_keep_filters(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.page_size = 1
    shop.upsert(*(order(str(number), order_number=str(number)) for number in range(4)))
    page = shop.get("shipments", external_order_ids=["1", "3"])
    assert (numbers(page), numbers(shop.get(page["next"]))) == (["1"], ["3"])
    assert shop.get(page["next"])["next"] is None


def test_empty_links_can_be_omitted(shop: Shop, sandbox: Sandbox) -> None:
    assert shop.get("shipments") == {"next": None, "previous": None, "results": []}
    sandbox.omit_empty_links = True
    assert shop.get("shipments") == {"results": []}


@pytest.mark.parametrize("cursor", ["", "!", "cD0x.", "eA==", "cD14", "cj0yJnA9MQ==", "cD0tMQ=="])
def test_unknown_cursor_is_not_found(shop: Shop, cursor: str) -> None:
    for path in ("shipments", "logs", "/integrations/logs", "/parcels"):
        assert shop.error(404, "GET", path, params={"cursor": cursor}) == "Invalid cursor"


def test_shipments_are_filtered(shop: Shop, sandbox: Sandbox) -> None:
    checkout = full_shipment().to_json()["checkout_payload"]
    shop.upsert(
        order("1", "S1", order_number="A"),
        order("1", "S2", order_number="B"),
        order("2", "S1", order_number="C", checkout_payload={**checkout, "sender_address_id": 77}),
        order("3", None, order_number="D"),
    )
    for query, found in [
        ({}, "ABCD"),
        ({"external_order_ids": "1"}, "AB"),
        ({"external_order_ids": ["1", "3"]}, "ABD"),
        ({"external_order_ids": "1,3"}, ""),
        ({"external_shipment_ids": "S1"}, "AC"),
        ({"external_order_ids": "1", "external_shipment_ids": ["S1", "S9"]}, "A"),
        ({"order_number": "C"}, "C"),
        ({"order_number": "c"}, ""),
        ({"sender_address": 77}, "C"),
        ({"shipping_rules": "true"}, "ABCD"),
        ({"colour": "red"}, "ABCD"),
    ]:
        assert "".join(numbers(shop.get("shipments", **query))) == found, query


def test_list_goes_back_a_year(shop: Shop, sandbox: Sandbox) -> None:
    # The moment of arrival counts, not the shop's own time.
    for day in (dt.date(2025, 3, 1), dt.date(2025, 3, 2), dt.date(2026, 3, 1)):
        now = dt.datetime.combine(day, dt.time(12), dt.UTC)
        sandbox.clock = lambda now=now: now
        shop.upsert(order(str(day), order_number=str(day), created_at="2001-01-01T00:00:00Z"))
    sandbox.clock = lambda: dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
    assert numbers(shop.get("shipments")) == ["2025-03-02", "2026-03-01"]
    assert numbers(shop.get("shipments", start_date="2025-03-01")) == ["2025-03-01", "2025-03-02", "2026-03-01"]
    assert numbers(shop.get("shipments", start_date="2025-03-02", end_date="2025-03-02")) == ["2025-03-02"]
    assert numbers(shop.get("shipments", end_date="2025-03-01")) == []


def test_shipment_is_deleted_by_uuid_or_ids(shop: Shop, sandbox: Sandbox) -> None:
    first, _, _ = shop.upsert(order("1", "S1"), order("2", "S1"), order("3", None))
    by_uuid = {"shipment_uuid": first["shipment_uuid"].upper()}
    assert shop.ask("POST", "shipments/delete", by_uuid).status_code == 204
    by_ids = {"external_order_id": "2", "external_shipment_id": "S1"}
    assert shop.ask("POST", "shipments/delete", by_ids).status_code == 204
    assert [shipment["external_order_id"] for shipment in sandbox.shipments()] == ["3"]
    for gone in (by_uuid, by_ids):
        assert shop.error(404, "POST", "shipments/delete", gone) == "No ShipmentBlob matches the given query."
    assert [item.outcome for request in sandbox.requests[1:] for item in request.items] == [
        *("deleted", "deleted", "not found", "not found")
    ]


def test_deletion_without_ids_needs_uuid(shop: Shop, sandbox: Sandbox) -> None:
    [created] = shop.upsert(order("1", None))
    missing = "Missing shipment_uuid or the pair external_order_id and external_shipment_id"
    no_uuid = "Must be a valid UUID."
    ids = {"external_order_id": "1", "external_shipment_id": "S1"}
    for body, message in [
        ({"external_order_id": "1"}, missing),
        ({"external_order_id": "1", "external_shipment_id": None}, missing),
        ({"external_order_id": 1, "external_shipment_id": "S1"}, missing),
        ({}, missing),
        ([], missing),
        ("text", missing),
        # The contract has "oneOf", so both are one too many.
        ({"shipment_uuid": created["shipment_uuid"], **ids}, missing),
        ({"shipment_uuid": None}, no_uuid),
        ({"shipment_uuid": 5}, no_uuid),
        ({"shipment_uuid": "1042"}, no_uuid),
        ({"shipment_uuid": created["shipment_uuid"].replace("-", "")}, no_uuid),
        ({"shipment_uuid": f"{{{created['shipment_uuid']}}}"}, no_uuid),
    ]:
        assert shop.error(400, "POST", "shipments/delete", body) == message, body
    # "" is not the same as none.
    shop.error(404, "POST", "shipments/delete", {"external_order_id": "1", "external_shipment_id": ""})
    assert len(sandbox.shipments()) == 1
    assert shop.ask("POST", "shipments/delete", {"shipment_uuid": created["shipment_uuid"]}).status_code == 204
    # An id that is no UUID does no harm where the pair is complete.
    shop.upsert(order("1", "S1"))
    assert shop.ask("POST", "shipments/delete", {"shipment_uuid": None, **ids}).status_code == 204


def test_deleted_shipment_comes_back_as_another(shop: Shop) -> None:
    [first] = shop.upsert(order())
    shop.ask("POST", "shipments/delete", {"shipment_uuid": first["shipment_uuid"]})
    # Also with the updated_at it had.
    [second] = shop.upsert(order())
    assert second["status"] == "created"
    assert second["shipment_uuid"] != first["shipment_uuid"]
