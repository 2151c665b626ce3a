"""Orders of API v3, translated from payloads, against the contract by a third-party validator."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sendcloud.enums import ApiGeneration
from django_sendcloud.exceptions import PayloadError
from django_sendcloud.payloads import (
    Address,
    CheckoutPayload,
    CustomsDetails,
    DangerousGoods,
    Money,
    NoteLevel,
    OtherCurrency,
    ParcelItem,
    ShipmentPayload,
    ShippingProduct,
    ShipWith,
    Status,
    TaxNumber,
    TaxNumbers,
    v2,
    v3,
)
from django_sendcloud.payloads.base import schema_of
from django_sendcloud.payloads.exact_json import dumps
from django_sendcloud.payloads.shipment import EXPORT_TYPES

from .builders import UPDATED, full_shipment, item, shipment
from .contract import order_problems, order_properties, orders_v3
from .test_contract import items as v2_items
from .test_contract import moments, money, shipments, some_text, text

DAY = dt.datetime(2026, 3, 5, tzinfo=dt.UTC)


def everything() -> ShipmentPayload:
    """Return a payload with every field, also those that only API v3 has."""
    return dataclasses.replace(
        full_shipment(),
        parcel_items=[
            dataclasses.replace(
                full_shipment().parcel_items[0],
                item_id="L1",
                details="Red, with a handle",
                variant_id="V7",
                image_url="https://shop.example/mug.jpeg",
                ean="4006381333931",
                handover_at=DAY,
                deliver_at=DAY,
                dangerous_goods=DangerousGoods(regulation_set="ADR", id_number="UN1950", weight_type="Net"),
            )
        ],
        billing_address=Address(
            name="Jane Example", address="Vioolstraat 118", postal_code="5391 TW", city="Nuland", country="NL"
        ),
        notes="Ring twice",
        tags=["fragile"],
        ship_with=ShipWith(shipping_option_code="postnl:standard", contract_id=517),
        is_local_pickup=False,
        is_cash_on_delivery=True,
        subtotal_price=Decimal("20.00"),
        estimated_shipping_price=Decimal("5.98"),
        estimated_tax_price=Decimal("4.51"),
        invoice_date=dt.date(2026, 3, 1),
        customs_export_type="commercial_b2c",
    )


def order(**changes: Any) -> v3.Order:
    return v3.translate(shipment(**({"currency": "EUR"} | changes)), 7)


def body_of(translated: v3.Order) -> dict[str, Any]:
    """Return the order as Sendcloud reads it, numbers exact."""
    return json.loads(dumps(translated.body), parse_float=Decimal)


def notes_of(payload: ShipmentPayload) -> dict[str, str]:
    return {note.path: note.code for note in v3.notes(payload)}


# -- the JSON --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_smallest_order_is_exactly_this() -> None:
    assert body_of(order()) == {
        "order_id": "1042",
        "order_number": "A-1042",
        "order_details": {
            "integration": {"id": 7},
            "status": {"code": "unfulfilled"},
            "order_created_at": "2026-03-01T09:30:00.000000Z",
            "order_updated_at": "2026-03-02T10:00:00.123456Z",
            "order_items": [],
        },
        "payment_details": {"total_price": {"value": 0, "currency": "EUR"}, "status": {"code": "unspecified"}},
        "customer_details": {"name": "Ada Example", "phone_number": ""},
        "shipping_address": {
            "name": "Ada Example",
            "company_name": "",
            "address_line_1": "Stationsplein 1",
            "address_line_2": "",
            "house_number": "",
            "postal_code": "1012 AB",
            "city": "Amsterdam",
            "state_province_code": "",
            "country_code": "NL",
            "phone_number": "",
        },
        "shipping_details": {"delivery_indicator": ""},
    }
    assert order_problems(body_of(order())) == []


def test_full_order_is_exactly_this() -> None:
    euros = {"currency": "EUR"}
    assert body_of(v3.translate(everything(), 7)) == {
        "order_id": "1042/S1",
        "order_number": "A-1042",
        "order_details": {
            "integration": {"id": 7},
            "status": {"code": "open", "message": "Open"},
            "order_created_at": "2026-03-01T09:30:00.000000Z",
            "order_updated_at": "2026-03-02T10:00:00.123456Z",
            "order_items": [
                {
                    "name": "Mug",
                    "quantity": 2,
                    "item_id": "L1",
                    "product_id": "77",
                    "variant_id": "V7",
                    "image_url": "https://shop.example/mug.jpeg",
                    "description": "Red, with a handle",
                    "sku": "MUG-RED",
                    "hs_code": "691200",
                    "country_of_origin": "PT",
                    "ean": "4006381333931",
                    "mid_code": "PTMUG",
                    "material_content": "100% clay",
                    "intended_use": "Drinking",
                    "properties": {"colour": "red"},
                    "unit_price": {"value": Decimal("12.99"), **euros},
                    "total_price": {"value": Decimal("25.98"), **euros},
                    "measurement": {"weight": {"value": Decimal("0.35"), "unit": "kg"}},
                    "delivery_dates": {
                        "handover_at": "2026-03-05T00:00:00.000000Z",
                        "deliver_at": "2026-03-05T00:00:00.000000Z",
                    },
                    "dangerous_goods": {"regulation_set": "ADR", "id_number": "UN1950", "weight_type": "Net"},
                }
            ],
            "notes": "Ring twice",
            "tags": ["fragile"],
        },
        "payment_details": {
            "total_price": {"value": Decimal("25.98"), **euros},
            "subtotal_price": {"value": 20, **euros},
            "estimated_shipping_price": {"value": Decimal("5.98"), **euros},
            "estimated_tax_price": {"value": Decimal("4.51"), **euros},
            "status": {"code": "paid", "message": "Paid"},
            "is_cash_on_delivery": True,
            "invoice_date": "2026-03-01",
            "discount_granted": {"value": "3.99", **euros},
            "insurance_costs": {"value": "9.99", **euros},
            "freight_costs": {"value": "5.99", **euros},
            "other_costs": {"value": "2.99", **euros},
        },
        "customs_details": {
            "commercial_invoice_number": "INV-9",
            "shipment_type": "commercial_goods",
            "export_type": "commercial_b2c",
            "tax_numbers": {
                "sender": [{"name": "VAT", "country_code": "NL", "value": "NL987654321B02"}],
                "receiver": [{"name": "VAT", "country_code": "XI", "value": "XI123456789"}],
                "importer_of_record": [{"name": "EORI", "country_code": "EL", "value": "EL1"}],
            },
        },
        "customer_details": {"name": "Ada Example", "phone_number": "+31612345678", "email": "ada@shop.example"},
        "billing_address": {
            "name": "Jane Example",
            "company_name": "",
            "address_line_1": "Vioolstraat 118",
            "address_line_2": "",
            "house_number": "",
            "postal_code": "5391 TW",
            "city": "Nuland",
            "state_province_code": "",
            "country_code": "NL",
            "phone_number": "",
        },
        "shipping_address": {
            "name": "Ada Example",
            "company_name": "Example BV",
            "address_line_1": "Stationsplein 1",
            "address_line_2": "3 hoog",
            "house_number": "1",
            "postal_code": "1012 AB",
            "city": "Amsterdam",
            "state_province_code": "NL-NH",
            "country_code": "NL",
            "phone_number": "+31612345678",
            "email": "ada@shop.example",
        },
        "shipping_details": {
            "delivery_indicator": "Standard",
            "is_local_pickup": False,
            "measurement": {
                "weight": {"value": Decimal("1.25"), "unit": "kg"},
                "dimension": {"length": 30, "width": 20, "height": Decimal("15.5"), "unit": "cm"},
            },
            "ship_with": {
                "type": "shipping_option_code",
                "properties": {"shipping_option_code": "postnl:standard", "contract_id": 517},
            },
        },
        "service_point_details": {"id": "10168633", "post_number": "1234567"},
    }


@pytest.mark.long
def test_full_order_is_valid_and_complete() -> None:
    """Every field of the contract is written, but those a payload does not know, each with its reason."""
    body = body_of(v3.translate(everything(), 7))
    assert order_problems(body) == []
    unwritten = {"id", "created_at", "modified_at"}  # Sendcloud's own
    assert set(body) == set(order_properties("order")) - unwritten
    assert set(body["payment_details"]) == set(order_properties("payment-details"))
    assert set(body["customs_details"]) == set(order_properties("customs-details"))
    assert set(body["shipping_details"]) == set(order_properties("shipping-details"))
    assert set(body["shipping_address"]) == set(order_properties("address")) - {"po_box"}  # see the post number
    items = order_properties("order")["order_details"]["properties"]
    assert set(body["order_details"]) == set(items)
    dangerous = {field.name for field in dataclasses.fields(DangerousGoods)}
    assert dangerous == set(order_properties("dangerous-goods"))
    # Not modelled: the volume, which follows from the dimension, and the size of a line.
    assert set(body["shipping_details"]["measurement"]) == set(order_properties("measurement")) - {"volume"}


def test_item_has_every_field_of_the_contract() -> None:
    schema = orders_v3()["components"]["schemas"]["order-items"]["items"]["properties"]
    [line] = body_of(v3.translate(everything(), 7))["order_details"]["order_items"]
    assert set(line) == set(schema)


def test_choices_are_those_of_the_contract() -> None:
    assert set(EXPORT_TYPES) == set(order_properties("customs-details")["export_type"]["enum"])
    hints = {name: field.get("enum") for name, field in order_properties("dangerous-goods").items()}
    for name, choices in hints.items():
        for choice in choices or ["text"]:
            assert DangerousGoods(**{name: choice}).to_json() == {name: choice}
        if choices:
            with pytest.raises(PayloadError):
                DangerousGoods(**{name: "other"})


def test_numbers_are_written_digit_by_digit() -> None:
    price = Decimal("90071992547409.93")  # no float has these digits
    text = dumps(order(parcel_items=[item(value=price, quantity=3)]).body)
    assert '"unit_price":{"value":90071992547409.93,' in text
    assert '"total_price":{"value":270215977642229.79,' in text
    huge = Decimal("9" * 40)
    assert str(int(huge) * (2**63 - 1)) in dumps(order(parcel_items=[item(value=huge, quantity=2**63 - 1)]).body)


def test_total_defaults_to_sum_of_lines() -> None:
    lines = [item(value=Decimal("0.10"), quantity=3), item(value=Decimal("1.05"), quantity=2)]
    assert body_of(order(parcel_items=lines))["payment_details"]["total_price"]["value"] == Decimal("2.40")
    assert body_of(order(parcel_items=lines, total_order_value=9))["payment_details"]["total_price"]["value"] == 9


@pytest.mark.parametrize(
    ("country", "state", "options", "written"),
    [
        ("IT", "RM", v3.Options(), "IT-RM"),
        ("IT", "IT-RM", v3.Options(), "IT-RM"),
        ("US", "us-ca", v3.Options(), "us-ca"),
        ("US", "CA", v3.Options(prefix_states=False), "CA"),
        ("NL", None, v3.Options(), ""),
    ],
)
def test_state_is_prefixed_with_its_country(country: str, state: str, options: v3.Options, written: str) -> None:
    payload = shipment(currency="EUR", country=country, to_state=state)
    assert v3.translate(payload, 7, options).body["shipping_address"]["state_province_code"] == written


def test_carriers_own_service_point_is_written() -> None:
    body = body_of(order(carrier_service_point_id="91233", to_post_number="12"))
    assert body["service_point_details"] == {"carrier_service_point_id": "91233", "post_number": "12"}
    with pytest.raises(PayloadError) as caught:
        shipment(carrier_service_point_id="91233", to_service_point=5)
    assert caught.value.messages == {
        "carrier_service_point_id": ["Cannot be given together with to_service_point; keep one of them."]
    }


def test_delivery_dates_of_line_win_over_checkout() -> None:
    own = full_shipment().parcel_items[0]
    payload = dataclasses.replace(full_shipment(), parcel_items=[own, dataclasses.replace(own, deliver_at=UPDATED)])
    dates = [line["delivery_dates"] for line in v3.translate(payload, 7).body["order_details"]["order_items"]]
    assert dates[0] == {"handover_at": "2026-03-04T00:00:00.000000Z", "deliver_at": "2026-03-05T00:00:00.000000Z"}
    assert dates[1] == {"handover_at": "2026-03-04T00:00:00.000000Z", "deliver_at": "2026-03-02T10:00:00.123456Z"}


def test_costs_without_currency_take_the_orders() -> None:
    body = body_of(order(customs_details=CustomsDetails(freight_costs=Money(value=5), other_costs=Money())))
    assert body["payment_details"]["freight_costs"] == {"value": "5.00", "currency": "EUR"}
    assert "other_costs" not in body["payment_details"]


def test_payloads_digest_counts_fields_of_its_generation() -> None:
    """A move between the generations repeats only orders that one of them could not carry whole."""
    plain, whole = full_shipment(), everything()
    assert plain.digest(ApiGeneration.V3) == plain.digest()
    assert whole.digest(ApiGeneration.V3) not in (whole.digest(), plain.digest())
    seen = {whole.digest(ApiGeneration.V3)}
    for name in schema_of(ShipmentPayload).only_v3:
        if getattr(whole, name) is not None:
            seen.add(dataclasses.replace(whole, **{name: None}).digest(ApiGeneration.V3))
    [line] = whole.parcel_items
    for name in schema_of(ParcelItem).only_v3:
        changed = dataclasses.replace(line, **{name: None})
        seen.add(dataclasses.replace(whole, parcel_items=[changed]).digest(ApiGeneration.V3))
    unset = {"carrier_service_point_id"}
    assert len(seen) == 1 + len({*schema_of(ShipmentPayload).only_v3} - unset) + len(schema_of(ParcelItem).only_v3)
    crowns = shipment(currency=OtherCurrency("SEK"))
    assert crowns.digest(ApiGeneration.V3) != shipment(currency=OtherCurrency("NOK")).digest(ApiGeneration.V3)


def test_repr_holds_no_personal_data() -> None:
    assert repr(order()) == "<Order: '1042'>"


# -- refused ---------------------------------------------------------------------------------------------------------


def test_currency_is_required() -> None:
    with pytest.raises(PayloadError) as caught:
        order(currency=None)
    assert caught.value.subject == "order '1042'"
    assert caught.value.messages == {
        "currency": ["API v3 needs the currency of the amounts; use one of EUR, GBP, USD."]
    }


def test_other_currency_is_refused_unless_allowed() -> None:
    payload = shipment(currency=OtherCurrency("SEK"))
    with pytest.raises(PayloadError) as caught:
        v3.translate(payload, 7)
    [[violation]] = caught.value.errors.values()
    assert (list(caught.value.errors), violation.code) == (["currency"], "currency_not_carried")
    allowed = v3.translate(payload, 7, v3.Options(any_currency=True))
    assert allowed.body["payment_details"]["total_price"] == {"value": 0, "currency": "SEK"}


def test_other_currency_is_never_sent_by_v2() -> None:
    with pytest.raises(PayloadError) as caught:
        v2.check(shipment(currency=OtherCurrency("SEK")))
    assert list(caught.value.errors) == ["currency"]
    v2.check(shipment(currency=OtherCurrency("EUR")))
    with pytest.raises(PayloadError):
        shipment(currency=OtherCurrency("SEK")).to_json()


@pytest.mark.parametrize("code", ["sek", "SE", "SEKK", "", "S3K", None])
def test_other_currency_is_a_code(code: Any) -> None:
    with pytest.raises(ValueError, match="three capital letters"):
        OtherCurrency(code)


# -- notes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"order_status": None}, "order_status", "order_status_filled_in"),
        ({"payment_status": None}, "payment_status", "payment_status_filled_in"),
        ({"shipping_method": 8}, "shipping_method", "shipping_method_not_sent"),
        ({"customs_shipment_type": 1}, "customs_shipment_type", "documents_not_sent"),
        ({"width": Decimal(3)}, "width", "dimensions_incomplete"),
        ({"length": Decimal(3), "height": Decimal(0)}, "height", "dimensions_incomplete"),
        ({"to_post_number": "123"}, "to_post_number", "post_number_moved"),
        ({"extra": {"vip": True}}, "extra.vip", "only_v2"),
        ({"customs_details": CustomsDetails(extra={"x": 1})}, "customs_details.extra.x", "only_v2"),
        ({"parcel_items": [item(extra={"x": 1})]}, "parcel_items[0].extra.x", "only_v2"),
        ({"parcel_items": [item(weight=0)]}, "parcel_items[0].weight", "zero_weight_not_sent"),
        (
            {"parcel_items": [item(), item(image_url="https://shop.example/1.png")]},
            "parcel_items[1].image_url",
            "image_without_product",
        ),
        (
            {"checkout_payload": full_shipment().checkout_payload},
            "checkout_payload.shipping_product",
            "only_v2",
        ),
        (
            {"checkout_payload": full_shipment().checkout_payload},
            "checkout_payload.delivery_method_data",
            "delivery_dates_not_sent",
        ),
        (
            {"checkout_payload": full_shipment().checkout_payload, "parcel_items": [item()]},
            "checkout_payload.delivery_method_data",
            "delivery_dates_moved",
        ),
    ],
)
def test_loss_is_noted_and_not_sent(changes: dict[str, Any], path: str, code: str) -> None:
    statuses = {"order_status": Status(id="a", message="A"), "payment_status": Status(id="p", message="P")}
    payload = shipment(**({"currency": "EUR"} | statuses | changes))
    found = {note.path: note for note in v3.notes(payload)}
    assert found[path].code == code
    assert str(found[path]).startswith(path)
    assert order_problems(body_of(v3.translate(payload, 7))) == []
    assert not v3.notes(shipment(currency="EUR", **statuses))


def test_incomplete_dimension_is_left_out_whole() -> None:
    assert "measurement" not in order(width=Decimal(3)).body["shipping_details"]
    [note, *_] = [note for note in v3.notes(shipment(currency="EUR", width=Decimal(3))) if note.path == "width"]
    assert note.violation.params == {"missing": ["length", "height"]}


def test_picture_without_product_is_left_out() -> None:
    line = item(image_url="https://shop.example/1.png")
    assert "image_url" not in order(parcel_items=[line]).body["order_details"]["order_items"][0]
    with_product = dataclasses.replace(line, product_id="7")
    assert "image_url" in order(parcel_items=[with_product]).body["order_details"]["order_items"][0]


def test_documents_type_is_left_out() -> None:
    assert "customs_details" not in order(customs_shipment_type=1).body


def test_post_number_alone_becomes_po_box() -> None:
    assert order(to_post_number="123").body["shipping_address"]["po_box"] == "123"
    assert "service_point_details" not in order(to_post_number="123").body


def test_shipping_method_with_option_needs_no_note() -> None:
    assert "shipping_method" not in notes_of(shipment(shipping_method=8, ship_with=ShipWith(shipping_option_code="x")))


def test_note_names_the_line() -> None:
    [note] = [note for note in v3.notes(shipment(parcel_items=[item(sku="RED", weight=0)])) if "items" in note.path]
    assert str(note) == "parcel_items[0].weight (SKU RED): API v3 wants a weight above 0; the weight is not sent."
    assert note.to_json() == {
        "level": "not_sent",
        "path": "parcel_items[0].weight",
        "code": "zero_weight_not_sent",
        "params": {"sku": "RED"},
    }


def test_v2_notes_each_field_it_ignores() -> None:
    """Every field that only API v3 has is named, and API v2's JSON is the same without it."""
    names = {note.path for note in v2.notes(everything())}
    ours = {field.name for field in dataclasses.fields(ShipmentPayload)}
    lines = {f"parcel_items[0].{field.name}" for field in dataclasses.fields(ParcelItem)}
    v2_fields = set(full_shipment().to_json()) | {"extra"}
    v2_lines = {f"parcel_items[0].{name}" for name in full_shipment().to_json()["parcel_items"][0]}
    unset = {"carrier_service_point_id"}
    assert names == (ours - v2_fields - unset) | (lines - v2_lines - {"parcel_items[0].extra"})
    assert {note.level for note in v2.notes(everything())} == {NoteLevel.NOT_SENT}
    assert everything().to_json() == full_shipment().to_json()
    assert everything().digest() == full_shipment().digest()
    assert v2.notes(full_shipment()) == []


