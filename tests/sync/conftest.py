from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from django_sendcloud.payloads import ShipmentPayload
from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder


@pytest.fixture
def extra(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return fields that the shop's payloads get, to be changed by the test."""
    fields: dict[str, Any] = {}
    plain = ShopOrder.get_shipments

    def get_shipments(self: ShopOrder, order: Order) -> Iterator[ShipmentPayload]:
        for payload in plain(self, order):
            yield dataclasses.replace(payload, **fields)

    monkeypatch.setattr(ShopOrder, "get_shipments", get_shipments)
    return fields
