from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import json
import pickle
import re
import subprocess
import sys
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

import pytest

from django_sendcloud.enums import CustomsShipmentType
from django_sendcloud.exceptions import PayloadError
from django_sendcloud.payloads import (
    CustomsDetails,
    Money,
    ParcelItem,
    ShipmentPayload,
    ShippingProduct,
    Status,
    TaxNumber,
    cents,
    grams,
)
from django_sendcloud.payloads.rules import OtherCurrency, Text

from .builders import CREATED, UPDATED, full_shipment, item, shipment


def errors_of(**changes: object) -> dict[str, list[str]]:
    with pytest.raises(PayloadError) as caught:
        shipment(**changes)
    return caught.value.messages


def item_errors_of(**changes: object) -> dict[str, list[str]]:
    with pytest.raises(PayloadError) as caught:
        item(**changes)
    return caught.value.messages


# The smallest shipment


def test_eight_fields_make_a_shipment() -> None:
    payload = ShipmentPayload(
        external_order_id="1",
        order_number="1",
        name="A",
        address="B",
        postal_code="C",
        city="D",
        country="NL",
        created_at=CREATED,
    )
    assert payload.external_shipment_id is None
    assert payload.parcel_items == ()
    assert payload.email == payload.telephone == payload.house_number == payload.company_name == ""


def test_smallest_shipment_is_exactly_this() -> None:
    assert shipment().to_json() == {
        "address": "Stationsplein 1",
        "address_2": "",
        "city": "Amsterdam",
        "company_name": "",
        "country": "NL",
        "created_at": "2026-03-01T09:30:00.000000Z",
        "currency": None,
        "customs_invoice_nr": "",
        "customs_shipment_type": None,
        "email": "",
        "external_order_id": "1042",
        "external_shipment_id": None,
        "house_number": "",
        "name": "Ada Example",
        "order_number": "A-1042",
        "order_status": None,
        "parcel_items": [],
        "payment_status": None,
        "postal_code": "1012 AB",
        "shipping_method": None,
        "shipping_method_checkout_name": "",
        "telephone": "",
        "to_post_number": "",
        "to_service_point": None,
        "to_state": None,
        "total_order_value": None,
        "updated_at": "2026-03-02T10:00:00.123456Z",
        "weight": None,
        "width": None,
        "height": None,
        "length": None,
        "customs_details": None,
    }


def test_item_is_exactly_this() -> None:
    assert full_shipment().to_json()["parcel_items"] == [
        {
            "description": "Mug",
            "hs_code": "691200",
            "origin_country": "PT",
            "product_id": "77",
            "properties": {"colour": "red", "size": None},
            "quantity": 2,
            "sku": "MUG-RED",
            "value": "12.99",
            "weight": "0.35",
            "mid_code": "PTMUG",
            "material_content": "100% clay",
            "intended_use": "Drinking",
        }
    ]
    assert item().to_json() == {"description": "Mug", "quantity": 2, "value": "12.99"}


# Errors


def test_errors_come_together_and_name_the_order() -> None:
    with pytest.raises(PayloadError) as caught:
        shipment(name="", country="XX", weight=-1, parcel_items=["mug", item(), 3], email="no address")
    assert caught.value.subject == "order '1042'"
    assert caught.value.messages == {
        "name": ["May not be empty."],
        "country": [
            "'XX' is not a country code of the contract; use the two-letter code of ISO 3166-1 in upper case, "
            "such as 'NL'."
        ],
        "weight": ["Must be at least 0.001 kg, got -1; use None where there is none."],
        "parcel_items[0]": ["Must be a ParcelItem, not str."],
        "parcel_items[2]": ["Must be a ParcelItem, not int."],
        "email": [
            "Must be an e-mail address: one @, something on both sides of it and no white space; "
            "use '' where there is none."
        ],
    }
    assert isinstance(caught.value, ValueError)


def test_invalid_item_names_its_sku() -> None:
    with pytest.raises(PayloadError) as caught:
        item(sku="MUG", quantity=0, weight=0.35)
    assert str(caught.value) == (
        "parcel item 'MUG': quantity: Must be at least 1, got 0; leave out a line of which nothing is shipped.; "
        'weight: A float is not exact; write Decimal("0.35").'
    )


@pytest.mark.parametrize(
    ("written", "meant"), [("UK", "GB"), ("EL", "GR"), ("XI", "GB"), ("nl", "NL"), (" NL", "NL"), ("gb", "GB")]
)
def test_misspelt_country_is_refused_with_its_code(written: str, meant: str) -> None:
    assert errors_of(country=written) == {
        "country": [f"{written!r} is not a country code of the contract; write {meant!r}."]
    }


