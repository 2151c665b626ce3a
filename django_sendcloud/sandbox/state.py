"""What the sandbox stores: integrations, shipments, and the merchant's connection log.

One lock guards all of it. Methods take it themselves; whoever needs several steps to be one holds it around them.
"""

from __future__ import annotations

import bisect
import datetime as dt
import itertools
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from ..enums import AuthScheme
from .requestlog import LoggedItem, LoggedRequest, RequestLog
from .validation import SHIPMENT_FIELDS, parse_moment, shipment_errors

__all__ = ["ANY", "SandboxIntegration", "State", "StoredShipment", "iso"]

#: Stands for whatever shipment id there is.
ANY: Final = "any"
_AnyShipment = Literal["any"]

_SHOP_TIMES: Final = {"created_at": "shipment_created_at", "updated_at": "shipment_updated_at"}
_SHOWN: Final = [name for name in SHIPMENT_FIELDS if name not in _SHOP_TIMES and name != "checkout_payload"]
#: Free of charge in Sendcloud's real panel, and therefore what people test with.
UNSTAMPED_LETTER: Final = 8


def iso(moment: dt.datetime) -> str:
    """Write a moment as Sendcloud does."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(slots=True, eq=False)
class SandboxIntegration:
    """A connected shop, with its keys.

    Attributes:
        id: Sendcloud's id of it.
        public_key: The user of Basic auth.
        secret_key: The password of Basic auth, and what webhooks are signed with by default.
        account: Whose it is. The keys of an integration reach all integrations of the account.
        auth: How its keys must be used; an integration with OAuth2 refuses Basic auth.
        webhook_signature_key: What webhooks are signed with where it is set.
        revoked: Whether its keys are refused.
    """

    id: int
    shop_name: str
    public_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    account: str = "main"
    auth: AuthScheme = AuthScheme.BASIC
    shop_url: str | None = None
    system: str = "api"
    failing_since: dt.datetime | None = None
    last_fetch: dt.datetime | None = None
    last_updated_at: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))
    service_point_enabled: bool = False
    service_point_carriers: list[str] = field(default_factory=list)
    webhook_active: bool = False
    webhook_url: str | None = None
    webhook_signature_key: str = field(default="", repr=False)
    connected: bool = False
    revoked: bool = False

    @property
    def client_id(self) -> str:
        """The client of OAuth2: the public key."""
        return self.public_key

    @property
    def client_secret(self) -> str:
        """The client's secret of OAuth2: the secret key."""
        return self.secret_key

    @property
    def signing_key(self) -> str:
        """What webhooks are signed with."""
        return self.webhook_signature_key or self.secret_key

    def settings(self) -> dict[str, Any]:
        """Return what can be changed, and since when it is so (contract: ``IntegrationUpdate``)."""
        return {
            "shop_name": self.shop_name,
            "shop_url": self.shop_url,
            "last_updated_at": iso(self.last_updated_at),
            "service_point_enabled": self.service_point_enabled,
            "service_point_carriers": list(self.service_point_carriers),
            "webhook_active": self.webhook_active,
            "webhook_url": self.webhook_url,
        }

    def told(self) -> dict[str, Any]:
        """Return the settings as a change or a webhook tells them: an address that is not set is not mentioned.

        Unlike when it is read, it must not be null there (contract: ``IntegrationUpdate``, ``IntegrationWebhookBase``).
        """
        return {name: value for name, value in self.settings().items() if value is not None}

    def as_json(self) -> dict[str, Any]:
        """Return it as the API shows it (contract: ``Integration``)."""
        return {
            "id": self.id,
            **self.settings(),
            "system": self.system,
            "failing_since": iso(self.failing_since) if self.failing_since else None,
            "last_fetch": iso(self.last_fetch) if self.last_fetch else None,
        }


