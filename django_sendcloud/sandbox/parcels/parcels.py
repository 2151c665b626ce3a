"""All parcels of the sandbox."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import uuid
from collections.abc import Callable
from typing import Any

from ..store import StoredOrder
from .parcel import Parcel
from .statuses import READY_TO_SEND

__all__ = ["Parcels"]


class Parcels:
    """All parcels, guarded by the lock of the store.

    Args:
        lock: The store's lock.
        clock: Function that returns the time, in UTC.
    """

    def __init__(self, lock: threading.RLock, clock: Callable[[], dt.datetime]) -> None:
        self._lock = lock
        self._clock = clock
        self._parcels: dict[int, Parcel] = {}
        self._ids = itertools.count(100_001)

    def create(
        self, order: StoredOrder, count: int, hidden: frozenset[str] = frozenset(), *, hidden_empty: bool = True
    ) -> list[Parcel]:
        """Make labels for an order that travels in ``count`` parcels.

        Args:
            order: Order to ship.
            count: Number of parcels.
            hidden: Fields referring to the order that API and webhooks do not show.
            hidden_empty: Whether these are empty, or absent.

        Raises:
            ValueError: ``count`` is less than one, or the order has no address.
        """
        if count < 1:
            raise ValueError(f"A shipment travels in at least one parcel, not in {count}.")
        colli = str(uuid.uuid4())
        with self._lock:
            shipment = order.shipment
            if not shipment["country"]:
                raise ValueError("The order has no address.")
            return [
                self._add(
                    order.integration_id,
                    shipment,
                    order.uuid,
                    colli,
                    collo_nr=index,
                    collo_count=count,
                    hidden=hidden,
                    hidden_empty=hidden_empty,
                )
                for index in range(count)
            ]

    def create_return(self, outgoing: Parcel) -> Parcel:
        """Make the label that sends a parcel back."""
        with self._lock:
            return self._add(
                outgoing.integration_id,
                outgoing.shipment,
                outgoing.shipment_uuid,
                str(uuid.uuid4()),
                collo_nr=0,
                collo_count=1,
                is_return=True,
                hidden=outgoing.hidden,
                hidden_empty=outgoing.hidden_empty,
                outgoing_id=outgoing.id,
            )

    def _add(self, integration_id: int, shipment: Any, shipment_uuid: str, colli: str, **fields: Any) -> Parcel:
        now = self._clock()
        parcel = Parcel(
            id=next(self._ids),
            integration_id=integration_id,
            shipment=shipment,
            shipment_uuid=shipment_uuid,
            colli_uuid=colli,
            created_at=now,
            updated_at=now,
            statuses=[(now, READY_TO_SEND)],
            **fields,
        )
        self._parcels[parcel.id] = parcel
        return parcel

    def set_status(self, parcel: Parcel, status_id: int) -> None:
        """Set a parcel's status, known or unknown."""
        with self._lock:
            parcel.updated_at = self._clock()
            parcel.statuses.append((parcel.updated_at, status_id))

    def get(self, parcel_id: int) -> Parcel | None:
        """Return a parcel."""
        return self._parcels.get(parcel_id)

    def remove(self, parcel: Parcel) -> None:
        """Delete a parcel."""
        with self._lock:
            self._parcels.pop(parcel.id, None)

    def all(self) -> list[Parcel]:
        """Return all parcels, oldest first."""
        with self._lock:
            return list(self._parcels.values())

    def of(self, shipment_uuid: str) -> list[Parcel]:
        """Return the parcels of an order, oldest first."""
        return [parcel for parcel in self.all() if parcel.shipment_uuid == shipment_uuid]

    def clear(self) -> None:
        """Delete all parcels. Ids go on."""
        with self._lock:
            self._parcels.clear()