@pytest.mark.parametrize("field", ["name", "address", "city", "postal_code", "order_number", "external_order_id"])
@pytest.mark.parametrize("empty", ["", " ", "\t\n", "\u2003"])
def test_required_text_may_not_be_blank(field: str, empty: str) -> None:
    assert errors_of(**{field: empty}) == {field: ["May not be empty."]}


@pytest.mark.parametrize("field", ["to_state", "external_shipment_id"])
def test_nullable_text_may_not_be_empty(field: str) -> None:
    assert errors_of(**{field: ""}) == {field: ["May not be empty; use None where there is none."]}


def test_value_of_other_type_is_refused() -> None:
    assert errors_of(external_order_id=1042, telephone=None, name=None) == {
        "external_order_id": ["Must be text, not int; write str(...)."],
        "telephone": ["May not be None; use ''."],
        "name": ["May not be None; it is required."],
    }


def test_errors_repeat_no_personal_data() -> None:
    canary = "Zaphod Beeblebrox"
    personal = [
        "name",
        "company_name",
        "address",
        "address_2",
        "house_number",
        "postal_code",
        "city",
        "email",
        "telephone",
        "to_state",
        "to_post_number",
    ]
    for field in personal:
        for bad in (f"{canary}\0", f"{canary}\ud800", [canary], {canary: canary}):
            with pytest.raises(PayloadError) as caught:
                shipment(**{field: bad})
            assert canary not in str(caught.value)
            assert canary not in repr(caught.value)
    assert "personal@" not in str(errors_of(email="personal@@shop.example"))


def test_repr_shows_no_personal_data() -> None:
    assert repr(full_shipment()) == "<ShipmentPayload: order '1042'>"
    assert repr(item(sku="MUG")) == "<ParcelItem: parcel item 'MUG'>"
    assert "123456789" not in repr(full_shipment().customs_details)


def test_text_beyond_utf_8_is_refused() -> None:
    assert errors_of(city="Am\ud800sterdam") == {
        "city": [
            "Holds a lone surrogate at position 2, which cannot be sent as UTF-8; decode the text with its right "
            "encoding, or remove it."
        ]
    }
    assert errors_of(city="A\0") == {"city": ["Holds a NUL character at position 1; remove it."]}


def test_text_is_kept_unchanged() -> None:
    for address in ("  Stationsplein 1 ", "Straße 🏠 東京", "x" * 10_000, "line\nline"):
        assert shipment(address=address).to_json()["address"] == address


def test_subclass_of_str_is_written_as_text() -> None:
    class Method(StrEnum):
        EXPRESS = "express"

        def __str__(self) -> str:
            return "something else"

    body = shipment(shipping_method_checkout_name=Method.EXPRESS).to_json()
    assert json.dumps(body["shipping_method_checkout_name"]) == '"express"'
    assert type(body["shipping_method_checkout_name"]) is str


def test_delivery_method_has_at_most_100_characters() -> None:
    assert shipment(shipping_method_checkout_name="é" * 100)
    assert errors_of(shipping_method_checkout_name="é" * 101) == {
        "shipping_method_checkout_name": ["May have at most 100 characters, has 101; shorten it."]
    }
    assert item_errors_of(hs_code="1" * 13) == {
        "hs_code": [
            "'1111111111111' has 13 characters without dots and spaces, 12 at most are possible; look the code up again, "
            "because a shortened code declares other goods."
        ]
    }


@pytest.mark.parametrize("email", ["", "a@b", "ada.example+shop@sub.shop.example", "ä@exämple.nl"])
def test_email_is_accepted(email: str) -> None:
    assert shipment(email=email).email == email


@pytest.mark.parametrize("email", ["ada", "@", "ada@", "@shop.example", "a@b@c", "a b@c.de", "a@b.nl ", "a@b\n", " "])
def test_invalid_email_is_refused(email: str) -> None:
    assert list(errors_of(email=email)) == ["email"]


