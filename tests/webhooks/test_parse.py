"""Reading webhooks: whatever stands in a field, the rest of the news is read, and all of it can be stored."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from django.db import connection
from hypothesis import example, given
from hypothesis import strategies as st

from django_sendcloud.models import Parcel, ParcelStatus
from django_sendcloud.webhooks import parse
from django_sendcloud.webhooks.parse import ParcelNews, ParseError

from .messages import BEGIN, parcel

FIELDS = [
    "shipment_uuid", "external_order_id", "external_shipment_id", "order_number", "carrier", "tracking_number",
    "tracking_url", "weight", "label", "is_return", "collo_nr", "collo_count", "status",
]  # fmt: skip

# What parsers of numbers, times and UUIDs are known to stumble over, beside whatever JSON can hold.
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


def storable(news: ParcelNews) -> None:
    """As strict as PostgreSQL: text without NUL and lone surrogates, within its length, and numbers in their range."""
    for model, names in (
        (Parcel, [*FIELDS, "remote_id"]),
        (ParcelStatus, ["status_id"]),
    ):
        for name in names:
            value = getattr(news, {"label": "labels", "status": "status_id"}.get(name, name))
            if value is None:
                continue
            field = model._meta.get_field({"label": "labels", "status": "status_id"}.get(name, name))
            if isinstance(value, str):
                value.encode()
                assert "\x00" not in value
                assert field.max_length is None or len(value) <= field.max_length
            elif isinstance(value, int) and not isinstance(value, bool):
                low, high = connection.ops.integer_field_range(field.get_internal_type())
                assert low is None or value >= low
                assert high is None or value <= high
            elif isinstance(value, dict):
                json.dumps(value, allow_nan=False).encode()
                assert "\\u0000" not in json.dumps(value)
    assert len(news.status_message) <= 255
    assert news.weight is None or 0 <= news.weight < 10**7


@given(st.sampled_from(FIELDS), VALUES)
@example("weight", "NaN")
@example("collo_nr", "--5")
@example("status", {"id": "--1"})
def test_whatever_a_field_holds_the_rest_is_read(name: str, value: Any) -> None:
    news = ParcelNews.read(parcel(**{name: value}))
    storable(news)
    assert news.remote_id == 4711
    if name != "tracking_number":
        assert news.tracking_number == "3SABC0001"


@given(VALUES)
@example("--5")
def test_an_id_is_usable_or_refused(value: Any) -> None:
    with contextlib.suppress(ParseError):
        storable(ParcelNews.read(parcel(id=value)))


@given(VALUES)
@example(-1.8e305)
@example(float(2**63))
def test_a_time_is_read_or_absent(value: Any) -> None:
    found = parse.milliseconds(value)
    assert found is None or 0 < found < 2**63
    news = ParcelNews.read(parcel() | {"carrier_status_change_timestamp": value})
    assert news.carrier_at is None or news.carrier_at.tzinfo is not None


@given(st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")))
def test_a_body_is_an_object_or_refused(body: str) -> None:
    with contextlib.suppress(ParseError):
        assert isinstance(parse.parse(body), dict)


@pytest.mark.parametrize("body", ["Jane Canary", '["Jane Canary"]', '{"name": "Jane Canary"', '{"Jane Canary": NaN}'])
def test_the_reason_holds_nothing_of_the_body(body: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse.parse(body)
    assert "Canary" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("limit", [parse.MILLISECONDS_ABOVE])
def test_seconds_end_where_milliseconds_begin(limit: int) -> None:
    assert parse.milliseconds(limit) == limit * 1000
    assert parse.milliseconds(limit + 1) == limit + 1
    assert parse.milliseconds(BEGIN) == parse.milliseconds(BEGIN // 1000) == BEGIN