# -- ids -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "order_id"),
    [
        (("1042", ""), "1042"),
        (("1042", "1042"), "1042"),
        (("1042", "S1"), "1042/S1"),
        (("2026/7", ""), "2026/7"),
        (("2026/7", "1/2"), "2026/7/1/2"),
    ],
)
def test_order_id_holds_order_and_shipment(key: tuple[str, str], order_id: str) -> None:
    assert v3.order_id_of(*key) == order_id
    assert order(external_order_id=key[0], external_shipment_id=key[1] or None).body["order_id"] == order_id


def test_order_id_without_slash_means_one_key() -> None:
    assert v3.shipment_keys("1042") == [("1042", "")]
    assert v3.shipment_keys("2026/7/1") == [("2026/7/1", ""), ("2026", "7/1"), ("2026/7", "1")]
    assert v3.shipment_keys("/a/") == [("/a/", ""), ("/a", "")][:1]


@given(some_text, text)
def test_order_id_always_leads_back(order_id: str, shipment_id: str) -> None:
    key = (order_id, "" if shipment_id == order_id else shipment_id)
    assert key in v3.shipment_keys(v3.order_id_of(*key))


# -- clearing --------------------------------------------------------------------------------------------------------


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each value of an order, without its items."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name != "order_items":
                yield from leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path