@dataclass(slots=True, eq=False)
class StoredShipment:
    """An order's shipment under "Incoming orders".

    Attributes:
        number: Counts in the order of creation; what cursors point at.
        fields: What the shop sent, unknown fields left out.
        shop_updated_at: The shop's ``updated_at``, by which a change is told from a repetition.
        created_at: When Sendcloud got it.
        updated_at: When Sendcloud last changed it.
    """

    number: int
    uuid: str
    integration_id: int
    fields: dict[str, Any]
    shop_updated_at: dt.datetime | None
    created_at: dt.datetime
    updated_at: dt.datetime

    @property
    def key(self) -> tuple[str, str | None]:
        """What the shop calls it."""
        return self.fields["external_order_id"], self.fields["external_shipment_id"]

    @property
    def sender_address(self) -> int | None:
        """Sendcloud's id of the address it is sent from, where the buyer's checkout decided on it."""
        checkout = self.fields.get("checkout_payload")
        return checkout["sender_address_id"] if checkout else None

    def as_json(self) -> dict[str, Any]:
        """Return it as the API shows it (contract: ``ShipmentBlobOrder``).

        ``created_at`` and ``updated_at`` are Sendcloud's times, the shop's have other names here.
        """
        fields = self.fields
        shown: dict[str, Any] = {name: fields.get(name) for name in _SHOWN}
        if "checkout_payload" in fields:
            shown["checkout_payload"] = fields["checkout_payload"]
        method = fields.get("shipping_method")
        shown |= {
            "allowed_shipping_methods": [UNSTAMPED_LETTER] if method is None else sorted({UNSTAMPED_LETTER, method}),
            "barcode": f"SANDBOX{self.number:09d}",
            "integration": self.integration_id,
            "sender_address": self.sender_address,
            "shipment_uuid": self.uuid,
            "created_at": iso(self.created_at),
            "updated_at": iso(self.updated_at),
        }
        for sent, name in _SHOP_TIMES.items():
            moment = parse_moment(fields[sent])
            shown[name] = iso(moment) if moment else fields[sent]
        return shown


class _Book:
    """The shipments of one integration."""

    def __init__(self) -> None:
        self.by_number: dict[int, StoredShipment] = {}
        self.by_key: dict[tuple[str, str | None], StoredShipment] = {}
        self.by_uuid: dict[str, StoredShipment] = {}
        self.numbers: list[int] = []

    def add(self, shipment: StoredShipment) -> None:
        self.by_number[shipment.number] = shipment
        self.by_key[shipment.key] = shipment
        self.by_uuid[shipment.uuid] = shipment
        self.numbers.append(shipment.number)

    def remove(self, shipment: StoredShipment) -> None:
        del self.by_number[shipment.number], self.by_key[shipment.key], self.by_uuid[shipment.uuid]
        del self.numbers[bisect.bisect_left(self.numbers, shipment.number)]

    def walk(self, position: int | None, *, back: bool) -> Iterator[StoredShipment]:
        """Iterate over what comes after, or going back before, a number."""
        if back:
            start = bisect.bisect_left(self.numbers, position) if position is not None else len(self.numbers)
            numbers: Iterable[int] = (self.numbers[index] for index in range(start - 1, -1, -1))
        else:
            start = bisect.bisect_right(self.numbers, position) if position is not None else 0
            numbers = itertools.islice(self.numbers, start, None)
        return (self.by_number[number] for number in numbers)


