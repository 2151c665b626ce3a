"""Violations: codes with parameters that are stored, read back and rendered."""

from __future__ import annotations

import ast
import json
import pickle
import string
from decimal import Decimal
from pathlib import Path

import pytest

import django_sendcloud
from django_sendcloud.exceptions import PayloadError
from django_sendcloud.payloads import ParcelItem, ShipmentPayload, Status, collect
from django_sendcloud.violations import MESSAGES, Violation, errors_from_json, errors_to_json, remote_errors

from .builders import item, shipment

PACKAGE = Path(django_sendcloud.__file__).parent


@pytest.mark.long
def test_code_raised_has_a_message() -> None:
    """The codes in the source and those of the table are the same, so no code is without text and no text unused."""
    used = {"text"}  # made of stored or foreign text
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
                name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
                if name in ("Violation", "violated") and node.args:
                    used |= {leaf.value for leaf in ast.walk(node.args[0]) if isinstance(leaf, ast.Constant)}
    assert used == set(MESSAGES)


def test_violation_text_names_missing_parameters() -> None:
    assert str(Violation("too_long", {"limit": 3})) == "May have at most 3 characters, has …; shorten it."
    assert str(Violation("of_a_newer_version")) == "Breaks the rule 'of_a_newer_version'."


@pytest.mark.parametrize("code", MESSAGES)
def test_violation_survives_storage(code: str) -> None:
    names = [name for _, name, _, _ in string.Formatter().parse(MESSAGES[code]) if name]
    violation = Violation(code, {name: ["a", "b"] if name == "choices" else "{x} %s" for name in names})
    stored = json.loads(json.dumps(errors_to_json({"city": [violation]})))
    assert errors_from_json(stored) == {"city": [violation]}
    assert "…" not in str(violation)
    assert all(str(value) in str(violation) for value in violation.params.values() if isinstance(value, str))


@pytest.mark.parametrize("stored", [None, [], "x", 3])
def test_stored_nonsense_reads_as_nothing(stored: object) -> None:
    assert errors_from_json(stored) == {}


@pytest.mark.parametrize("stored", ["On strike.", ["On strike."], [3], [None], [{"params": {}}], [{"code": 3}]])
def test_stored_text_reads_as_text(stored: object) -> None:
    [[violation]] = errors_from_json({"city": stored}).values()
    assert violation.code == "text"
    assert str(violation)


def test_stored_params_of_wrong_shape_are_dropped() -> None:
    assert errors_from_json({"a": [{"code": "required", "params": 3}]}) == {"a": [Violation("required")]}


def test_remote_text_stays_text() -> None:
    errors = remote_errors({"city": ["This field is required."]})
    assert errors == {"city": [Violation("remote", {"text": "This field is required."})]}
    assert str(errors["city"][0]) == "This field is required."


def test_shops_own_text_is_taken() -> None:
    error = PayloadError({"city": ["Is flooded {today}."]}, "order '1'")
    assert error.errors == {"city": [Violation("text", {"text": "Is flooded {today}."})]}
    assert str(error) == "order '1': city: Is flooded {today}."
    assert pickle.loads(pickle.dumps(error)).errors == error.errors


def test_params_hold_no_personal_data() -> None:
    """Only fields without personal data repeat their value."""
    personal = ("name", "company_name", "address", "address_2", "house_number", "postal_code", "city", "telephone")
    for name in (*personal, "email", "to_post_number", "to_state"):
        for value in ("Ada\0", "Ada\ud800", 1815):
            with pytest.raises(PayloadError) as caught:
                shipment(**{name: value})
            [[violation]] = caught.value.errors.values()
            assert not {"Ada", "1815"} & {str(param) for param in violation.params.values()}
    with pytest.raises(PayloadError) as caught:
        shipment(email="ada")
    assert caught.value.errors == {"email": [Violation("email")]}


def test_params_can_be_stored_everywhere() -> None:
    """A SKU, a currency or a number may hold characters that a database refuses."""
    with pytest.raises(PayloadError) as caught:
        item(sku="A\0\ud800", value="1\0", quantity="\ud800")
    for violations in caught.value.errors.values():
        for param in violations[0].params.values():
            assert "\0" not in str(param)
            str(param).encode()


# -- lines -----------------------------------------------------------------------------------------------------------


def built_from(*lines: dict[str, object]) -> ShipmentPayload:
    return collect(lambda: shipment(parcel_items=[item(**line) for line in lines]))


def test_item_errors_name_line_and_sku() -> None:
    with pytest.raises(PayloadError) as caught:
        built_from({}, {"sku": "RED", "weight": -1}, {"product_id": "7", "quantity": 0}, {"value": Decimal("1.999")})
    assert caught.value.subject == "order '1042'"
    lines = {path: violations[0].line for path, violations in caught.value.errors.items()}
    assert lines == {
        "parcel_items[1].weight": "SKU RED",
        "parcel_items[2].quantity": "product 7",
        "parcel_items[3].value": "item Mug",
    }
    assert "parcel_items[1].weight (SKU RED): Must be at least 0 kg, got -1" in str(caught.value)


def test_collected_errors_include_other_fields() -> None:
    with pytest.raises(PayloadError) as caught:
        collect(lambda: shipment(city="", order_status=Status(id="", message="x"), parcel_items=[item(quantity=0)]))
    assert set(caught.value.errors) == {"city", "order_status.id", "parcel_items[0].quantity"}


def test_item_outside_collect_raises_immediately() -> None:
    with pytest.raises(PayloadError, match="Must be at least 1"):
        item(quantity=0)


def test_collect_keeps_an_adapters_own_handling() -> None:
    """An adapter that skips invalid lines itself sees the same errors, because the first pass is plain."""

    def build() -> ShipmentPayload:
        items = []
        for quantity in (1, 0):
            try:
                items.append(item(quantity=quantity))
            except PayloadError:
                continue
        return shipment(parcel_items=items)

    assert len(collect(build).parcel_items or ()) == 1


def test_collect_falls_back_to_first_error() -> None:
    """An adapter that reckons with an invalid value fails in the second pass: the first error stands."""
    with pytest.raises(PayloadError) as caught:
        collect(lambda: shipment(parcel_items=[made := item(value="12.99")], total_order_value=made.value * 2 + 1))
    assert list(caught.value.errors) == ["value"]


def test_kept_errors_never_leave_the_build() -> None:
    """An invalid item that no shipment took is not written, and the next item raises again."""
    kept: list[ParcelItem] = []

    def build() -> None:
        kept.append(item(quantity=0))

    with pytest.raises(PayloadError):
        collect(build)
    with pytest.raises(PayloadError, match="quantity"):
        kept[0].to_json()
    with pytest.raises(PayloadError):
        item(quantity=0)
