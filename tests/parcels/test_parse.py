"""Readers of updates: whatever a field holds, the other fields are read, and all of it can be stored."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import example, given
from hypothesis import strategies as st

from django_sendcloud.models import Parcel, ParcelStatus
from django_sendcloud.parcels import parse
from django_sendcloud.parcels.parse import ParcelUpdate, ParseError

from ..webhooks.messages import BEGIN, parcel

FIELDS = [
    "shipment_uuid", "external_order_id", "external_shipment_id", "order_number", "carrier", "tracking_number",
    "tracking_url", "weight", "label", "is_return", "collo_nr", "collo_count", "status", "colli_uuid", "parcel_items",
]  # fmt: skip

# Values on which parsers of numbers, times and UUIDs stumble, beside all that JSON can hold.
NASTY = st.sampled_from(
    [
        "NaN", "sNaN", "Infinity", "-Infinity", "--5", "-", "+5", "5-", "1_000", "²", "٣", " 7 ", "1e999", "0x1f", "1" * 30,
        "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "99-99-9999 99:99:99", "\x00", "\ud800", "x" * 5000,
        2**31, 2**63, -(2**63), 10**400, 1e308, -0.0, True,
    ]
)  # fmt: skip
SCALARS = (
    NASTY | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES = SCALARS | st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["id", "code", "message", "label_printer", "normal_printer"]), inner, max_size=5
        )
    ),
)


def storable(update: ParcelUpdate) -> None:
    """Demand what PostgreSQL demands: text without NUL and lone surrogates, within its length, numbers in their range."""
    values = {**update.fields, "remote_id": update.remote_id, "status_id": update.status_id}
    for name, value in values.items():
        if value is None:
            continue
        field = (ParcelStatus if name == "status_id" else Parcel)._meta.get_field(name)
        if isinstance(value, str):
            value.encode()
            assert type(value) is str, "a hidden one may not be adapted by every driver"
            assert "\x00" not in value
            assert field.max_length is None or len(value) <= field.max_length
        elif isinstance(value, int) and not isinstance(value, bool):
            low, high = connection.ops.integer_field_range(field.get_internal_type())
            assert low is None or value >= low
            assert high is None or value <= high
        elif isinstance(value, dict | list):
            json.dumps(value, allow_nan=False).encode()
            assert "\\u0000" not in json.dumps(value)
    assert len(update.status_message) <= 255
    assert 0 <= (update.fields.get("weight") or 0) < 10**7


@given(st.sampled_from(FIELDS), VALUES)
@example("weight", "NaN")
@example("collo_nr", "--5")
@example("status", {"id": "--1"})
def test_update_odd_field_leaves_the_rest(name: str, value: Any) -> None:
    update = ParcelUpdate.read(parcel(**{name: value}))
    storable(update)
    assert update.remote_id == 4711
    if name != "tracking_number":
        assert update.fields["tracking_number"] == "3SABC0001"


@given(VALUES)
@example("--5")
@pytest.mark.long
def test_update_id_is_usable_or_refused(value: Any) -> None:
    with contextlib.suppress(ParseError):
        storable(ParcelUpdate.read(parcel(id=value)))


@given(VALUES)
@example(-1.8e305)
@example(float(2**63))
@pytest.mark.long
def test_time_is_read_or_absent(value: Any) -> None:
    found = parse.milliseconds(value)
    assert found is None or 0 < found < 2**63
    update = ParcelUpdate.read(parcel() | {"carrier_status_change_timestamp": value})
    assert update.carrier_at is None or update.carrier_at.tzinfo is not None


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_body_is_object_or_refused(body: str) -> None:
    with contextlib.suppress(ParseError):
        assert isinstance(parse.parse(body), dict)


@pytest.mark.parametrize("body", ["Jane Canary", '["Jane Canary"]', '{"name": "Jane Canary"', '{"Jane Canary": NaN}'])
def test_parse_error_holds_nothing_of_body(body: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse.parse(body)
    assert "Canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("limit", [parse.MILLISECONDS_ABOVE])
def test_seconds_end_where_milliseconds_begin(limit: int) -> None:
    assert parse.milliseconds(limit) == limit * 1000
    assert parse.milliseconds(limit + 1) == limit + 1
    assert parse.milliseconds(BEGIN) == parse.milliseconds(BEGIN // 1000) == BEGIN


ABSENT = object()


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        ("tracking_url", ABSENT, ABSENT),
        ("tracking_url", None, ""),
        ("tracking_url", "", ABSENT),
        ("tracking_url", "javascript:alert(1)", ABSENT),
        ("carrier", ABSENT, ABSENT),
        ("carrier", None, ""),
        ("carrier", {"code": None}, ABSENT),
        ("carrier", "dhl", "dhl"),
        ("weight", None, None),
        ("weight", "heavy", ABSENT),
        ("is_return", None, False),
        ("is_return", "yes", ABSENT),
        ("is_return", True, True),
        ("order_number", None, ABSENT),
        ("shipment_uuid", None, ABSENT),
        ("collo_count", None, None),
    ],
)
def test_update_absent_field_says_nothing(key: str, value: Any, found: Any) -> None:
    """Only null erases; which order a parcel belongs to is never taken back."""
    body = parcel(**{key: value})
    if value is ABSENT:
        del body["parcel"][key]
    if found is ABSENT:
        assert key not in ParcelUpdate.read(body).fields
    else:
        assert ParcelUpdate.read(body).fields[key] == found


def test_update_items_say_which_lines() -> None:
    item = {"sku": "MUG", "quantity": 2, "description": "Mug", "item_id": "7", "properties": {"name": "Jane Canary"}}
    update = ParcelUpdate.read(parcel(parcel_items=[item, "odd", {"quantity": -1}]))
    mug, odd = update.fields["items"]
    assert mug == {"sku": "MUG", "quantity": 2, "description": "Mug", "item_id": "7", "product_id": ""}
    assert odd["quantity"] == 1
    assert "Canary" not in repr(update)
