"""v3 orders that Sendcloud has accepted and not saved yet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

__all__ = ["AcceptedOrder", "UnsavedOrders"]


@dataclass(slots=True, eq=False)
class AcceptedOrder:
    """An order that is accepted and not saved.

    Attributes:
        number: Number of the order that it creates or updates.
        is_new: Whether it creates the order.
        document: The order as v3 sent it.
        keep: Whether blocks that the document leaves out stay as they are.
        recreates: Whether it creates the order again that was deleted meanwhile.
        due: Moment of saving in seconds of the monotonic clock; ``None`` waits for a call.
    """

    integration_id: int
    number: int
    is_new: bool
    document: dict[str, Any] = field(repr=False)
    keep: bool
    recreates: bool
    due: float | None

    @property
    def order_id(self) -> str:
        """The shop's id of the order."""
        return str(self.document["order_id"])


class UnsavedOrders:
    """All orders that are accepted and not saved, in the order of acceptance."""

    def __init__(self) -> None:
        self._accepted: list[AcceptedOrder] = []

    def add(self, order: AcceptedOrder) -> None:
        """Add an accepted order."""
        self._accepted.append(order)

    def all(self) -> list[AcceptedOrder]:
        """Return all accepted orders."""
        return list(self._accepted)

    def find(self, integration_id: int, order_id: str) -> AcceptedOrder | None:
        """Return the first accepted order with the shop's id."""
        return next(
            (
                accepted
                for accepted in self._accepted
                if accepted.integration_id == integration_id and accepted.order_id == order_id
            ),
            None,
        )

    def take_due(self, *, everything: bool = False) -> list[AcceptedOrder]:
        """Remove and return the orders whose moment of saving has come."""
        if not self._accepted:
            return []
        now = time.monotonic()
        due = [order for order in self._accepted if everything or (order.due is not None and order.due <= now)]
        if due:
            self._accepted = [order for order in self._accepted if order not in due]
        return due

    def drop(self, number: int) -> bool:
        """Remove all accepted changes of an order, and return whether there were any."""
        before = len(self._accepted)
        self._accepted = [order for order in self._accepted if order.number != number]
        return len(self._accepted) < before

    def clear(self) -> None:
        """Remove all accepted orders."""
        self._accepted.clear()
