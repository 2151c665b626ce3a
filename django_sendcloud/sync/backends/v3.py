"""API v3: the Orders API, open to every shop.

It differs from v2 in what an answer proves. A batch is accepted as a whole or not at all, an accepted order is saved a
little later, and the last request wins. So a rejected batch is divided by the orders its answer names, an accepted
order counts as synced once Sendcloud shows it as it was last sent, and a deletion looks for what may still appear.
"""

from __future__ import annotations

import collections
import datetime as dt
import itertools
from collections.abc import Callable, Iterator, Sequence

from ...api import Page
from ...api.v3 import MAX_BATCH, MAX_PAGE, IntegrationLogEntry, Order
from ...conf import conf
from ...core.clock import clock
from ...enums import ApiGeneration
from ...exceptions import NotFound, RequestRejected, TooLarge
from ...hidden import HiddenList
from ...models import Parcel, Shipment, ShipmentStatus
from ...payloads import ShipmentPayload
from ...payloads import v3 as translation
from .. import limiter
from .base import Backend, CancelledLabel, Item, ItemResult, Outcome, RemoteItem
from .v3_parcels import parcels_in_v2_words

__all__ = ["V3Backend", "options_of_shop"]

# Pages of Sendcloud's list that one confirmation reads at most, and one look-up.
MAX_CONFIRM_PAGES = 60
MAX_LOOKUP_PAGES = 3
# The time between the first push of an order and its last within which it counts as new.
NEW = dt.timedelta(minutes=5)
# Orders that are remembered from these pages.
MAX_SEEN = 50_000
# Orders that one confirmation asks for one by one, if the list does not show them.
MAX_CONFIRM_GETS = 50


class _Reading:
    """The part of an integration's list that the confirmations of this process have read.

    A list may be longer than one confirmation can read. So the next one goes on at the place where the last one
    stopped, unless it looks for newer orders only.
    """

    def __init__(self) -> None:
        # The stamps of orders that confirmations have read and not looked for yet, by Sendcloud's id.
        self.seen: dict[str, int] = {}
        # By the sorting, the cursor of the next page and the lowest value that was read.
        self.places: dict[str, tuple[str, int]] = {}


_readings: collections.defaultdict[int, _Reading] = collections.defaultdict(_Reading)


