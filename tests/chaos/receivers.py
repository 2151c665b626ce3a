"""Hooks of the shop's adapter for a chaos run: a choice of accounts, and a receiver that is slow, fails or dies."""

from __future__ import annotations

import os
import random
import time
from typing import Any

from django.db import connections

from .accounts import get_integration

# Shares of the calls. Each try draws again, so that every call succeeds in the end.
SLOW, FAILING, DYING = 0.15, 0.15, 0.05
SLOW_SECONDS = (0.3, 2.5)
TABLE = "chaos_heard"
COLUMNS = "order_pk VARCHAR(40), parcel BIGINT, phase VARCHAR(20), at DOUBLE PRECISION"


class ReceiverError(Exception):
    """The shop's own code fails."""


def on_parcel(adapter: Any, order: Any, parcel: Any, change: Any) -> None:
    """Note the call in the transaction that it runs in, and then be slow, fail or die."""
    with connections[order._state.db].cursor() as cursor:
        row = [str(order.pk), parcel.remote_id, change.phase.value, time.monotonic()]
        cursor.execute(f"INSERT INTO {TABLE} VALUES (%s, %s, %s, %s)", row)
    fate = random.random()
    if fate < DYING:
        os._exit(1)
    if fate < DYING + FAILING:
        raise ReceiverError
    if fate < DYING + FAILING + SLOW:
        time.sleep(random.uniform(*SLOW_SECONDS))


def install() -> None:
    """Give the example shop's adapter these hooks."""
    from shop.sendcloud import SendcloudOrder

    SendcloudOrder.get_integration = get_integration  # type: ignore[method-assign]
    SendcloudOrder.on_parcel = on_parcel  # type: ignore[method-assign]
