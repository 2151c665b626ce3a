"""The recipe of a shop with shipments of its own."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from django_sendcloud.testing import drain, send_webhook

from .models import Dispatch, Order

RECIPE = "own_shipments"


@pytest.mark.long
def test_departed_parcel_becomes_a_dispatch(
    sendcloud: Any, sendcloud_integration: Any, place: Callable[..., Order]
) -> None:
    order = place(MUG={"quantity": 2}, POT={})
    assert drain() == []
    [parcel] = sendcloud.create_label(str(order.pk))
    moments = itertools.count(int(time.time() * 1000), 60_000)
    seen = []
    for _ in range(10):
        sendcloud.advance(parcel["id"])
        update = {
            "action": "parcel_status_changed",
            "timestamp": next(moments),
            "parcel": sendcloud.parcel(parcel["id"]),
        }
        for _again in range(2):
            assert send_webhook(Client(), sendcloud_integration, update).status_code == 200
        drain()
        seen.append(Dispatch.objects.count())
    assert seen[0] == 0, "a label is no departure"
    dispatch = Dispatch.objects.get()
    assert (dispatch.order, dispatch.parcel) == (order, parcel["id"])
    assert dispatch.tracking_url
    assert {each.line.product.sku: each.quantity for each in dispatch.lines.all()} == {"MUG": 2, "POT": 1}