class V3Backend(Backend):
    """An integration's orders in the Orders API."""

    generation = ApiGeneration.V3.value
    max_batch = MAX_BATCH
    service_point_check = "unsafe"

    @classmethod
    def prepare(cls, payload: ShipmentPayload) -> ShipmentPayload:
        """Fill in the shipment's id, as v2 does, so that an integration can change its generation.

        Raises:
            PayloadError: API v3 cannot carry the payload.
        """
        translation.check(payload, options_of_shop())
        if payload.external_shipment_id is None:
            return payload.with_shipment_id(payload.external_order_id)
        return payload

    @classmethod
    def lasting_parts(cls, payload: ShipmentPayload) -> list[str]:
        """Return the parts that Sendcloud may keep: nothing says what leaving them out does."""
        return translation.parts_of(payload, options_of_shop())

    @classmethod
    def colliding_keys(cls, payload: ShipmentPayload) -> set[tuple[str, str]]:
        """Return the other ids with the same ``order_id``: an id may hold a slash of its own."""
        keys = translation.shipment_keys(translation.order_id_of(*payload.key))
        return {(order, shipment or order) for order, shipment in keys} - {payload.key}

    # -- orders -----------------------------------------------------------------------------------

    def upsert(self, items: Sequence[Item]) -> list[ItemResult]:
        """Create or update orders (operation: POST /orders).

        Sendcloud takes all of them or none. Those that its answer names are rejected; the others were merely sent with
        them.
        """
        integration_id, options = self.integration.remote_id, options_of_shop()
        orders = [translation.translate(item.payload, integration_id, options) for item in items]
        bodies = [order.emptied(item.shipment.parts).body for order, item in zip(orders, items, strict=True)]
        try:
            answers = self.client.v3.orders.upsert(bodies)
        except TooLarge:
            raise
        except RequestRejected as error:
            culprits = {index: fields for index, fields in error.items.items() if index < len(items)}
            if not culprits:
                raise
            return [
                ItemResult(Outcome.REJECTED, errors=_in_payload_words(culprits[index]))
                if index in culprits
                else ItemResult(Outcome.SENT_WITH_CULPRIT)
                for index in range(len(items))
            ]
        wait = conf().CONFIRM_SECONDS
        return [
            ItemResult(Outcome.ACCEPTED, remote_id=str(answer.id), wait=wait) if answer else ItemResult(Outcome.UNKNOWN)
            for answer in answers
        ]

    def confirm(
        self, shipments: Sequence[Shipment], meanwhile: Callable[[], None] = lambda: None
    ) -> dict[int, list[str] | None]:
        """Find accepted orders in the list (operation: GET /orders): new ones by id, changed ones by their time.

        What the list does not show is asked for one by one (operation: GET /orders/{id}): Sendcloud may ignore the
        sorting, and may leave labelled orders out. So is an order that has lost a part: it may still be there.
        """
        known = {shipment.remote_id: shipment for shipment in shipments if shipment.remote_id}
        shrunk = {key: each for key, each in known.items() if _lost_parts(each)}
        wanted = {key: each for key, each in known.items() if key not in shrunk}
        saved = self._take_seen(wanted)
        end = clock.monotonic() + conf().DEADLINE_SECONDS
        granted = [True]  # the caller's turn

        def may_ask() -> bool:
            if granted:
                return granted.pop()
            meanwhile()
            return clock.monotonic() < end and self._may_ask("safe")

        new = {key: each for key, each in wanted.items() if _is_new(each)}
        changed = {key: each for key, each in wanted.items() if key not in new}
        first = min(map(int, new), default=0)
        saved |= self._walk("-pk", new, lambda order: order.id, first, may_ask)
        oldest = min((shipment.stamp for shipment in changed.values()), default=0)
        # Other orders may have the same time.
        saved |= self._walk("-order_updated_at", changed, _stamp, oldest - 1, may_ask)
        result: dict[int, list[str] | None] = {pk: [] for pk in saved}
        for shipment in itertools.islice((shrunk | new | changed).values(), MAX_CONFIRM_GETS):
            if not may_ask():
                break
            found = self._get(shipment.remote_id)
            if found is None or _stamp(found) != shipment.stamp:
                result[shipment.pk] = None
            else:
                result[shipment.pk] = translation.left_in(found.raw, _lost_parts(shipment))
        return result

    def _walk(
        self,
        sort: str,
        wanted: dict[str, Shipment],
        value_of: Callable[[Order], int],
        lowest_wanted: int,
        may_ask: Callable[[], bool],
    ) -> set[int]:
        """Take shipments out of ``wanted`` that the list shows as they were last sent.

        The list is walked as long as a page is cheaper than asking for the rest one by one. Other orders of its pages
        are remembered for the next call: after a bulk, the list is read once for all of them.

        Args:
            sort: The sorting, descending.
            wanted: The shipments by Sendcloud's ids.
            value_of: The value by which the list is sorted; 0 if the order has none.
            lowest_wanted: An order with this value, or a lower one, ends the walk.
            may_ask: Whether one more request may be sent.
        """
        saved: set[int] = set()
        reading = _readings[self.integration.pk]
        cursor, lowest = reading.places.get(sort, ("", 0))
        if lowest <= lowest_wanted:
            cursor = ""
        pages = self._pages_from(cursor or None, sort)
        read = 0
        while len(wanted) > read and read < MAX_CONFIRM_PAGES and may_ask():
            page = next(pages)
            read += 1
            reading.seen |= {str(order.id): _stamp(order) for order in page.results}
            saved |= self._take_seen(wanted)
            values = [value for order in page.results if (value := value_of(order))]
            lowest = min(values, default=lowest)
            if page.next_cursor is None or (values and lowest <= lowest_wanted):
                reading.places.pop(sort, None)
                break
            reading.places[sort] = page.next_cursor, lowest
        return saved

    def _pages_from(self, cursor: str | None, sort: str) -> Iterator[Page[Order]]:
        """Iterate over the list's pages from a cursor, or from the first one if Sendcloud has forgotten the cursor."""
        integration_id, pages = self.integration.remote_id, self.client.v3.orders.pages
        try:
            yield from pages(integration_id=integration_id, sort=sort, page_size=MAX_PAGE, cursor=cursor)
        except NotFound:
            if cursor is None:
                raise
            yield from pages(integration_id=integration_id, sort=sort, page_size=MAX_PAGE)

    def _take_seen(self, wanted: dict[str, Shipment]) -> set[int]:
        """Take the shipments out of ``wanted`` that pages have shown as they were last sent. Stamps never repeat."""
        seen = _readings[self.integration.pk].seen
        found = {key: each for key, each in wanted.items() if seen.get(key) == each.stamp}
        for key in found:
            del wanted[key]
            seen.pop(key, None)  # another thread may have taken it
        if len(seen) > MAX_SEEN:
            seen.clear()
        return {shipment.pk for shipment in found.values()}

    def delete(self, shipment: Shipment) -> ItemResult:
        """Delete every order of Sendcloud's that is this shipment (operations: GET /orders, DELETE /orders/{id}).

        A person may have split it in the panel, so that there are several; and an answer may have been lost, so that
        its id is unknown. While an accepted order may still appear, or a change of it be saved, nothing is final: the
        result is ``STILL_PROCESSING``.
        """
        if not self._may_ask("safe"):
            return ItemResult(Outcome.STILL_PROCESSING, wait=1.0)
        found = self._matches(shipment)
        appearing = self._seconds_to_appear(shipment)
        if appearing and not any(_stamp(order) == shipment.stamp for order in found):
            return ItemResult(Outcome.STILL_PROCESSING, wait=min(appearing, conf().CONFIRM_SECONDS))
        ids = {str(order.id) for order in found} | ({shipment.remote_id} - {""})
        # The caller asked for one turn.
        for number, remote_id in enumerate(sorted(ids)):
            if number and not self._may_ask("unsafe"):
                return ItemResult(Outcome.STILL_PROCESSING, wait=1.0)
            self.client.v3.orders.delete(int(remote_id))
        return ItemResult(Outcome.DELETED)

    def clear(self, shipment: Shipment) -> ItemResult:
        """Delete the order, unless a person has split it (operations: GET /orders, DELETE /orders/{id})."""
        if not self._may_ask("safe"):
            return ItemResult(Outcome.STILL_PROCESSING, wait=1.0)
        if len(self._matches(shipment)) > 1:
            return ItemResult(Outcome.UPDATED)
        self.client.v3.orders.delete(int(shipment.remote_id))
        return ItemResult(Outcome.DELETED)

    def find(self, shipment: Shipment) -> RemoteItem | None:
        """Look an order up by its ids (operations: GET /orders, GET /orders/{id}).

        Of several, the one with the known id is meant: the others were split off in the panel.
        """
        found = self._matches(shipment)
        order = next((order for order in found if str(order.id) == shipment.remote_id), found[0] if found else None)
        if order is None and shipment.remote_id and self._may_ask("safe"):
            order = self._get(shipment.remote_id)
        key = shipment.external_order_id, shipment.external_shipment_id
        return _item(order, key) if order else None

    def is_missing(self, shipment: Shipment) -> bool:
        """Ask for an order that the list does not show (operation: GET /orders/{id}).

        The contract (v3, GET /orders) does not say that labelled orders stay in the list.
        """
        if shipment.remote_id:
            return self._get(shipment.remote_id) is None
        return self.find(shipment) is None

    def pages(self, cursor: str | None = None) -> Iterator[Page[RemoteItem]]:
        """Iterate over the integration's orders, oldest first (operation: GET /orders)."""
        pages = self.client.v3.orders.pages(
            integration_id=self.integration.remote_id, sort="pk", page_size=MAX_PAGE, cursor=cursor
        )
        for page in pages:
            yield Page(list(self._items(page.results)), page.next_cursor)

    def adopt(self, shipment: Shipment, remote: RemoteItem | None) -> None:
        """Store the order's id."""
        Shipment.objects.filter(pk=shipment.pk).update(remote_id=str(remote.result.id) if remote else "")

    def _matches(self, shipment: Shipment) -> list[Order]:
        """Return the orders with exactly this shipment's order id: Sendcloud's filter ignores letter case."""
        order_id = _order_id(shipment)
        pages = self.client.v3.orders.pages(integration_id=self.integration.remote_id, order_id=order_id)
        first = itertools.islice(pages, MAX_LOOKUP_PAGES)
        return [order for page in first for order in page.results if order.order_id == order_id]

    def _get(self, remote_id: str) -> Order | None:
        try:
            return self.client.v3.orders.get(int(remote_id))
        except NotFound as error:
            if error.resource != "order":
                raise
            return None

    def _items(self, orders: Sequence[Order]) -> Iterator[RemoteItem]:
        """Yield orders under the ids by which their shipments are stored."""
        candidates = {order.order_id: translation.shipment_keys(order.order_id) for order in orders}
        rows = Shipment.objects.filter(
            integration=self.integration,
            external_order_id__in={order_id for keys in candidates.values() for order_id, _ in keys},
        )
        # An id may hold a slash of its own: the stored shipments decide how it divides.
        known = {_order_id(row): row for row in rows}
        for order in orders:
            row = known.get(order.order_id)
            if row is None:
                yield _item(order, (order.order_id, order.order_id))
                continue
            item = _item(order, (row.external_order_id, row.external_shipment_id))
            # A record that was split off in the panel is not the one that was sent: it is reported, and left alone.
            is_part = row.remote_id not in ("", str(order.id))
            yield RemoteItem(item.key, item.order_number, row.stamp, order) if is_part else item

    def _seconds_to_appear(self, shipment: Shipment) -> float:
        """Return for how long what was last accepted may still be saved; 0 if it has been seen saved."""
        if shipment.status in (ShipmentStatus.SYNCED, ShipmentStatus.DELETED):
            return 0.0
        if shipment.status == ShipmentStatus.REJECTED and not shipment.remote_id:
            return 0.0
        # Without an answer, the request itself may have arrived late.
        late = dt.timedelta(seconds=conf().QUARANTINE_SECONDS)
        since = shipment.last_pushed_at or shipment.created_at + late
        return max(0.0, conf().SAVE_SECONDS - (clock.now() - since).total_seconds())

    def _may_ask(self, kind: limiter.Kind) -> bool:
        """Take a turn for one more request than the caller asked for, unless the client asks for each of them."""
        return self._options.get("limiter") is not None or not limiter.acquire(self.integration.account.pk, kind)

    # -- the integration --------------------------------------------------------------------------

    def cancel_label(self, parcel: Parcel) -> CancelledLabel:
        """Cancel a parcel's shipment (operations: GET /shipments by the parcel's id, POST /shipments/{id}/cancel)."""
        found = next(self.client.v3.shipments.list(parcel_ids=[parcel.remote_id]), None)
        if found is None:
            raise NotFound("Sendcloud has no shipment with this parcel.", resource="parcel")
        done = self.client.v3.shipments.cancel(found.id)
        return CancelledLabel(done.queued, frozenset(each.id for each in found.parcels))

    def is_service_point_available(self, service_point_id: int) -> bool:
        """Check a service point (operation: POST /service-points/{id}/check-availability)."""
        return self.client.v3.service_points.is_available(service_point_id)

    def parcel_pages(self, since: dt.datetime) -> Iterator[HiddenList]:
        """Iterate over the integration's outgoing parcels (operation: GET /shipments).

        An account that has only API v3 may not ask v2's list. Returns are not in this one.
        """
        remote_id = self.integration.remote_id
        for page in self.client.v3.shipments.pages(integration_id=remote_id, updated_after=since, page_size=100):
            yield parcels_in_v2_words(page.results)

    def parcels_of(self, shipment: Shipment) -> HiddenList:
        """Look parcels up by their order's number (operation: GET /shipments)."""
        pages = self.client.v3.shipments.pages(
            integration_id=self.integration.remote_id, order_number=shipment.order_number
        )
        return parcels_in_v2_words(
            [each for page in itertools.islice(pages, MAX_LOOKUP_PAGES) for each in page.results]
        )

    def report_failure(self, cause: str, exception_type: str = "") -> None:
        """Write to the integration's log (operation: POST /integrations/{id}/logs)."""
        entry = IntegrationLogEntry(
            base_url=self.integration.shop_url or "django-sendcloud",
            exception=cause,
            exception_type=exception_type or None,
        )
        self.client.v3.integrations.logs.create(self.integration.remote_id, entry)