# Numbers


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("0.001"), "0.001"),
        (Decimal("1.250"), "1.25"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1.2E-2"), "0.012"),
        (Decimal("999999.999"), "999999.999"),
        (Decimal("9999999999"), "9999999999"),
        (Decimal("1.2500000000000000"), "1.25"),
        (3, "3"),
    ],
)
def test_weights_are_written_with_fewest_digits(value: Decimal, written: str) -> None:
    assert shipment(weight=value).to_json()["weight"] == written


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (1.25, 'A float is not exact; write Decimal("1.25").'),
        ("1.25", 'Must be a Decimal, not text; write Decimal("1.25").'),
        (True, "Must be a Decimal, got True; use None where there is none."),
        (Decimal("0"), "Must be at least 0.001 kg, got 0; use None where there is none."),
        (Decimal("0.0005"), "Must be at least 0.001 kg, got 0.0005; use None where there is none."),
        (
            Decimal("1.2345"),
            "May have at most 3 digits behind the point, got 1.2345; round it the way the shop does, for instance "
            'with .quantize(Decimal("0.001")).',
        ),
        (Decimal("NaN"), "Must be a finite number, got NaN; use None where there is none."),
        (Decimal("sNaN"), "Must be a finite number, got sNaN; use None where there is none."),
        (Decimal("Infinity"), "Must be a finite number, got Infinity; use None where there is none."),
        (float("nan"), "Must be a Decimal, got nan; use None where there is none."),
        (Decimal("9999999.999"), "May have at most 10 characters, got 9999999.999; round it or check it."),
        (Decimal("1E+999999999"), "May have at most 10 characters, got 1E+999999999; round it or check it."),
    ],
)
def test_invalid_weight_is_refused_with_its_reason(value: object, sentence: str) -> None:
    assert errors_of(weight=value) == {"weight": [sentence]}


def test_numbers_are_never_rounded() -> None:
    thirty_five = Decimal("0." + "1" * 35)
    assert "35" not in str(errors_of(total_order_value=thirty_five)["total_order_value"][0][:40])
    assert errors_of(width=thirty_five) == {
        "width": ["May have at most 10 characters, got 0.11111111111111111111111111111111111; round it or check it."]
    }
    assert list(item_errors_of(value=thirty_five)) == ["value"]


@pytest.mark.parametrize(
    ("value", "written"),
    [(Decimal("3.5"), "3.50"), (Decimal("3.500"), "3.50"), (7, "7.00"), (0, "0.00"), (Decimal("-0.00"), "0.00")],
)
def test_money_has_two_decimals(value: Decimal, written: str) -> None:
    assert item(value=value).to_json()["value"] == written
    assert Money(value=value).to_json() == {"value": written}


def test_money_may_not_be_negative() -> None:
    assert item_errors_of(value=Decimal("-0.01")) == {
        "value": [
            "May not be negative, got -0.01; a discount is no line of its own: spread it over the other lines with "
            "payloads.spread_discount(items, Decimal('0.01'))."
        ]
    }
    assert errors_of(total_order_value=Decimal("-0.01")) == {
        "total_order_value": ["Must be at least 0, got -0.01; use None where there is none."]
    }


def test_whole_numbers_are_whole_numbers() -> None:
    assert errors_of(to_service_point="5", shipping_method=True, customs_shipment_type=5) == {
        "to_service_point": ["Must be a whole number (int), got '5'; use None where there is none."],
        "shipping_method": ["Must be a whole number (int), got True; use None where there is none."],
        "customs_shipment_type": [
            "'5' is not a customs shipment type of the contract; use one of 0 (gift), 1 (documents), "
            "2 (commercial_goods), 3 (commercial_sample), 4 (returned_goods); use None where there is none."
        ],
    }


def test_customs_shipment_type_is_written_as_number() -> None:
    body = shipment(customs_shipment_type=CustomsShipmentType.COMMERCIAL_GOODS).to_json()
    assert json.dumps(body["customs_shipment_type"]) == "2"


def test_grams_and_cents_become_the_contracts_units() -> None:
    assert grams(1250) == Decimal("1.250")
    assert cents(1299) == Decimal("12.99")
    assert item(weight=grams(1), value=cents(1)).to_json()["weight"] == "0.001"
    with pytest.raises(TypeError, match="whole number"):
        grams(1.5)  # type: ignore[arg-type]


def test_other_currency_is_refused_with_a_fix() -> None:
    assert errors_of(currency="CHF") == {
        "currency": [
            "'CHF' is not a currency of the contract; convert every amount to one of EUR, GBP, USD with "
            "payloads.convert(amount, rate) and name that currency. Where your account takes 'CHF' by API v3, pass "
            "OtherCurrency('CHF')."
        ]
    }
    assert Money(value=1, currency="CHF").to_json() == {"value": "1.00", "currency": "CHF"}


