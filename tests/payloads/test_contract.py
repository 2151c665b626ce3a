"""Payloads against the contract's own schemas, by a validator that was not written here."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sendcloud.enums import Currency, CustomsShipmentType
from django_sendcloud.exceptions import PayloadError
from django_sendcloud.payloads import (
    COUNTRIES,
    CheckoutPayload,
    CustomsDetails,
    DeliveryMethodData,
    Money,
    ParcelItem,
    ShipmentPayload,
    Status,
    TaxNumber,
    TaxNumbers,
)
from django_sendcloud.payloads.base import schema_of

from .builders import full_shipment, item, shipment
from .contract import document, problems, schema

PAYLOADS = {
    "ShipmentBlobOrderCreate": ShipmentPayload,
    "ParcelItems": ParcelItem,
    "ShipmentBlobStatus": Status,
    "CheckoutPayload": CheckoutPayload,
    "CustomsInformation": CustomsDetails,
    "CostsObject": Money,
    "TaxNumber": TaxNumber,
}


def fields(payload: type) -> set[str]:
    return {field.name for field in dataclasses.fields(payload)} - {"extra", *schema_of(payload).only_v3}


# Completeness


@pytest.mark.parametrize(("name", "payload"), PAYLOADS.items(), ids=PAYLOADS)
def test_payload_has_the_fields_of_v2(name: str, payload: type) -> None:
    assert fields(payload) == set(schema(name)["properties"])


def test_nested_objects_have_the_fields_of_v2() -> None:
    assert fields(TaxNumbers) == set(schema("CustomsInformation")["properties"]["tax_numbers"]["properties"])
    method = schema("CheckoutPayload")["properties"]["delivery_method_data"]
    assert fields(DeliveryMethodData) == set(method["properties"]) == set(method["required"])


def test_enums_have_the_values_of_v2() -> None:
    properties = schema("ShipmentBlobOrderCreate")["properties"]
    assert {member.value for member in Currency} == set(properties["currency"]["enum"])
    assert {member.value for member in CustomsShipmentType} == set(properties["customs_shipment_type"]["enum"])


def test_countries_are_those_of_the_contract() -> None:
    assert set(schema("country-codes")["enum"]) == COUNTRIES
    assert set(schema("ParcelItems")["properties"]["origin_country"]["enum"]) == COUNTRIES
    assert len(COUNTRIES) == 251
    assert {"IC", "XK", "NO"} <= COUNTRIES


def test_schemas_of_v2_have_a_counterpart() -> None:
    answers = {"Integration", "IntegrationLog", "IntegrationUpdate", "ShipmentBlobOrder"}
    upsert_answers = {"ShipmentCreateUpdateLog", "ShipmentErrorLog"}
    assert set(document()["components"]["schemas"]) == {*PAYLOADS, *answers, *upsert_answers, "country-codes"}


# Valid JSON


def test_smallest_shipment_is_valid_but_three_contradictions() -> None:
    body = shipment().to_json()
    assert problems("ShipmentBlobOrderCreate", body, literal=True) == [
        "$.currency: None is not one of ['EUR', 'USD', 'GBP']",  # its type allows null
        "$.customs_shipment_type: None is not one of [0, 1, 2, 3, 4]",  # its type allows null
        "$.email: '' is not a 'email'",  # its minLength is 0
    ]


def test_full_shipment_is_valid_and_complete() -> None:
    body = full_shipment().to_json()
    assert problems("ShipmentBlobOrderCreate", body, literal=True) == []
    assert set(body) == set(schema("ShipmentBlobOrderCreate")["properties"])
    assert set(body["parcel_items"][0]) == set(schema("ParcelItems")["properties"])


def test_countries_are_valid_destinations_and_origins() -> None:
    for code in COUNTRIES:
        assert problems("country-codes", shipment(country=code).to_json()["country"]) == []
        assert problems("ParcelItems", item(origin_country=code).to_json()) == []


def test_costs_are_written_as_objects() -> None:
    body = full_shipment().to_json()["customs_details"]
    assert body["freight_costs"] == {"value": "5.99", "currency": "EUR"}
    example = document()["paths"]["/integrations/{id}/shipments"]["post"]["requestBody"]["content"]["application/json"][
        "examples"
    ]["CreateUpdateShipments"]["value"][0]["customs_details"]
    assert example["freight_costs"] == "5.99"
    assert problems("CustomsInformation", example) != []


def test_tax_numbers_are_written_flat() -> None:
    body = full_shipment().to_json()["customs_details"]["tax_numbers"]
    assert body["sender"] == [{"name": "VAT", "country_code": "NL", "value": "NL987654321B02"}]


def test_absent_checkout_payload_is_left_out() -> None:
    assert "checkout_payload" not in shipment().to_json()
    assert problems("ShipmentBlobOrderCreate", shipment().to_json() | {"checkout_payload": None}) != []


def test_unknown_origin_is_left_out() -> None:
    assert "origin_country" not in item().to_json()
    assert problems("ParcelItems", item().to_json() | {"origin_country": None}, literal=True) != []


# Any payload

characters = st.characters(codec="utf-8", exclude_characters="\0")
text = st.text(characters, max_size=40)
some_text = text.filter(lambda value: value.strip() != "")
amounts = st.decimals(min_value=0, max_value=10**12, allow_nan=False, allow_infinity=False)
money = st.decimals(min_value=0, max_value=10**9, places=2) | st.integers(0, 10**6)
moments = st.datetimes(min_value=dt.datetime(1970, 1, 2), max_value=dt.datetime(9998, 12, 30), timezones=st.timezones())
anything = (
    st.text()
    | st.none()
    | st.integers()
    | st.floats()
    | st.booleans()
    | amounts
    | moments
    | st.dictionaries(text, text)
    | st.lists(text)
)
items = st.builds(
    ParcelItem,
    description=some_text,
    quantity=st.integers(1, 10**6),
    value=money,
    weight=st.none() | st.decimals(min_value=0, max_value=10**5, places=3),
    hs_code=st.none() | st.text("0123456789.", max_size=12),
    origin_country=st.none() | st.sampled_from(sorted(COUNTRIES)),
    sku=st.none() | text,
    properties=st.none() | st.dictionaries(text, text | st.none(), max_size=3),
)
taxes = st.lists(
    st.builds(TaxNumber, name=text | st.none(), country_code=text | st.none(), value=text | st.none()), max_size=2
)
costs = st.none() | st.builds(Money, value=st.none() | money, currency=st.none() | text)
customs = st.builds(
    CustomsDetails,
    discount_granted=costs,
    insurance_costs=costs,
    freight_costs=costs,
    other_costs=costs,
    tax_numbers=st.none() | st.builds(TaxNumbers, sender=taxes, receiver=taxes, importer_of_records=taxes),
)
statuses = st.none() | st.builds(Status, id=some_text, message=some_text)
shipments = st.builds(
    shipment,
    external_order_id=some_text,
    external_shipment_id=st.none() | some_text,
    order_number=some_text,
    name=some_text,
    address=some_text,
    city=some_text,
    postal_code=some_text,
    country=st.sampled_from(sorted(COUNTRIES)),
    telephone=text,
    to_state=st.none() | some_text,
    email=st.sampled_from(["", "ada@shop.example", "ä+b@exämple.nl"]),
    currency=st.none() | st.sampled_from(["EUR", "GBP", "USD"]),
    customs_shipment_type=st.none() | st.integers(0, 4),
    parcel_items=st.none() | st.lists(items, max_size=3),
    order_status=statuses,
    payment_status=statuses,
    total_order_value=st.none() | money,
    weight=st.none() | st.decimals(min_value="0.001", max_value="99999", places=3),
    width=st.none() | st.decimals(min_value=0, max_value=9999, places=2),
    shipping_method_checkout_name=st.text(characters, max_size=100),
    customs_details=st.none() | customs,
    created_at=moments,
    updated_at=moments,
)


@pytest.mark.long
@given(shipments)
def test_built_shipment_is_valid(payload: ShipmentPayload) -> None:
    body = json.loads(json.dumps(payload.to_json()))
    assert problems("ShipmentBlobOrderCreate", body | {"email": body["email"] or "nobody@shop.example"}) == []
    json.dumps(body, ensure_ascii=False).encode()


@given(st.sampled_from(sorted(fields(ShipmentPayload))), anything)
@pytest.mark.long
def test_shipment_field_is_refused_or_valid(name: str, value: object) -> None:
    try:
        payload = shipment(**{name: value})
    except PayloadError as error:
        refused = {path.split("[")[0].split(".")[0] for path in error.errors}
    else:
        refused = set()
    if refused:
        assert refused == {name}
        return
    body = (payload if payload.updated_at else payload.stamped(dt.datetime.now(dt.UTC))).to_json()
    assert problems("ShipmentBlobOrderCreate", body | {"email": body["email"] or "nobody@shop.example"}) == []


@given(st.sampled_from(sorted(fields(ParcelItem))), anything)
def test_item_field_is_refused_or_valid(name: str, value: object) -> None:
    try:
        payload = item(**{name: value})
    except PayloadError as error:
        refused = {path.split("[")[0].split(".")[0] for path in error.errors}
    else:
        refused = set()
    if refused:
        assert refused == {name}
        return
    assert problems("ParcelItems", payload.to_json()) == []


@given(amounts)
def test_number_is_sent_exactly_or_refused(value: Decimal) -> None:
    try:
        written = item(value=value).to_json()["value"]
    except PayloadError:
        assert value != value.quantize(Decimal("0.01"))
        return
    assert Decimal(written) == value
