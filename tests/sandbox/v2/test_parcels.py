"""Parcels and labels in v2."""

from __future__ import annotations

import datetime as dt
import io
from typing import Any

import pytest
from pypdf import PdfReader

from django_sendcloud.parcels import statuses as phases
from django_sendcloud.sandbox import Sandbox
from django_sendcloud.sandbox.parcels import STATUSES

from ..conftest import Shop, order


@pytest.fixture
def parcels(shop: Shop, sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return two parcels of one order and one of another."""
    shop.upsert(order("1", order_number="A"), order("2", order_number="B", house_number="1"))
    return [*sandbox.create_label("1", 2), *sandbox.create_label("2")]


def test_parcel_keeps_shipment_of_label_time(shop: Shop, sandbox: Sandbox) -> None:
    [stored] = shop.upsert(order(weight="1.500", to_service_point=7, customs_shipment_type=2, customs_invoice_nr="I-1"))
    first, second = sandbox.create_label("1042", 2)
    shop.upsert(order(name="Somebody else", updated_at="2027-01-01T00:00:00Z"))
    shown = shop.get(f"/parcels/{first['id']}")["parcel"]
    assert shown == first
    assert shown["name"] == "Ada Example"
    # Street and number were sent in one.
    assert shown["address_divided"] == {"street": "Stationsplein", "house_number": "1"}
    assert shown["country"] == {"iso_2": "NL", "iso_3": "NLD", "name": "Netherlands"}
    assert (shown["weight"], second["weight"]) == ("0.750", "0.750")
    assert shown["to_service_point"] == "7"
    assert shown["customs_information"]["customs_invoice_nr"] == "I-1"
    assert shown["shipment_uuid"] == stored["shipment_uuid"]
    assert shown["colli_uuid"] == second["colli_uuid"]
    assert shown["tracking_number"] in shown["tracking_url"]
    # The label stays when the shipment goes.
    sandbox.delete_shipment(stored["shipment_uuid"])
    assert shop.get(f"/parcels/{first['id']}")["parcel"] == first


def test_parcels_are_listed_and_filtered(shop: Shop, sandbox: Sandbox, parcels: list[dict[str, Any]]) -> None:
    first, second, third = (parcel["id"] for parcel in parcels)
    sandbox.set_parcel_status(second, 11)

    def found(**query: Any) -> list[int]:
        return [parcel["id"] for parcel in shop.get("/parcels", **query)["parcels"]]

    assert found() == [first, second, third]
    assert found(parcel_status=11) == [second]
    assert found(order_number="B") == [third]
    assert found(tracking_number=parcels[0]["tracking_number"]) == [first]
    assert found(ids=f"{first},{third}") == [first, third]
    assert found(ids=f"{first},999") == [first]
    assert found(external_reference="x") == []
    assert found(updated_after="2020-01-01T00:00:00Z") == [first, second, third]
    # An unencoded plus sign arrives as a space.
    assert (
        found(announced_after="2099-01-01T00:00:00+00:00") == found(announced_after="2099-01-01T00:00:00 00:00") == []
    )
    foreign = sandbox.add_integration(account="another")
    answer = shop.ask("GET", "/parcels", auth=(foreign.public_key, foreign.secret_key))
    assert answer.json()["parcels"] == []
    for query in ({"ids": "a"}, {"ids": ",".join("1" * 101)}, {"parcel_status": "x"}, {"updated_after": "today"}):
        shop.error(400, "GET", "/parcels", params=query)
    sandbox.page_size = 2
    page = shop.get("/parcels")
    assert [parcel["id"] for parcel in shop.get(page["next"])["parcels"]] == [third]


def test_poll_finds_changed_parcels(shop: Shop, sandbox: Sandbox, parcels: list[dict[str, Any]]) -> None:
    moment = sandbox.clock()
    sandbox.clock = lambda: moment + dt.timedelta(seconds=1)
    sandbox.advance(parcels[1]["id"])
    changed = shop.get("/parcels", updated_after=moment.isoformat())["parcels"]
    assert [(parcel["id"], parcel["status"]["id"]) for parcel in changed] == [(parcels[1]["id"], 1)]


def test_cancelling_answers_with_outcome(shop: Shop, sandbox: Sandbox, parcels: list[dict[str, Any]]) -> None:
    first, second, third = (parcel["id"] for parcel in parcels)

    def cancel(parcel_id: int) -> tuple[int, str]:
        answer = shop.ask("POST", f"/parcels/{parcel_id}/cancel")
        return answer.status_code, answer.json()["status"]

    assert cancel(first) == (200, "cancelled")
    assert cancel(first) == (400, "failed")
    sandbox.advance(second)
    assert cancel(second) == (202, "queued")
    sandbox.set_parcel_status(third, 1002)
    assert cancel(third) == (410, "deleted")
    assert shop.error(404, "POST", f"/parcels/{third}/cancel") == "No Parcel matches the given query."


def test_labels_of_several_parcels(shop: Shop, parcels: list[dict[str, Any]]) -> None:
    ids = [parcel["id"] for parcel in parcels]
    made = shop.ask("POST", "/labels", {"label": {"parcels": ids}}).json()["label"]

    def pages(address: str) -> list[str]:
        answer = shop.ask("GET", address)
        assert answer.headers["Content-Type"] == "application/pdf"
        return [page.extract_text() for page in PdfReader(io.BytesIO(answer.content), strict=True).pages]

    # One to a sheet of the label printer, four to one of the other, beginning at the place that is free.
    assert [
        parcel["tracking_number"] in page for parcel, page in zip(parcels, pages(made["label_printer"]), strict=True)
    ]
    assert [len(pages(address)) for address in made["normal_printer"]] == [1, 1, 2, 2]
    for body in ({}, {"label": {"parcels": []}}, {"label": {"parcels": ["1"]}}, {"label": []}):
        shop.error(400, "POST", "/labels", body)
    shop.error(404, "POST", "/labels", {"label": {"parcels": [*ids, 1]}})
    shop.error(400, "GET", f"/labels/normal_printer/{ids[0]}", params={"start_from": 4})
    shop.error(400, "GET", "/labels/label_printer")
    shop.error(404, "GET", "/labels/1")
    assert shop.get(f"/labels/{ids[0]}")["label"] == parcels[0]["label"]


def test_foreign_parcels_are_not_found(shop: Shop, sandbox: Sandbox, parcels: list[dict[str, Any]]) -> None:
    foreign = sandbox.add_integration(account="another")
    for path in ("/parcels/{}", "/labels/{}", "/labels/label_printer/{}", "/parcels/{}/return_portal_url"):
        assert shop.ask("GET", path.format(parcels[0]["id"])).status_code == 200
        keys = (foreign.public_key, foreign.secret_key)
        assert shop.ask("GET", path.format(parcels[0]["id"]), auth=keys).status_code == 404


def test_customs_declaration_lists_contents(shop: Shop, sandbox: Sandbox) -> None:
    item = {"description": "Mug", "quantity": 2, "value": "12.99", "hs_code": "691200", "origin_country": "PT"}
    shop.upsert(order(country="CH", customs_shipment_type=2, customs_invoice_nr="INV-9", parcel_items=[item]))
    [parcel] = sandbox.create_label("1042")
    answer = shop.ask("GET", f"/customs_declaration/normal_printer/{parcel['id']}")
    [page] = PdfReader(io.BytesIO(answer.content), strict=True).pages
    assert all(word in page.extract_text() for word in ("INV-9", "Mug", "691200"))
    # Across a border the journey leads through customs.
    passed = [sandbox.advance(parcel["id"])["status"]["id"] for _ in range(8)]
    assert 62989 in passed
    assert passed[-1] == 11


def test_statuses_are_known_to_app(shop: Shop) -> None:
    assert {status["id"]: status["message"] for status in shop.get("/parcels/statuses")} == STATUSES
    assert set(STATUSES) == set(phases.STATUSES)


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_statuses_all_lead_to_end(shop: Shop, sandbox: Sandbox, status: int) -> None:
    shop.upsert(order())
    [parcel] = sandbox.create_label("1042")
    sandbox.set_parcel_status(parcel["id"], status)
    passed = []
    while len(passed) < 15:
        after = sandbox.advance(parcel["id"])["status"]["id"]
        if passed and passed[-1] == after:
            break
        passed.append(after)
    # Delivered, collected, cancelled, returned, or an end that needs a person.
    assert passed[-1] in {11, 93, 2000, 62992, 94, 1002}