@pytest.mark.parametrize("currency", ["€", "EURO", "978", "sek", "S€K"])
def test_advice_for_currency_can_be_followed(currency: str) -> None:
    """``OtherCurrency`` takes codes of three capital letters, so nothing else is advised to be passed to it."""
    ((message,),) = errors_of(currency=currency).values()
    advised = re.search(r"OtherCurrency\('(.*)'\)", message)
    assert OtherCurrency(advised[1]) == currency.upper() if advised else "EUR, GBP, USD" in message
    assert "None" not in message, "amounts are not sent without their currency"


# Time


def test_times_are_sent_in_utc() -> None:
    amsterdam = dt.timezone(dt.timedelta(hours=2))
    body = shipment(created_at=dt.datetime(2026, 7, 1, 1, 30, tzinfo=amsterdam)).to_json()
    assert body["created_at"] == "2026-06-30T23:30:00.000000Z"


def test_time_without_zone_is_refused() -> None:
    assert errors_of(created_at=dt.datetime(2026, 1, 1)) == {
        "created_at": [
            "Must know its time zone; use django.utils.timezone.make_aware(value), "
            "or datetime(..., tzinfo=datetime.UTC)."
        ]
    }
    assert errors_of(created_at=dt.date(2026, 1, 1)) == {"created_at": ["Must be a datetime, not date."]}


def test_time_beyond_the_calendar_is_refused() -> None:
    west = dt.timezone(dt.timedelta(hours=-5))
    assert errors_of(created_at=dt.datetime.max.replace(tzinfo=west)) == {
        "created_at": ["Must lie within the years 1 to 9999 in UTC."]
    }


def test_shipment_without_stamp_cannot_be_written() -> None:
    with pytest.raises(PayloadError) as caught:
        shipment(updated_at=None).to_json()
    assert caught.value.messages == {"updated_at": ["Is required to send a shipment; use payload.stamped(updated_at)."]}


def test_stamping_copies_and_changes_nothing_else() -> None:
    bare = dataclasses.replace(full_shipment(), updated_at=None)
    stamped = bare.stamped(UPDATED)
    assert bare.updated_at is None
    assert stamped == full_shipment()
    with pytest.raises(PayloadError):
        bare.stamped(dt.datetime(2026, 1, 1))


def test_stamping_checks_nothing_else_again() -> None:
    payload = shipment()
    object.__setattr__(payload, "city", "")  # would not pass a check
    assert payload.stamped(UPDATED).city == ""


def test_shipment_id_can_be_given_later() -> None:
    payload = shipment().with_shipment_id("1042-1")
    assert payload.key == ("1042", "1042-1")
    assert shipment().key == ("1042", "")
    with pytest.raises(PayloadError):
        shipment().with_shipment_id("")


# Immutable, comparable, deterministic


def test_payload_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        shipment().city = "Paris"  # type: ignore[misc]
    with pytest.raises((AttributeError, TypeError)):
        shipment().nonsense = 1  # type: ignore[attr-defined]


def test_changed_argument_leaves_payload_unchanged() -> None:
    properties, lines, extra = {"colour": "red"}, [item()], {"new": {"deep": [1]}}
    payload = shipment(parcel_items=lines, extra=extra)
    line = item(properties=properties)
    properties["colour"] = "blue"
    lines.append(item())
    extra["new"]["deep"].append(2)
    assert line.properties == {"colour": "red"}
    assert len(payload.parcel_items) == 1
    assert payload.to_json()["new"] == {"deep": [1]}


def test_changed_json_leaves_payload_unchanged() -> None:
    payload = full_shipment()
    body = payload.to_json()
    body["parcel_items"][0]["properties"]["colour"] = "blue"
    body["checkout_payload"]["shipping_product"]["selected_functionalities"]["age_check"] = 0
    assert payload.to_json() == full_shipment().to_json()


def test_payloads_survive_pickle_and_copy() -> None:
    payload = full_shipment()
    assert pickle.loads(pickle.dumps(payload)) == payload
    assert copy.deepcopy(payload) == payload


def test_equal_payloads_are_equal_and_hash_alike() -> None:
    assert full_shipment() == full_shipment()
    assert len({full_shipment(), full_shipment(), shipment()}) == 2


def test_generator_of_items_is_accepted() -> None:
    assert len(shipment(parcel_items=(item() for _ in range(3))).parcel_items) == 3
    assert shipment(parcel_items=None).to_json()["parcel_items"] is None
    assert errors_of(parcel_items="mug") == {"parcel_items": ["Must be a list of ParcelItem, not str."]}