class State:
    """Everything stored.

    Attributes:
        lock: Guards all of it.
        clock: Tells the time, in UTC. Replaceable, for who wants to see what a year does.
    """

    def __init__(self, log: RequestLog) -> None:
        self.lock = threading.RLock()
        self.clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
        self.integrations: dict[int, SandboxIntegration] = {}
        self.connection_log: list[dict[str, Any]] = []
        self._log = log
        self._books: dict[int, _Book] = {}
        self._shipment_numbers = itertools.count(1)
        self._log_numbers = itertools.count(1)

    # Integrations

    def add(self, integration: SandboxIntegration) -> None:
        """Add an integration.

        Raises:
            ValueError: its id or its public key is taken.
        """
        with self.lock:
            for other in self.integrations.values():
                if integration.id == other.id or integration.public_key == other.public_key:
                    raise ValueError(f"There is already an integration {other.id} with this id or public key.")
            integration.last_updated_at = self.clock()
            self.integrations[integration.id] = integration
            self._books[integration.id] = _Book()

    def remove(self, integration_id: int) -> None:
        """Remove an integration, its shipments and its log entries."""
        with self.lock:
            del self.integrations[integration_id], self._books[integration_id]
            self.connection_log = [entry for entry in self.connection_log if entry["integration_id"] != integration_id]

    def of_account(self, account: str) -> list[SandboxIntegration]:
        """Return the integrations of an account, oldest first."""
        with self.lock:
            return [integration for integration in self.integrations.values() if integration.account == account]

    def by_public_key(self, public_key: str) -> SandboxIntegration | None:
        """Find the integration a key belongs to."""
        with self.lock:
            return next((i for i in self.integrations.values() if i.public_key == public_key), None)

    # Shipments

    def upsert(self, integration_id: int, items: Sequence[Any], request: LoggedRequest) -> list[dict[str, Any]]:
        """Create or update shipments, each for itself; a shipment with an unchanged ``updated_at`` is left as it is.

        Returns:
            One result for each of the items (contract: ``ShipmentCreateUpdateLog``, ``ShipmentErrorLog``).
        """
        checked = [(item, shipment_errors(item)) for item in items]
        results = []
        with self.lock:
            book = self._books[integration_id]
            now = self.clock()
            self._log.apply(request)
            self.integrations[integration_id].last_fetch = now
            for item, errors in checked:
                if errors:
                    results.append(self.refuse(item, errors, request))
                    continue
                outcome, shipment = self._upsert_one(book, integration_id, item, now)
                order_id, shipment_id = shipment.key
                request.items.append(LoggedItem(order_id, shipment_id, item["updated_at"], outcome))
                results.append(
                    {
                        "external_order_id": order_id,
                        "external_shipment_id": shipment_id or "",
                        "shipment_uuid": shipment.uuid,
                        "status": "created" if outcome == "created" else "updated",
                    }
                )
        return results

    def _upsert_one(
        self, book: _Book, integration_id: int, item: dict[str, Any], now: dt.datetime
    ) -> tuple[str, StoredShipment]:
        key = item["external_order_id"], item["external_shipment_id"]
        stamp = parse_moment(item["updated_at"])
        stored = book.by_key.get(key)
        if stored is not None and stored.shop_updated_at == stamp:
            return "unchanged", stored
        fields = {name: item[name] for name in SHIPMENT_FIELDS if name in item}
        if stored is not None:
            stored.fields, stored.shop_updated_at, stored.updated_at = fields, stamp, now
            return "updated", stored
        number = next(self._shipment_numbers)
        stored = StoredShipment(number, str(uuid.uuid4()), integration_id, fields, stamp, now, now)
        book.add(stored)
        return "created", stored

    @staticmethod
    def refuse(item: Any, errors: dict[str, Any], request: LoggedRequest) -> dict[str, Any]:
        """Return the result of a shipment that is not accepted (contract: ``ShipmentErrorLog``)."""
        fields = item if isinstance(item, dict) else {}
        keys = [fields.get(name) for name in ("external_order_id", "external_shipment_id", "updated_at")]
        order_id, shipment_id, stamp = (value if isinstance(value, str) else None for value in keys)
        request.items.append(LoggedItem(order_id or "", shipment_id, stamp, "error"))
        return {
            "error": errors,
            "external_order_id": order_id or "",
            "external_shipment_id": shipment_id or "",
            "status": "error",
        }

    def delete(self, shipment: StoredShipment) -> None:
        """Delete a shipment."""
        with self.lock:
            self._books[shipment.integration_id].remove(shipment)

    def find(
        self,
        integration_id: int | None = None,
        *,
        shipment_uuid: str | None = None,
        external_order_id: str | None = None,
        external_shipment_id: str | _AnyShipment | None = ANY,
    ) -> StoredShipment | None:
        """Find a shipment by its uuid, or by what the shop calls it; in all integrations if none is given."""
        with self.lock:
            books = self._books.values() if integration_id is None else [self._books[integration_id]]
            for book in books:
                if shipment_uuid is not None:
                    found = book.by_uuid.get(shipment_uuid)
                elif external_shipment_id == ANY:
                    found = next((s for s in book.by_number.values() if s.key[0] == external_order_id), None)
                else:
                    found = book.by_key.get((external_order_id or "", external_shipment_id))
                if found is not None:
                    return found
        return None

    def shipments(self, integration_id: int | None = None) -> list[StoredShipment]:
        """Return the shipments of an integration, or all, oldest first."""
        with self.lock:
            books = self._books.values() if integration_id is None else [self._books[integration_id]]
            return [shipment for book in books for shipment in book.by_number.values()]

    def page(
        self,
        integration_id: int,
        wanted: Callable[[StoredShipment], bool],
        size: int,
        position: int | None,
        *,
        back: bool = False,
    ) -> tuple[list[dict[str, Any]], list[int], bool]:
        """Return a page of shipments oldest first, their numbers, and whether there are more in this direction."""
        with self.lock:
            found = self._books[integration_id].walk(position, back=back)
            shipments = list(itertools.islice(filter(wanted, found), size + 1))
            more = len(shipments) > size
            shipments = shipments[:size]
            if back:
                shipments.reverse()
            return [shipment.as_json() for shipment in shipments], [s.number for s in shipments], more

    # The merchant's connection log

    def note(self, integration_id: int, entry: dict[str, Any]) -> dict[str, Any]:
        """Add an entry to the connection log, and return it as it is stored."""
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
        """Forget shipments and connection log. Integrations and their keys stay."""
        with self.lock:
            self.connection_log.clear()
            for integration_id in self._books:
                self._books[integration_id] = _Book()
