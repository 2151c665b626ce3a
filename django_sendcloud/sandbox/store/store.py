"""Everything that the sandbox stores.

One lock guards all of it. Methods take it themselves; a caller that needs several steps to be one holds it around them.
"""

from __future__ import annotations

import copy
import datetime as dt
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ..moments import iso, parse_moment
from .integration import SandboxIntegration
from .merging import merged
from .order import ANY, FIRST_ID, AnyShipment, Generation, StoredOrder
from .order_index import OrderIndex
from .unsaved import AcceptedOrder, UnsavedOrders

__all__ = ["Store"]


class Store:
    """Integrations, their orders, and the merchant's connection log.

    Attributes:
        lock: Lock that guards all of it.
        clock: Function that returns the time, in UTC. Replaceable.
        unsaved: v3 orders that are accepted and not saved.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
        self.integrations: dict[int, SandboxIntegration] = {}
        self.connection_log: list[dict[str, Any]] = []
        self.unsaved = UnsavedOrders()
        self._indexes: dict[int, OrderIndex] = {}
        self._order_numbers = itertools.count(1)
        self._log_numbers = itertools.count(1)

    # Integrations

    def add(self, integration: SandboxIntegration) -> None:
        """Add an integration.

        Raises:
            ValueError: Its id or its public key is taken.
        """
        with self.lock:
            for other in self.integrations.values():
                if integration.id == other.id or integration.public_key == other.public_key:
                    raise ValueError(f"There is already an integration {other.id} with this id or public key.")
            integration.created_at = integration.last_updated_at = self.clock()
            self.integrations[integration.id] = integration
            self._indexes[integration.id] = OrderIndex()

    def remove(self, integration_id: int) -> None:
        """Remove an integration, its orders and its log entries."""
        with self.lock:
            del self.integrations[integration_id], self._indexes[integration_id]
            self.connection_log = [entry for entry in self.connection_log if entry["integration_id"] != integration_id]

    def of_account(self, account: str) -> list[SandboxIntegration]:
        """Return the integrations of an account, oldest first."""
        with self.lock:
            return [integration for integration in self.integrations.values() if integration.account == account]

    def by_public_key(self, public_key: str) -> SandboxIntegration | None:
        """Return the integration that a public key belongs to."""
        with self.lock:
            return next((i for i in self.integrations.values() if i.public_key == public_key), None)

    # Orders

    def put_shipment(self, integration_id: int, fields: Mapping[str, Any]) -> tuple[str, StoredOrder]:
        """Create or update an order by a v2 shipment. Sendcloud ignores one whose ``updated_at`` did not change.

        Returns:
            ``created``, ``updated`` or ``unchanged``, and the order.
        """
        with self.lock:
            self.save_due()
            order_id, shipment_id = fields["external_order_id"], fields["external_shipment_id"]
            order = self._indexes[integration_id].find(order_id, shipment_id)
            if order is None:
                order = self._create(integration_id, next(self._order_numbers), dict(fields), "v2")
                return "created", order
            if order.shop_updated_at == parse_moment(fields["updated_at"]):
                return "unchanged", order
            self._change(order, dict(fields), "v2")
            return "updated", order

    def accept(
        self,
        integration_id: int,
        document: dict[str, Any],
        order: StoredOrder | None,
        delay: float | None,
        *,
        keep: bool,
        recreates: bool,
        lost: bool,
    ) -> AcceptedOrder:
        """Accept a v3 order, which is saved later.

        Args:
            integration_id: Integration of the order.
            document: The order without unknown fields.
            order: Saved order that it updates; ``None`` finds it by the shop's id.
            delay: Seconds until it is saved; ``None`` until :meth:`save_due` is called for everything.
            keep: Whether blocks that the document leaves out stay as they are.
            recreates: Whether it creates the order again that was deleted meanwhile.
            lost: Whether the order is never saved.
        """
        with self.lock:
            order_id = document["order_id"]
            order = order or self._indexes[integration_id].find(order_id, ANY)
            pending = self.unsaved.find(integration_id, order_id)
            if order is not None:
                number = order.number
            elif pending is not None:
                number = pending.number
            else:
                number = next(self._order_numbers)
            due = None if delay is None else time.monotonic() + delay
            is_new = order is None and pending is None
            accepted = AcceptedOrder(integration_id, number, is_new, document, keep, recreates, due)
            if not lost:
                self.unsaved.add(accepted)
                self.save_due()
            return accepted

    def save_due(self, *, everything: bool = False) -> None:
        """Save accepted orders whose moment has come, or all of them.

        Args:
            everything: Whether to save those, too, that wait longer.
        """
        with self.lock:
            for accepted in self.unsaved.take_due(everything=everything):
                self._save(accepted)

    def _save(self, accepted: AcceptedOrder) -> None:
        book = self._indexes.get(accepted.integration_id)
        if book is None:
            return
        order = book.by_number.get(accepted.number) or book.find(accepted.order_id, ANY)
        if order is None:
            if accepted.is_new or accepted.recreates:
                self._create(accepted.integration_id, accepted.number, accepted.document, "v3")
            return
        document = merged(order.document, accepted.document) if accepted.keep else accepted.document
        self._change(order, document, "v3")

    def _create(self, integration_id: int, number: int, content: dict[str, Any], generation: Generation) -> StoredOrder:
        now, new = self.clock(), generation == "v3"
        order = StoredOrder(
            number=number,
            uuid=str(uuid.uuid4()),
            integration_id=integration_id,
            order_id=content["order_id" if new else "external_order_id"],
            shipment_id=None if new else content["external_shipment_id"],
            order_number=content["order_number"],
            content=content,
            generation=generation,
            came_by=generation,
            shop_updated_at=_shop_updated_at(content, generation),
            created_at=now,
            updated_at=now,
        )
        self._indexes[integration_id].add(order)
        return order

    def _change(self, order: StoredOrder, content: dict[str, Any], generation: Generation) -> None:
        order.content, order.generation, order.updated_at = content, generation, self.clock()
        order.order_number = content["order_number"]
        order.shop_updated_at = _shop_updated_at(content, generation)

    def patch(self, order: StoredOrder, document: dict[str, Any]) -> None:
        """Replace the content of an order by another v3 document."""
        with self.lock:
            self._change(order, document, "v3")

    def split(self, order: StoredOrder, parts: int) -> list[StoredOrder]:
        """Split an order into several with the same ids and number of the shop, each with a share of its items.

        Raises:
            ValueError: The order has fewer items than parts.
        """
        with self.lock:
            name, place = ("order_items", "order_details") if order.generation == "v3" else ("parcel_items", None)
            items = (order.content[place] if place else order.content)[name] or []
            if not 2 <= parts <= len(items):
                raise ValueError(f"An order with {len(items)} items cannot be split into {parts} parts.")
            made = []
            for index in range(parts):
                content = copy.deepcopy(order.content)
                (content[place] if place else content)[name] = copy.deepcopy(items[index::parts])
                if index:
                    part = self._create(order.integration_id, next(self._order_numbers), content, order.generation)
                    part.shipment_id, part.came_by = order.shipment_id, order.came_by
                else:
                    part = order
                    self._change(order, content, order.generation)
                part.part = f"{index + 1} of {parts}"
                made.append(part)
            return made

    def delete(self, order: StoredOrder) -> None:
        """Delete an order."""
        with self.lock:
            self._indexes[order.integration_id].remove(order)

    def find(
        self,
        integration_id: int | None = None,
        *,
        uuid: str | None = None,
        order_id: str | None = None,
        shipment_id: str | AnyShipment | None = ANY,
    ) -> StoredOrder | None:
        """Return an order by its uuid or by the shop's ids; in all integrations if none is given."""
        with self.lock:
            self.save_due()
            books = self._indexes.values() if integration_id is None else [self._indexes[integration_id]]
            for book in books:
                order = book.find(order_id or "", shipment_id) if uuid is None else book.by_uuid.get(uuid)
                if order is not None:
                    return order
        return None

    def by_id(self, order_id: int) -> StoredOrder | None:
        """Return an order by Sendcloud's id of v3."""
        with self.lock:
            self.save_due()
            for book in self._indexes.values():
                if (order := book.by_number.get(order_id - FIRST_ID)) is not None:
                    return order
        return None

    def orders(self, integration_id: int | None = None) -> list[StoredOrder]:
        """Return the orders of an integration, or all, oldest first."""
        with self.lock:
            self.save_due()
            books = self._indexes.values() if integration_id is None else [self._indexes[integration_id]]
            return sorted((order for book in books for order in book), key=lambda order: order.number)

    def page(
        self,
        integration_id: int,
        wanted: Callable[[StoredOrder], bool],
        size: int,
        position: int | None,
        *,
        back: bool = False,
    ) -> tuple[list[StoredOrder], bool]:
        """Return a page of orders, oldest first, and whether there are more in the direction of travel."""
        with self.lock:
            self.save_due()
            found = self._indexes[integration_id].walk(position, back=back)
            orders = list(itertools.islice(filter(wanted, found), size + 1))
            more = len(orders) > size
            orders = orders[:size]
            if back:
                orders.reverse()
            return orders, more

    # The merchant's connection log

    def note(self, integration_id: int, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Add an entry to the connection log, and return it as stored."""
        with self.lock:
            stored = {
                **entry,
                "id": next(self._log_numbers),
                "integration_id": integration_id,
                "created_at": entry.get("created_at") or iso(self.clock()),
                "protected": False,
            }
            self.connection_log.append(stored)
            return stored

    def forget(self) -> None:
        """Delete all orders and the connection log. Integrations and their keys stay."""
        with self.lock:
            self.connection_log.clear()
            self.unsaved.clear()
            for integration_id in self._indexes:
                self._indexes[integration_id] = OrderIndex()


def _shop_updated_at(content: Mapping[str, Any], generation: Generation) -> dt.datetime | None:
    details = content["order_details"] if generation == "v3" else {}
    return parse_moment(details.get("order_updated_at") if generation == "v3" else content["updated_at"])