def test_digest_ignores_the_stamp_alone() -> None:
    payload = full_shipment()
    assert payload.digest() == payload.stamped(dt.datetime(2030, 1, 1, tzinfo=dt.UTC)).digest()
    assert payload.digest() == dataclasses.replace(payload, updated_at=None).digest()
    assert payload.digest() == dataclasses.replace(payload, weight=Decimal("1.250")).digest()
    seen = {payload.digest()}
    for changes in (
        {"name": "Ada  Example"},
        {"weight": Decimal("1.251")},
        {"parcel_items": ()},
        {"external_shipment_id": None},
        {"extra": {"new": 1}},
        {"order_status": Status(id="open", message="open")},
        {"customs_details": CustomsDetails(freight_costs=Money(value=1))},
    ):
        seen.add(dataclasses.replace(payload, **changes).digest())
    assert len(seen) == 8


def test_encoded_json_equals_to_json() -> None:
    """The text is written once, for the digest and for sending; a copy that differs writes its own."""
    for payload in (
        full_shipment(),
        dataclasses.replace(full_shipment(), name="Zoë “Ŵ” 李\u2028", extra={"new": [1.5]}),
    ):
        for moment in (dt.datetime(2030, 1, 1, tzinfo=dt.UTC), dt.datetime(2031, 1, 1, tzinfo=dt.UTC)):
            assert json.loads(payload.stamped(moment).encode()) == payload.stamped(moment).to_json()
            payload.digest()
            assert json.loads(payload.stamped(moment).encode()) == payload.stamped(moment).to_json()
        other = payload.with_shipment_id("another")
        assert json.loads(other.encode())["external_shipment_id"] == "another"
        assert other.digest() != payload.digest()
    with pytest.raises(PayloadError, match="updated_at"):
        dataclasses.replace(full_shipment(), updated_at=None).encode()


@pytest.mark.long
def test_digest_is_equal_between_processes() -> None:
    code = "from tests.payloads.builders import full_shipment; print(full_shipment().digest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed}
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert digests == {full_shipment().digest()}


# Fields newer than us


def test_newer_fields_can_be_sent() -> None:
    body = shipment(extra={"vip": True, "notes": ["a", 1, 2.5, None, {"b": "c"}]}).to_json()
    assert body["vip"] is True
    assert body["notes"] == ["a", 1, 2.5, None, {"b": "c"}]
    assert item(extra={"ean": "123"}).to_json()["ean"] == "123"
    assert ShippingProduct(code="a", name="b", extra={"c": 1}).to_json()["c"] == 1


def test_newer_fields_cannot_replace_known_ones() -> None:
    assert errors_of(extra={"city": "Paris", "vip": 1}) == {"extra.city": ["Is a field we know; pass city=... itself."]}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": object()}, "extra.a"),
        ({"a": [1, {"b": float("nan")}]}, "extra.a[1].b"),
        ({"a": Decimal("1")}, "extra.a"),
        ({"a": "\ud800"}, "extra.a"),
        ({1: 2}, "extra"),
        ([1], "extra"),
    ],
)
def test_value_beyond_json_names_its_place(value: object, path: str) -> None:
    assert list(errors_of(extra=value)) == [path]


def test_cyclic_mapping_is_refused() -> None:
    endless: dict[str, object] = {}
    endless["a"] = endless
    assert next(iter(errors_of(extra=endless).values())) == ["May be nested at most 32 deep."]


def test_subclass_needs_no_slots() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class FromOurShop(ShipmentPayload):
        company_name: Annotated[str, Text()] = "Our Shop"

    values = {field.name: getattr(shipment(), field.name) for field in dataclasses.fields(ShipmentPayload)}
    del values["company_name"]
    payload = FromOurShop(**values).with_shipment_id("2").stamped(UPDATED)
    assert (payload.company_name, payload.external_shipment_id, payload.updated_at) == ("Our Shop", "2", UPDATED)
    with pytest.raises(dataclasses.FrozenInstanceError):
        payload.company_name = ""  # type: ignore[misc]


def test_properties_are_flat() -> None:
    assert item_errors_of(properties={"size": 3}) == {
        "properties.size": ["Must be text or None, not int; write str(...)."]
    }


def test_tax_number_takes_other_country_codes() -> None:
    assert TaxNumber(name="VAT", country_code="EL", value="EL123").to_json()["country_code"] == "EL"


def test_payloads_need_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import django_sendcloud.payloads; "
        "print([m for m in ('django', 'celery', 'rest_framework', 'requests') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_public_names_exist() -> None:
    from django_sendcloud import payloads

    assert {name for name in payloads.__all__ if not hasattr(payloads, name)} == set()
    assert ParcelItem is payloads.ParcelItem
