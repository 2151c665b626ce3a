"""The service point of an order, as the shop names it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.shop.models import Order
from tests.shop.sendcloud import ShopOrder

POINT = {
    "id": 1000001,
    "name": "Primera <Centrum>",
    "street": "Markt",
    "house_number": "12",
    "postal_code": "5611 EB",
    "city": "Eindhoven",
    "country": "NL",
    "post_number": "CANARY",
    "chosen_at": "2026-03-01T12:00:00+00:00",
}


@pytest.fixture
def chosen(order: Order, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Let the shop name a service point; the test may change it."""
    stored = dict(POINT)
    monkeypatch.setattr(ShopOrder, "get_service_point", lambda self, order: stored)
    return stored
