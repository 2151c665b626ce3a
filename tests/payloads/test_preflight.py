"""Preflight: rejections, losses and advice on an order, before it is sent."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sendcloud.enums import ApiGeneration
from django_sendcloud.payloads import (
    COUNTRIES,
    Note,
    NoteLevel,
    OtherCurrency,
    ShipmentPayload,
    Status,
    advise,
    examine,
    preflight,
    v3,
)
from django_sendcloud.payloads.territories import EU, customs_area, territory_of

from .builders import item, shipment
from .test_contract import shipments

ADDRESSES = {
    "NL": ("1012 AB", None),
    "US": ("94105", "CA"),
    "CA": ("K1A 0B1", "ON"),
    "AU": ("2000", "NSW"),
    "IT": ("00184", "RM"),
    "CH": ("8001", None),
    "NO": ("0150", None),
    "GB": ("SW1A 1AA", None),
}


def good(country: str = "NL", **changes: Any) -> ShipmentPayload:
    """Return an order to a country that calls for no advice."""
    postal_code, state = ADDRESSES[country]
    line = item(hs_code="6912002310", origin_country="PT", weight=1, description="Clay mug")
    values = {
        "country": country,
        "postal_code": postal_code,
        "to_state": state,
        "telephone": "+1 (555) 010-0199",
        "email": "ada@shop.example",
        "currency": "EUR",
        "parcel_items": [line],
        "customs_shipment_type": 2,
        "customs_invoice_nr": "INV-1",
        "order_status": Status(id="open", message="Open"),
        "payment_status": Status(id="paid", message="Paid"),
    }
    return shipment(**(values | changes))


def with_line(country: str, **changes: Any) -> ShipmentPayload:
    payload = good(country)
    return dataclasses.replace(payload, parcel_items=[dataclasses.replace(payload.parcel_items[0], **changes)])


def advice(payload: ShipmentPayload, ships_from: str = "") -> dict[str, str]:
    notes = advise(payload, ships_from=ships_from)
    assert {note.level for note in notes} <= {NoteLevel.ADVICE}
    return {note.path: note.code for note in notes}


@pytest.mark.parametrize("country", ADDRESSES)
def test_complete_order_gets_no_advice(country: str) -> None:
    assert advice(good(country)) == {}
    assert preflight(good(country)) == []


@pytest.mark.parametrize("country", ["US", "CA", "IT", "AU"])
def test_state_is_advised_where_labels_need_it(country: str) -> None:
    assert advice(good(country, to_state=None)) == {"to_state": "state_missing"}
    assert advice(good(country, to_state="Somewhere")) == {"to_state": "state_unknown"}
    state = ADDRESSES[country][1]
    assert advice(good(country, to_state=f"{country}-{state}")) == {}
    assert advice(good(country, to_state=(state or "").lower())) == {}


def test_state_is_not_advised_elsewhere() -> None:
    assert advice(good("NL", to_state=None)) == {}
    assert advice(good("CH", to_state="ZH")) == {}


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"hs_code": None}, "hs_code", "hs_code_missing"),
        ({"hs_code": "6912"}, "hs_code", "hs_code_unusual"),
        ({"hs_code": "ABCDEF"}, "hs_code", "hs_code_unusual"),
        ({"origin_country": None}, "origin_country", "origin_missing"),
        ({"description": "Gift"}, "description", "description_vague"),
        ({"description": " x "}, "description", "description_vague"),
        ({"value": 0}, "value", "line_value_zero"),
    ],
)
def test_customs_advice_outside_the_union(changes: dict[str, Any], path: str, code: str) -> None:
    assert advice(with_line("CH", **changes)) == {f"parcel_items[0].{path}": code}
    assert advice(with_line("NL", **changes)) == {}


def test_line_without_weight_is_advised_twice_abroad() -> None:
    assert advice(with_line("NL", weight=None)) == {"weight": "weight_missing"}
    assert advice(with_line("NL", weight=0)) == {"weight": "weight_missing"}
    abroad = {"weight": "weight_missing", "parcel_items[0].weight": "line_weight_missing"}
    assert advice(with_line("CH", weight=None)) == abroad
    assert advice(good("NL", parcel_items=[item()], weight=1)) == {}
    assert advice(good("NL", parcel_items=[])) == {"weight": "weight_missing"}


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"parcel_items": [], "weight": 1}, "parcel_items", "customs_lines_missing"),
        ({"currency": None}, "currency", "customs_currency_missing"),
        ({"customs_shipment_type": None}, "customs_shipment_type", "customs_type_missing"),
        ({"customs_invoice_nr": ""}, "customs_invoice_nr", "customs_invoice_missing"),
        ({"telephone": ""}, "telephone", "customs_telephone_missing"),
    ],
)
def test_customs_advice_on_the_order(changes: dict[str, Any], path: str, code: str) -> None:
    assert advice(good("CH", **changes)) == {path: code}
    assert advice(good("NL", **changes)) == {}


def test_invoice_is_advised_for_commercial_goods_only() -> None:
    assert advice(good("CH", customs_shipment_type=0, customs_invoice_nr="")) == {}


def test_united_states_need_ten_digits() -> None:
    assert advice(with_line("US", hs_code="691200")) == {"parcel_items[0].hs_code": "hs_code_us"}
    assert advice(with_line("CH", hs_code="691200")) == {}
    for telephone in ("555 010 0199", "15550100199", "001 555 010 0199"):
        assert advice(good("US", telephone=telephone)) == {}
    for telephone in ("555 010", "+31 6 12345678", "+1 555 010 01990"):
        assert advice(good("US", telephone=telephone)) == {"telephone": "telephone_us"}
    assert advice(with_line("US", hs_code="691200"), ships_from="US") == {}


@pytest.mark.parametrize(
    ("country", "postal_code", "code", "path"),
    [
        ("ES", "35001", "territory_has_code", "country"),
        ("ES", "38001", "territory_has_code", "country"),
        ("ES", "51001", "territory_outside", "postal_code"),
        ("ES", "52001", "territory_outside", "postal_code"),
        ("GB", "BT1 5GS", "northern_ireland", "postal_code"),
        ("GB", "bt15gs", "northern_ireland", "postal_code"),
        ("GB", "JE2 3AB", "territory_has_code", "country"),
        ("FR", "97400", "territory_has_code", "country"),
        ("DE", "27498", "territory_outside", "postal_code"),
        ("DE", "D-78266", None, ""),
        ("DE", "DE-78266", "territory_outside", "postal_code"),
        ("IT", "23041", "territory_outside", "postal_code"),
        ("FI", "22100", "territory_has_code", "country"),
        ("DK", "3900", "territory_has_code", "country"),
        ("US", "00901", "territory_has_code", "country"),
        ("US", "00901-1234", "territory_has_code", "country"),
        ("NO", "9170", "territory_has_code", "country"),
        ("ES", "28001", None, ""),
        ("ES", "03801", None, ""),
        ("GB", "B1 1BT", None, ""),
        ("FR", "75001", None, ""),
        ("NL", "3500 AB", None, ""),
        ("US", "10001", None, ""),
    ],
)
def test_postal_code_means_another_territory(country: str, postal_code: str, code: str | None, path: str) -> None:
    found = advice(shipment(country=country, postal_code=postal_code))
    assert [found.get(path)] == [code]
    assert bool({"territory_has_code", "territory_outside", "northern_ireland"} & {*found.values()}) is bool(code)


def test_canary_islands_need_customs_papers() -> None:
    """The country is Spain, and the parcel leaves the VAT area all the same."""
    lacking = dataclasses.replace(good(), country="ES", postal_code="35001", parcel_items=[item(weight=1)])
    assert "hs_code_missing" in advice(lacking).values()
    assert "hs_code_missing" not in advice(dataclasses.replace(lacking, postal_code="28001")).values()
    assert "hs_code_missing" in advice(dataclasses.replace(lacking, country="IC")).values()


@pytest.mark.parametrize(
    ("ships_from", "country", "postal_code", "needed"),
    [
        ("", "DE", "10115", False),
        ("", "MC", "98000", False),
        ("", "GB", "SW1A 1AA", True),
        ("", "GB", "BT1 5GS", False),
        ("", "CH", "8001", True),
        ("CH", "LI", "9490", False),
        ("GB", "GB", "SW1A 1AA", False),
        ("GB", "JE", "JE2 3AB", False),
        ("GB", "IM", "IM1 1AA", False),
        ("GB", "DE", "10115", True),
        ("US", "US", "00901", False),
        ("US", "US", "00801", True),
        ("", "FR", "98000", False),
        ("", "FR", "97400", True),
        ("", "XK", "10000", True),
    ],
)
def test_customs_follow_area_of_both_ends(ships_from: str, country: str, postal_code: str, needed: bool) -> None:
    codes = advice(shipment(country=country, postal_code=postal_code, parcel_items=[item()]), ships_from).values()
    assert ("hs_code_missing" in codes) is needed


def test_union_has_27_members_and_monaco() -> None:
    assert len(EU) == 28
    assert EU < COUNTRIES
    assert "GB" not in EU


def test_house_number_is_advised_where_none_stands() -> None:
    assert advice(good(address="Stationsplein")) == {"house_number": "house_number_missing"}
    assert advice(good(address="Stationsplein", house_number="1")) == {}
    assert advice(good(address="Stationsplein", address_2="Unit 4")) == {}


def test_service_point_needs_a_contact() -> None:
    assert advice(good(to_service_point=5, email="", telephone="")) == {"email": "contact_missing"}
    assert advice(good(carrier_service_point_id="5", email="", telephone="")) == {"email": "contact_missing"}
    assert advice(good(to_service_point=5, email="")) == {}


def test_advice_names_the_line() -> None:
    payload = dataclasses.replace(good("CH"), parcel_items=[item(sku="A", weight=1), item(sku="B", weight=1)])
    lines = {(note.path, note.violation.line) for note in advise(payload) if note.code == "hs_code_missing"}
    assert lines == {("parcel_items[0].hs_code", "SKU A"), ("parcel_items[1].hs_code", "SKU B")}


# -- everything together ---------------------------------------------------------------------------------------------


def test_preflight_follows_the_api_generation() -> None:
    payload = good(currency=None, notes="Ring", width=3)
    by_v3 = {(note.level.value, note.path) for note in preflight(payload)}
    assert by_v3 == {("rejected", "currency"), ("not_sent", "width")}
    assert [(note.level.value, note.path) for note in preflight(payload, api=ApiGeneration.V2)] == [
        ("not_sent", "notes")
    ]


def test_preflight_obeys_the_options() -> None:
    payload = good(currency=OtherCurrency("SEK"))
    assert [note.code for note in preflight(payload)] == ["currency_not_carried"]
    assert preflight(payload, options=v3.Options(any_currency=True)) == []
    assert [note.code for note in preflight(payload, api=ApiGeneration.V2)] == ["currency_not_carried"]


def test_preflight_sorts_by_weight() -> None:
    levels = [note.level for note in preflight(good("US", to_state=None, currency=None, width=3, order_status=None))]
    assert levels == [NoteLevel.REJECTED, NoteLevel.NOT_SENT, NoteLevel.CHANGED, *[NoteLevel.ADVICE] * 2]


def test_invalid_order_is_examined_without_an_error() -> None:
    def build() -> Iterator[ShipmentPayload]:
        yield good()
        yield shipment(city="", parcel_items=[item(), item(sku="RED", quantity=0)])

    notes = examine(build)
    assert {(note.path, note.code, note.level) for note in notes} == {
        ("city", "required", NoteLevel.REJECTED),
        ("parcel_items[1].quantity", "quantity_too_small", NoteLevel.REJECTED),
    }
    assert str(notes[1]).startswith("parcel_items[1].quantity (SKU RED): ")


def test_examine_notes_every_shipment() -> None:
    notes = examine(lambda: [good(), good("US", to_state=None)], ships_from="NL")
    assert [note.code for note in notes] == ["state_missing"]


@pytest.mark.long
@given(shipments, st.sampled_from(["", "NL", "GB", "US", "CH"]), st.sampled_from([*ApiGeneration]))
def test_preflight_takes_every_payload(payload: ShipmentPayload, ships_from: str, api: ApiGeneration) -> None:
    notes: list[Note] = preflight(payload, api=api, ships_from=ships_from)
    personal = [payload.name, payload.address, payload.city]
    for note in notes:
        assert str(note)
        assert not [value for value in personal if value in note.violation.params.values() and len(value) > 3]


@given(st.sampled_from(sorted(COUNTRIES)), st.text(max_size=12))
def test_area_of_any_address_is_known(country: str, postal_code: str) -> None:
    assert customs_area(country, postal_code)
    territory = territory_of(country, postal_code)
    assert territory is None or territory.code in {"", *COUNTRIES}


def test_preflight_needs_no_django() -> None:
    code = (
        "import sys; from django_sendcloud.payloads import preflight; "
        "print([m for m in ('django', 'celery', 'rest_framework', 'requests') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