def test_parts_name_all_that_may_stay() -> None:
    """Each value that an order may have and another one leaves out is a part, or lies in one."""
    kinds = [everything(), dataclasses.replace(everything(), to_service_point=None, carrier_service_point_id="NL-1")]
    kinds.append(dataclasses.replace(everything(), to_service_point=None))
    billing = dataclasses.replace(everything().billing_address, email="ada@shop.example")
    kinds.append(dataclasses.replace(everything(), billing_address=billing))
    written = {path for each in kinds for path in leaves(v3.translate(each, 7).body)}
    may_stay = written - {*leaves(order().body)}
    inside = {path for path in may_stay if path.startswith(v3.LASTING)}
    assert may_stay == inside
    assert {part for each in kinds for part in v3.translate(each, 7).parts()} == set(v3.LASTING)
    assert order().parts() == []


def test_left_out_parts_are_emptied_where_possible() -> None:
    parts = v3.translate(everything(), 7).parts()
    emptied = order().emptied(parts)
    assert emptied.body["order_details"]["notes"] == ""
    assert emptied.body["order_details"]["tags"] == []
    assert "email" not in emptied.body["shipping_address"], "the contract has no empty address"
    assert "billing_address" not in emptied.body
    assert emptied.parts() == []
    full = v3.translate(everything(), 7)
    assert full.emptied(parts).body == full.body, "what an order has stays"


