"""The recipe of a shop that sells goods and downloads."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django_sendcloud.testing import drain

from .models import Line, Order

RECIPE = "downloads"


def test_goods_alone_are_sent(sendcloud: Any, sendcloud_integration: Any, place: Callable[..., Order]) -> None:
    order = place(MUG={"quantity": 2}, SONG={"is_download": True})
    assert drain() == []
    shipment = sendcloud.shipment(str(order.pk))
    assert [item["sku"] for item in shipment["parcel_items"]] == ["MUG"]
    assert Decimal(str(shipment["total_order_value"])) == Decimal("19.90")


def test_order_of_downloads_is_not_sent(
    sendcloud: Any, sendcloud_integration: Any, place: Callable[..., Order]
) -> None:
    place(SONG={"is_download": True})
    assert drain() == []
    assert sendcloud.shipments() == []


def test_order_left_with_downloads_is_withdrawn(
    sendcloud: Any, sendcloud_integration: Any, place: Callable[..., Order]
) -> None:
    order = place(MUG={}, SONG={"is_download": True})
    drain()
    Line.objects.get(order=order, product__sku="MUG").delete()
    assert drain() == []
    assert sendcloud.shipments() == []