def options_of_shop() -> translation.Options:
    """Return the choices that the contract leaves to a shop and its account."""
    return translation.Options(any_currency=conf().ANY_CURRENCY, prefix_states=conf().PREFIX_STATES)


def _order_id(shipment: Shipment) -> str:
    return translation.order_id_of(shipment.external_order_id, shipment.external_shipment_id)


def _lost_parts(shipment: Shipment) -> list[str]:
    """Return the parts that an earlier push of the shipment had and the last one left out."""
    return [name for name, is_sent in shipment.parts.items() if not is_sent]


def _is_new(shipment: Shipment) -> bool:
    """Return whether a shipment was first sent about when it was last sent, so that its order is among the newest."""
    pushed = shipment.last_pushed_at
    return pushed is not None and pushed - shipment.created_at < NEW


def _stamp(order: Order) -> int:
    """Return the ``order_updated_at`` that Sendcloud holds, in seconds since the epoch; 0 if it has none."""
    sent = order.order_details.order_updated_at if order.order_details else None
    return 0 if sent is None else int(sent.timestamp())


def _item(order: Order, key: tuple[str, str]) -> RemoteItem:
    return RemoteItem(key, order.order_number, _stamp(order), order)


def _in_payload_words(fields: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return field errors by the payload's field names."""
    errors: dict[str, list[str]] = {}
    for path, messages in fields.items():
        errors.setdefault(translation.domain_path(path), []).extend(messages)
    return errors