@pytest.mark.parametrize(
    ("cleared", "path"),
    [("company_name", "company_name"), ("address_2", "address_line_2"), ("telephone", "phone_number")],
)
def test_cleared_text_is_written_empty(cleared: str, path: str) -> None:
    before, after = order(**{cleared: "x"}), order(**{cleared: ""})
    assert before.body["shipping_address"][path] == "x"
    assert after.body["shipping_address"][path] == ""


def test_notes_and_tags_may_be_written_empty() -> None:
    assert not {"notes", "tags"} & set(order().body["order_details"])
    details = order(notes="", tags=[]).body["order_details"]
    assert (details["notes"], details["tags"]) == ("", [])


# -- Sendcloud's field errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("order_details.order_items[0].quantity", "parcel_items[0].quantity"),
        ("order_details.order_items[3].unit_price.value", "parcel_items[3].value"),
        ("order_details.order_items[3].total_price", "parcel_items[3].value"),
        ("order_details.order_items[0].measurement.weight.value", "parcel_items[0].weight"),
        ("order_details.order_items[0].name", "parcel_items[0].description"),
        ("order_details.order_items[0].description", "parcel_items[0].details"),
        ("order_details.order_items[0].country_of_origin", "parcel_items[0].origin_country"),
        ("order_details.order_items[0].delivery_dates.handover_at", "parcel_items[0].handover_at"),
        ("order_details.order_items[0]", "parcel_items[0]"),
        ("order_details.order_items", "parcel_items"),
        ("order_details.status.code", "order_status.id"),
        ("order_details.notes", "notes"),
        ("payment_details.status.code", "payment_status.id"),
        ("payment_details.total_price.currency", "currency"),
        ("payment_details.total_price.value", "total_order_value"),
        ("payment_details.freight_costs.value", "customs_details.freight_costs.value"),
        ("payment_details.invoice_date", "invoice_date"),
        (
            "customs_details.tax_numbers.importer_of_record[0].name",
            "customs_details.tax_numbers.importer_of_records[0].name",
        ),
        ("customs_details.commercial_invoice_number", "customs_invoice_nr"),
        ("customer_details.email", "email"),
        ("shipping_address.country_code", "country"),
        ("shipping_address.address_line_1", "address"),
        ("billing_address.postal_code", "billing_address.postal_code"),
        ("billing_address.country_code", "billing_address.country"),
        ("shipping_details.measurement.weight.value", "weight"),
        ("shipping_details.measurement.dimension.length", "length"),
        ("shipping_details.ship_with.properties.contract_id", "ship_with.contract_id"),
        ("service_point_details.id", "to_service_point"),
        ("service_point_details.post_number", "to_post_number"),
        ("order_id", "external_order_id"),
        ("order_number", "order_number"),
        ("", ""),
        ("brand_new.field[2]", "brand_new.field[2]"),
    ],
)
def test_their_path_leads_to_our_field(theirs: str, ours: str) -> None:
    assert v3.domain_path(theirs) == ours


