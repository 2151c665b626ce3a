"""Helpers around payloads: units, other currencies, discounts."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sendcloud.exceptions import PayloadError
from django_sendcloud.payloads import (
    NO_POSTAL_CODE,
    ParcelItem,
    centimetres,
    cents,
    convert,
    grams,
    kilograms,
    spread_discount,
)

from .builders import item, shipment


@pytest.mark.parametrize(
    ("weight", "unit", "kg"),
    [
        (1250, "g", "1.250"),
        (Decimal("1.25"), "kg", "1.250"),
        (12, "oz", "0.340"),
        (1, "lb", "0.454"),
        (Decimal("2.5"), "LBS", "1.134"),
        (3, " G ", "0.003"),
        (1, "t", "1000.000"),
        (1, "mg", "0.001"),
        (0, "kg", "0.000"),
    ],
)
def test_weight_becomes_kilograms(weight: Any, unit: str, kg: str) -> None:
    assert str(kilograms(weight, unit)) == kg
    item(weight=kilograms(weight, unit))


@pytest.mark.parametrize(
    ("length", "unit", "cm"), [(10, "in", "25.40"), (1, "m", "100.00"), (5, "mm", "0.50"), (1, "ft", "30.48")]
)
def test_length_becomes_centimetres(length: Any, unit: str, cm: str) -> None:
    assert str(centimetres(length, unit)) == cm
    shipment(width=centimetres(length, unit))


@pytest.mark.parametrize("helper", [kilograms, centimetres])
@pytest.mark.parametrize(
    ("number", "unit", "error"),
    [
        (1.5, "known", TypeError),
        ("1", "known", TypeError),
        (True, "known", TypeError),
        (1, "stone", ValueError),
        (1, None, ValueError),
        (-1, "known", ValueError),
        (Decimal("NaN"), "known", ValueError),
    ],
)
def test_other_units_and_numbers_are_refused(helper: Any, number: Any, unit: str | None, error: type) -> None:
    known = "kg" if helper is kilograms else "cm"
    with pytest.raises(error):
        helper(number, known if unit == "known" else unit)


def test_converted_amount_is_rounded_to_cents() -> None:
    assert convert(Decimal("199.00"), Decimal("0.0885")) == Decimal("17.61")
    assert str(convert(10, Decimal("0.0885"))) == "0.89"
    for amount, rate in ((1, 0), (-1, 1), (1, -1), (Decimal("Infinity"), 1)):
        with pytest.raises(ValueError, match=r".+"):
            convert(amount, rate)
    with pytest.raises(TypeError):
        convert(1.5, 1)  # type: ignore[arg-type]


def test_shifted_numbers_are_exact() -> None:
    digits = int("9" * 40)
    assert str(cents(digits)) == "9" * 38 + ".99"
    assert grams(1) == Decimal("0.001")


# -- quantities, HS codes and ids ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", [Decimal("2.000"), Decimal(2), Decimal("2E0"), 2])
def test_whole_decimal_is_a_quantity(quantity: Any) -> None:
    made = item(quantity=quantity)
    assert made.quantity == 2
    assert type(made.quantity) is int
    assert shipment(shipping_method=Decimal("8.00")).to_json()["shipping_method"] == 8


@pytest.mark.parametrize("quantity", [Decimal("2.5"), 2.5])
def test_part_of_a_piece_is_refused(quantity: Any) -> None:
    with pytest.raises(PayloadError) as caught:
        item(quantity=quantity)
    assert caught.value.messages == {
        "quantity": [
            "Must be a whole number of pieces, got 2.5; for goods sold by measure send quantity 1, the price and "
            "weight of the whole line, and the measure in the description."
        ]
    }


@pytest.mark.parametrize("quantity", [2.0, "2", Decimal("Infinity"), Decimal("1E+99")])
def test_other_quantity_is_refused(quantity: Any) -> None:
    with pytest.raises(PayloadError) as caught:
        item(quantity=quantity)
    assert list(caught.value.errors) == ["quantity"]


def test_repeated_item_id_names_its_line() -> None:
    with pytest.raises(PayloadError) as caught:
        shipment(parcel_items=[item(item_id="1"), item(), item(), item(item_id="1", sku="RED")])
    assert str(caught.value) == (
        "order '1042': parcel_items[3].item_id (SKU RED): '1' occurs more than once; give each line of an order its "
        "own item_id."
    )


@pytest.mark.parametrize(
    ("code", "written"),
    [
        ("6109.10.00.10", "6109100010"),
        ("6109 10 00 10", "6109100010"),
        ("6109-10", "610910"),
        (" 610910 ", "610910"),
        ("6109\u00a010", "610910"),
        ("6109\u201310", "610910"),
        ("\ufeff6109\u200b10", "610910"),
        ("6109.10.00.10.12", "610910001012"),
    ],
)
def test_hs_code_loses_its_punctuation(code: str, written: str) -> None:
    assert item(hs_code=code).to_json()["hs_code"] == written


@pytest.mark.parametrize("country", ["HK", "MO", "AE", "QA"])
@pytest.mark.parametrize("empty", ["", " ", None])
def test_country_without_postal_codes_says_so(country: str, empty: Any) -> None:
    """The contract wants a text where such an address has none; a shop may keep it as null."""
    with pytest.raises(PayloadError, match=f"{country} has no postal codes: .* Write '{NO_POSTAL_CODE}'"):
        shipment(country=country, postal_code=empty)
    assert shipment(country=country, postal_code=NO_POSTAL_CODE).postal_code == NO_POSTAL_CODE


@pytest.mark.parametrize(("empty", "says"), [("", "May not be empty"), (None, "is required")])
def test_country_with_postal_codes_wants_one(empty: Any, says: str) -> None:
    with pytest.raises(PayloadError, match=says) as caught:
        shipment(country="IE", postal_code=empty)
    assert NO_POSTAL_CODE not in str(caught.value)


def test_ids_lose_outer_white_space() -> None:
    payload = shipment(external_order_id=" 1042 ", external_shipment_id="S1\n", order_number="\tA 1 ")
    assert (payload.key, payload.order_number) == (("1042", "S1"), "A 1")
    assert payload.with_shipment_id(" 2 ").external_shipment_id == "2"
    assert item(item_id=" L1 ").item_id == "L1"
    assert shipment(city=" Amsterdam ").city == " Amsterdam "


# -- discounts -------------------------------------------------------------------------------------------------------


def total(items: Any) -> Decimal:
    return sum((line.value * line.quantity for line in items), Decimal(0))


def test_discount_is_spread_by_value() -> None:
    lines = [item(value=Decimal("30.00"), quantity=1), item(value=Decimal("5.00"), quantity=2)]
    spread = spread_discount(lines, Decimal("4.00"))
    assert [(line.value, line.quantity) for line in spread] == [(Decimal("27.00"), 1), (Decimal("4.50"), 2)]


def test_cents_left_go_to_single_pieces() -> None:
    lines = [item(value=Decimal("9.99"), quantity=3), item(value=Decimal("10.00"), quantity=1)]
    spread = spread_discount(lines, Decimal("1.00"))
    assert len(spread) == 2
    assert total(spread) == total(lines) - 1


def test_line_is_divided_where_cents_are_left() -> None:
    [first, second] = spread_discount([item(value=Decimal("10.00"), quantity=3, item_id="L1")], Decimal("1.00"))
    assert (first.value, first.quantity, first.item_id) == (Decimal("9.66"), 1, "L1")
    assert (second.value, second.quantity, second.item_id) == (Decimal("9.67"), 2, "L1-2")


def test_discount_of_everything_makes_lines_free() -> None:
    lines = [item(value=Decimal("0.01"), quantity=7), item(value=0, quantity=2)]
    assert [line.value for line in spread_discount(lines, Decimal("0.07"))] == [0, 0]
    assert spread_discount(lines, 0) == tuple(lines)
    assert spread_discount([], 0) == ()


@pytest.mark.parametrize(
    ("discount", "error", "reason"),
    [
        (Decimal("-1"), ValueError, "without its sign"),
        (Decimal("0.001"), ValueError, "two decimals"),
        (Decimal("26"), ValueError, "larger than the lines together, 25.98"),
        (Decimal("NaN"), ValueError, "finite"),
        (1.5, TypeError, "float"),
        (True, TypeError, "bool"),
    ],
)
def test_impossible_discount_is_refused(discount: Any, error: type, reason: str) -> None:
    with pytest.raises(error, match=reason):
        spread_discount([item()], discount)


lines = st.lists(
    st.builds(
        ParcelItem,
        description=st.just("Mug"),
        quantity=st.integers(1, 50),
        value=st.decimals(0, 200, places=2),
        sku=st.just("S"),
    ),
    max_size=6,
)


@given(lines, st.data())
def test_discount_is_exact_to_the_cent(items: list[ParcelItem], data: Any) -> None:
    discount = data.draw(st.integers(0, int(total(items) * 100)).map(cents))
    spread = spread_discount(items, discount)
    assert total(spread) == total(items) - discount
    assert sum(line.quantity for line in spread) == sum(line.quantity for line in items)
    assert len(items) <= len(spread) <= len(items) + 1
    assert all(line.value >= 0 for line in spread)
    if len(spread) == len(items):
        share = discount / total(items) if total(items) else 0
        for before, after in zip(items, spread, strict=True):
            assert (after.quantity, after.sku) == (before.quantity, before.sku)
            assert abs(before.value * (1 - share) - after.value) <= Decimal("0.011")
            assert after.value <= before.value
