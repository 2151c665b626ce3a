"""The recipe of a shop with pre-orders."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from django_sendcloud.jobs import sweep
from django_sendcloud.testing import drain
from tests import factories

from .models import Line, Order

RECIPE = "preorders"


def packages(sendcloud: Any) -> dict[str, list[str]]:
    return {
        each["external_shipment_id"]: [item["sku"] for item in each["parcel_items"]] for each in sendcloud.shipments()
    }


@pytest.fixture
def pass_time(later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass, for the engine and for the shop."""
    now = timezone.now

    def move(seconds: float) -> None:
        later(seconds)
        monkeypatch.setattr(timezone, "now", lambda: now() + dt.timedelta(seconds=seconds))

    return move


@pytest.mark.long
def test_preorder_follows_at_its_release(
    sendcloud: Any, sendcloud_integration: Any, place: Callable[..., Order], pass_time: Callable[[float], None]
) -> None:
    release = timezone.now() + dt.timedelta(days=2)
    place(MUG={}, BOOK={"released_at": release}, OLD={"released_at": timezone.now() - dt.timedelta(days=9)})
    assert drain() == []
    assert packages(sendcloud) == {"now": ["MUG", "OLD"]}
    sweep()
    assert not factories.outbox().exists(), "it is no backlog"
    pass_time(2 * 86400 + 60)
    sweep()
    drain()
    assert packages(sendcloud) == {"now": ["MUG", "OLD"], release.date().isoformat(): ["BOOK"]}


def test_order_of_preorders_waits_whole(
    sendcloud: Any, sendcloud_integration: Any, place: Callable[..., Order], pass_time: Callable[[float], None]
) -> None:
    place(BOOK={"released_at": timezone.now() + dt.timedelta(hours=1)})
    assert drain() == []
    assert packages(sendcloud) == {}
    pass_time(3660)
    sweep()
    drain()
    assert list(packages(sendcloud).values()) == [["BOOK"]]


@pytest.mark.long
def test_postponed_release_is_followed(
    sendcloud: Any, sendcloud_integration: Any, place: Callable[..., Order], pass_time: Callable[[float], None]
) -> None:
    order = place(BOOK={"released_at": timezone.now() + dt.timedelta(hours=1)})
    drain()
    product = Line.objects.get(order=order).product
    product.released_at = timezone.now() + dt.timedelta(hours=5)
    product.save()
    pass_time(3660)
    sweep()
    drain()
    assert packages(sendcloud) == {}
    pass_time(5 * 3600 + 60)
    sweep()
    drain()
    assert len(packages(sendcloud)) == 1