def test_order_is_read_under_our_names() -> None:
    payload = everything()
    found = v3.read(body_of(v3.translate(payload, 7)))
    whole = payload.to_json() | payload.v3_json()
    assert found["external_order_id"] == "1042/S1"
    unread = {"external_shipment_id", "shipping_method", "checkout_payload"}  # noted as not sent
    assert set(found) == set(whole) - unread
    for name in ("name", "address", "city", "email", "country", "customs_details", "payment_status", "notes", "tags"):
        assert found[name] == whole[name], name
    assert Decimal(whole["parcel_items"][0]["value"]) == found["parcel_items"][0]["value"]
    assert Decimal(whole["weight"]) == found["weight"]
    [line] = payload.parcel_items
    assert set(found["parcel_items"][0]) == set(line.to_json()) | set(line.v3_json())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=5)
            | st.sampled_from(
                ["order_details", "order_items", "value", "unit_price", "weight", "0", "[1]", "9" * 5000]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


@pytest.mark.long
@given(st.dictionaries(st.text(max_size=5) | st.sampled_from(["order_details", "payment_details"]), json_values))
def test_unknown_answer_is_read(answer: dict[str, Any]) -> None:
    assert isinstance(v3.read(answer), dict)


@given(st.text(max_size=40))
def test_unknown_path_is_read(path: str) -> None:
    assert isinstance(v3.domain_path(path), str)


# -- any payload -----------------------------------------------------------------------------------------------------

addresses = st.builds(
    Address,
    name=some_text,
    address=some_text,
    postal_code=some_text,
    city=some_text,
    country=st.sampled_from(["NL", "US", "IC"]),
    to_state=st.none() | some_text,
    email=st.sampled_from(["", "ada@shop.example"]),
)
items = st.builds(
    lambda line, **changes: dataclasses.replace(line, **changes),
    v2_items,
    details=st.none() | text,
    image_url=st.none() | st.just("https://shop.example/1.png"),
    ean=st.none() | some_text,
    handover_at=st.none() | moments,
    deliver_at=st.none() | moments,
    dangerous_goods=st.none() | st.just(DangerousGoods(regulation_set="ADR")),
)
payloads = st.builds(
    lambda payload, **changes: dataclasses.replace(payload, **changes),
    shipments,
    currency=st.sampled_from(["EUR", "GBP", "USD"]),
    parcel_items=st.none() | st.lists(items, max_size=3),
    billing_address=st.none() | addresses,
    notes=st.none() | text,
    tags=st.none() | st.lists(some_text, max_size=2),
    ship_with=st.none()
    | st.builds(ShipWith, shipping_option_code=some_text, contract_id=st.none() | st.integers(1, 9)),
    carrier_service_point_id=st.none() | some_text,
    to_post_number=text,
    is_local_pickup=st.none() | st.booleans(),
    is_cash_on_delivery=st.none() | st.booleans(),
    subtotal_price=st.none() | money,
    invoice_date=st.none() | st.dates(),
    customs_export_type=st.none() | st.sampled_from(EXPORT_TYPES),
    checkout_payload=st.none() | st.just(full_shipment().checkout_payload),
)


@pytest.mark.long
@given(payloads)
def test_payload_becomes_a_valid_order(payload: ShipmentPayload) -> None:
    translated = v3.translate(payload, 7)
    body = body_of(translated)
    assert order_problems(body) == []
    assert payload.key in v3.shipment_keys(body["order_id"]) or payload.key == (payload.external_order_id,) * 2
    total = sum(line.value * line.quantity for line in payload.parcel_items or ())
    if payload.total_order_value is None:
        assert body["payment_details"]["total_price"]["value"] == total


@pytest.mark.long
@given(payloads)
def test_value_is_sent_or_noted(payload: ShipmentPayload) -> None:
    """A field that is set and not noted as lost changes the order when it is taken away."""
    lost = {note.path for note in v3.notes(payload) if note.level is NoteLevel.NOT_SENT}
    whole = v3.translate(payload, 7).body
    for field in dataclasses.fields(ShipmentPayload):
        value = getattr(payload, field.name)
        if field.default is dataclasses.MISSING or value in (None, "", ()) or value == field.default:
            continue
        if field.name in ("updated_at", "external_shipment_id", "currency"):
            continue
        if field.name == "customs_details" and not whole.get("customs_details", {}).get("tax_numbers"):
            continue  # costs without a value say nothing
        if any(path.split(".")[0] == field.name for path in lost):
            continue
        without = dataclasses.replace(payload, **{field.name: field.default})
        if field.name == "total_order_value" and value == sum(i.value * i.quantity for i in payload.parcel_items or ()):
            continue
        assert v3.translate(without, 7).body != whole, field.name


def test_checkout_without_dates_is_noted_whole() -> None:
    checkout = CheckoutPayload(
        sender_address_id=1, shipping_product=ShippingProduct(code="a", name="b"), delivery_method_type="standard"
    )
    assert [path for path in notes_of(shipment(checkout_payload=checkout)) if path.startswith("checkout")] == [
        "checkout_payload.sender_address_id",
        "checkout_payload.shipping_product",
        "checkout_payload.delivery_method_type",
    ]


def test_empty_tax_numbers_are_left_out() -> None:
    empty = CustomsDetails(tax_numbers=TaxNumbers())
    assert "customs_details" not in order(customs_details=empty).body
    one = CustomsDetails(tax_numbers=TaxNumbers(sender=[TaxNumber(name="VAT")]))
    assert order(customs_details=one).body["customs_details"] == {"tax_numbers": {"sender": [{"name": "VAT"}]}}


@pytest.mark.long
def test_customs_enums_are_complete() -> None:
    """A value that the contract gets must be one that a payload can be translated to."""
    customs = order_properties("customs-details")
    assert set(customs["shipment_type"]["enum"]) == set(v3._SHIPMENT_TYPES.values())
    assert set(customs["export_type"]["enum"]) == {str(each) for each in EXPORT_TYPES}
