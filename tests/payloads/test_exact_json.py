"""JSON with exact numbers."""

from __future__ import annotations

import json
import types
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_sendcloud.enums import Currency, CustomsShipmentType
from django_sendcloud.payloads.exact_json import dumps

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Decimal("12.990"), "12.99"),
        (Decimal("1E+3"), "1000"),
        (Decimal("90071992547409.93"), "90071992547409.93"),
        (Decimal("-0.50"), "-0.5"),
        ("Zoë \u2028 \"'\\", '"Zoë \u2028 \\"\'\\\\"'),
        ([1, (True, None)], "[1,[true,null]]"),
        ({"b": 1.5, "a": []}, '{"b":1.5,"a":[]}'),
        (types.MappingProxyType({"a": Currency.EUR}), '{"a":"EUR"}'),
        (CustomsShipmentType.GIFT, "0"),
    ],
)
def test_value_is_written_compactly(value: Any, written: str) -> None:
    assert dumps(value) == written


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (Decimal("NaN"), ValueError),
        ({"a": [Decimal("-Infinity")]}, ValueError),
        (object(), TypeError),
        ({1, 2}, TypeError),
        ({(1, 2): 3}, TypeError),
    ],
)
def test_value_beyond_json_is_refused(value: Any, error: type) -> None:
    with pytest.raises(error):
        dumps(value)


def test_keys_are_sorted_on_demand() -> None:
    assert dumps({"b": {"d": 1, "c": 2}, "a": 3}, sort_keys=True) == '{"a":3,"b":{"c":2,"d":1}}'


@given(values)
@pytest.mark.long
def test_json_reads_back_exactly(value: Any) -> None:
    assert json.loads(dumps(value), parse_float=Decimal) == value
