"""The merchant of a run: makes labels in Sendcloud's panel and lets parcels travel, while everything else breaks."""

from __future__ import annotations

import contextlib
import random
import threading
from typing import Any

from django_sendcloud.sandbox import Sandbox

PAUSE_SECONDS = 0.2
# Parcels that meet a problem, once on their way.
DETOURS = (8, 15, 62989)
DETOUR = 0.1
# One label in this many is for two parcels.
TWO_PARCELS = 5


class Merchant:
    """A thread that ships the given orders as soon as they are at Sendcloud.

    Args:
        sandbox: The run's Sendcloud.
        orders: The ids of the orders, which no writer changes.
        seed: Decides what happens to which parcel.
    """

    def __init__(self, sandbox: Sandbox, orders: list[str], seed: int) -> None:
        self.sandbox = sandbox
        self.orders = orders
        self.random = random.Random(f"{seed}/merchant")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop, and leave every parcel where it is."""
        self._ended.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._ended.wait(self.random.uniform(0, 2 * PAUSE_SECONDS)):
            order = self.random.choice(self.orders)
            if self.sandbox.shipment(order) is not None:
                self._handle(order)

    def _handle(self, order: str) -> None:
        parcels = self.parcels_of(order)
        if not parcels:
            self.sandbox.create_label(order, 2 if self.random.randrange(TWO_PARCELS) == 0 else 1)
            return
        parcel = self.random.choice(parcels)
        if self.random.random() < DETOUR and parcel["status"]["id"] != 11:
            self.sandbox.set_parcel_status(parcel["id"], self.random.choice(DETOURS))
            return
        # The end of the journey has no next step.
        with contextlib.suppress(ValueError):
            self.sandbox.advance(parcel["id"])

    def parcels_of(self, order: str) -> list[dict[str, Any]]:
        """Return an order's parcels as v2 shows them."""
        return [parcel for parcel in self.sandbox.parcels() if parcel["external_order_id"] == order]
