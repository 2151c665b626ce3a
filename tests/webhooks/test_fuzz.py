"""Random bodies: none is an error of ours, none is kept unsigned. ``SENDCLOUD_FUZZ`` sets the number of examples."""

from __future__ import annotations

import json
import logging
from typing import Any

import psutil
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_sendcloud.models import EventState, Integration, Parcel, WebhookEvent
from django_sendcloud.parcels.parse import milliseconds, moment
from django_sendcloud.webhooks import apply, signature

from .messages import parcel

FUZZ = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.large_base_example],
)

numbers = st.integers() | st.floats() | st.integers(-(2**70), 2**70)
leaves = (
    st.none() | st.booleans() | numbers | st.text(max_size=40) | st.sampled_from(["", "0", "-0", "1e9", "\x00", "é"])
)
anything = st.recursive(leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4), max_leaves=12)  # fmt: skip
FIELDS = [*sorted(parcel()["parcel"]), "shipment_uuid", "label", "collo_nr", "collo_count", "external_order_id"]
nearly_right = st.builds(
    lambda top, inner: {**parcel(), **top, "parcel": {**parcel()["parcel"], **inner}},
    st.dictionaries(
        st.sampled_from(["action", "timestamp", "carrier_status_change_timestamp", "integration"]), anything
    ),
    st.dictionaries(st.sampled_from(FIELDS), anything),
)
bodies = (anything | nearly_right).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200)


def fresh() -> Integration:
    for model in (WebhookEvent, Parcel, Integration):
        model._default_manager.all().delete()
    return Integration.objects.create(remote_id=1, public_key="p", secret_key="secret")


@pytest.mark.long
@FUZZ
@given(body=bodies, header=st.binary(max_size=80))
def test_unsigned_body_is_rejected_without_error(db: None, body: bytes, header: bytes) -> None:
    integration = Integration.objects.first() or fresh()
    answer = Client().post(
        integration.webhook_path(),
        body,
        content_type="application/json",
        headers={signature.HEADER: header.decode("latin-1")},
    )
    assert answer.status_code in (403, 411)
    assert not WebhookEvent.objects.exists()


@pytest.mark.long
@FUZZ
@given(body=bodies.filter(bool))
def test_signed_body_is_applied_or_explained(db: None, body: bytes) -> None:
    integration = fresh()
    answer = Client().post(
        integration.webhook_path(),
        body,
        content_type="application/json",
        headers={signature.HEADER: signature.sign(body, "secret")},
    )
    assert answer.status_code == 200
    apply.drain()
    event: Any = WebhookEvent.objects.get()
    if not event.action.startswith("integration_"):
        # An integration's event asks Sendcloud, which does not answer here.
        assert event.state != EventState.RECEIVED, event.note
        assert event.note.get("code") != "not_applied"
    for found in Parcel.objects.all():
        assert str(found) is not None


@FUZZ
@given(value=anything)
@pytest.mark.long
def test_times_never_break(value: Any) -> None:
    milliseconds(value)
    moment(value)


@pytest.mark.long
def test_memory_does_not_grow(db: None) -> None:
    integration = fresh()
    client, process = Client(), psutil.Process()
    body = b"[" * 100_000

    def refused(times: int) -> None:
        for _ in range(times):
            client.post(integration.webhook_path(), body, content_type="application/json")

    logging.disable(logging.CRITICAL)  # pytest keeps every record, and with it the request
    try:
        refused(300)
        before = process.memory_info().rss
        refused(1500)
        assert process.memory_info().rss - before < 20 * 2**20
    finally:
        logging.disable(logging.NOTSET)
