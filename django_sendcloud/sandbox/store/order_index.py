"""The orders of one integration."""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterable, Iterator

from .order import ANY, AnyShipment, StoredOrder

__all__ = ["OrderIndex"]


class OrderIndex:
    """The orders of one integration, with an index for each way to find one."""

    def __init__(self) -> None:
        self.by_number: dict[int, StoredOrder] = {}
        self.by_uuid: dict[str, StoredOrder] = {}
        self._by_order_id: dict[str, list[StoredOrder]] = {}
        self._numbers: list[int] = []

    def __iter__(self) -> Iterator[StoredOrder]:
        return (self.by_number[number] for number in self._numbers)

    def add(self, order: StoredOrder) -> None:
        """Add an order."""
        self.by_number[order.number] = order
        self.by_uuid[order.uuid] = order
        self._by_order_id.setdefault(order.order_id, []).append(order)
        bisect.insort(self._numbers, order.number)

    def remove(self, order: StoredOrder) -> None:
        """Remove an order."""
        del self.by_number[order.number], self.by_uuid[order.uuid]
        same = self._by_order_id[order.order_id]
        same.remove(order)
        if not same:
            del self._by_order_id[order.order_id]
        del self._numbers[bisect.bisect_left(self._numbers, order.number)]

    def find(self, order_id: str, shipment_id: str | AnyShipment | None) -> StoredOrder | None:
        """Return the oldest order with these ids of the shop."""
        for order in self._by_order_id.get(order_id, ()):
            if shipment_id in (ANY, order.shipment_id):
                return order
        return None

    def walk(self, position: int | None, *, back: bool) -> Iterator[StoredOrder]:
        """Iterate over the orders after a number or, going back, before it."""
        if back:
            start = bisect.bisect_left(self._numbers, position) if position is not None else len(self._numbers)
            numbers: Iterable[int] = (self._numbers[index] for index in range(start - 1, -1, -1))
        else:
            start = bisect.bisect_right(self._numbers, position) if position is not None else 0
            numbers = itertools.islice(self._numbers, start, None)
        return (self.by_number[number] for number in numbers)
