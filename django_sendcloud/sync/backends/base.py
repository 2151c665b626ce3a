"""The operations that the engine needs of an API generation, and what each must promise."""

from __future__ import annotations

import abc
import dataclasses
import datetime as dt
import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Self

from ...api import Page, RateLimiter, SendcloudClient
from ...api.limits import Kind
from ...hidden import HiddenList
from ...models import Integration, Parcel, Shipment
from ...payloads import ShipmentPayload

__all__ = ["Backend", "CancelledLabel", "Item", "ItemResult", "Outcome", "RemoteItem"]


class Outcome(enum.Enum):
    """The result of one shipment of a request."""

    CREATED = "created"
    UPDATED = "updated"
    #: Sendcloud took the shipment but may not have saved it yet: the engine confirms it after ``wait`` seconds.
    ACCEPTED = "accepted"
    DELETED = "deleted"
    #: Only a change of the order or a person can help; ``errors`` names the fields.
    REJECTED = "rejected"
    #: Another shipment of the batch was at fault: the engine sends this one again immediately.
    SENT_WITH_CULPRIT = "sent_with_culprit"
    #: Sendcloud could not do it yet: the engine repeats it after ``wait`` seconds, without counting a failure.
    STILL_PROCESSING = "still_processing"
    #: The answer does not say. The engine quarantines the order.
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class Item:
    """One shipment of an upsert: its content with its ``updated_at``, and what is stored of it here."""

    payload: ShipmentPayload
    shipment: Shipment


@dataclasses.dataclass(frozen=True, slots=True)
class ItemResult:
    """The result of one shipment.

    Args:
        outcome: The result.
        uuid: Sendcloud's ``shipment_uuid``, if the answer has one.
        remote_id: Sendcloud's id of the order, in generations that have one.
        errors: The messages by field, of a rejected shipment.
        wait: Seconds for which the order is not sent again (``ACCEPTED``, ``STILL_PROCESSING``).
    """

    outcome: Outcome
    uuid: str | None = None
    remote_id: str = ""
    errors: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    wait: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class RemoteItem:
    """One shipment as Sendcloud has it.

    Args:
        key: Its ``external_order_id`` and ``external_shipment_id``, as ``Shipment`` stores them.
        order_number: The number people know the order by.
        stamp: The ``updated_at`` that Sendcloud holds, in seconds since the epoch; 0 if it is unknown.
        result: The client's own result.
    """

    key: tuple[str, str]
    order_number: str
    stamp: int
    result: Any


@dataclasses.dataclass(frozen=True, slots=True)
class CancelledLabel:
    """The cancellation of a label.

    Args:
        queued: Sendcloud asks the carrier, and decides within 14 days.
        parcel_ids: Sendcloud's ids of the parcels that it concerns.
    """

    queued: bool
    parcel_ids: frozenset[int]


class Backend(abc.ABC):
    """One integration, driven through one API generation.

    A backend translates; it neither retries nor waits, and of what it learns it stores ids alone (:meth:`adopt`).
    Every method that sends a request raises the :class:`~django_sendcloud.exceptions.APIError` of its outcome, from
    which the engine decides (``sync.outcomes``). The caller has asked the limiter for one request of the method's kind;
    a request beyond it (a look-up before a deletion) asks the limiter given to the client.

    Args:
        integration: The integration.
        limiter: The limiter that the client asks before each request, if any.
        **options: More options of :meth:`Integration.client`.
    """

    #: The value of ``Integration.api_generation``.
    generation: ClassVar[str]
    #: Shipments that one upsert takes. All shipments of an order go into one upsert, so it is an order's limit, too.
    max_batch: ClassVar[int]
    #: The kind of request by which a service point is checked, for the rate limit.
    service_point_check: ClassVar[Kind]

    def __init__(self, integration: Integration, limiter: RateLimiter | None = None, **options: Any) -> None:
        self.integration = integration
        # The engine decides what is repeated, and when.
        self._options = {"retries": 0, **({"limiter": limiter} if limiter else {}), **options}
        self._client: SendcloudClient | None = None

    @property
    def client(self) -> SendcloudClient:
        """The client with the integration's keys, made at its first use.

        Raises:
            SendcloudConfigurationError: the keys are missing, or cannot be read.
        """
        if self._client is None:
            self._client = self.integration.client(**self._options)
        return self._client

    def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    @classmethod
    def prepare(cls, payload: ShipmentPayload) -> ShipmentPayload:
        """Return the payload as this generation stores it: with the ids under which it can be found and deleted."""
        return payload

    @classmethod
    def lasting_parts(cls, payload: ShipmentPayload) -> list[str]:
        """Return the names of the payload's parts that Sendcloud may keep when a later upsert leaves them out."""
        return []

    @classmethod
    def colliding_keys(cls, payload: ShipmentPayload) -> set[tuple[str, str]]:
        """Return the ids of other shipments that Sendcloud would take for this one."""
        return set()

    @abc.abstractmethod
    def upsert(self, items: Sequence[Item]) -> list[ItemResult]:
        """Create or update up to :attr:`max_batch` shipments, and return a result for each, in their order.

        Raises:
            RequestRejected: the batch is rejected as a whole and the answer names no culprit.
            StillProcessing: Sendcloud still processes an earlier request: the batch is repeated after some seconds.
            UnknownOutcome: it may have been applied.
            APIError: it did not end well.
        """

    @abc.abstractmethod
    def delete(self, shipment: Shipment) -> ItemResult:
        """Delete one shipment; one that is not there counts as deleted.

        Returns:
            ``DELETED``; or ``STILL_PROCESSING`` where a request that is still processed may bring it into being.

        Raises:
            APIError: it did not end well.
        """

    def confirm(
        self, shipments: Sequence[Shipment], meanwhile: Callable[[], None] = lambda: None
    ) -> dict[int, list[str] | None]:
        """Find out which accepted shipments Sendcloud has saved as they were last sent.

        Args:
            shipments: The accepted shipments.
            meanwhile: Called between two requests: other work must not wait for all of them.

        Returns:
            By the primary key of each saved shipment, the parts that it still has although they were left out; ``None``
            for one that Sendcloud denies. A shipment that was not asked for is missing.

        Raises:
            APIError: it did not end well.
        """
        found = {shipment.pk: (self.find(shipment), shipment) for shipment in shipments}
        return {pk: [] if remote and self.is_current(remote, each) else None for pk, (remote, each) in found.items()}

    def clear(self, shipment: Shipment) -> ItemResult:
        """Delete a saved shipment so that it can be created again without the parts that it has kept.

        Returns:
            ``DELETED``; ``UPDATED`` where it must stay as it is; ``STILL_PROCESSING`` where it cannot be said yet.

        Raises:
            APIError: it did not end well.
        """
        return self.delete(shipment)

    @abc.abstractmethod
    def find(self, shipment: Shipment) -> RemoteItem | None:
        """Return what Sendcloud has of this shipment, ``None`` if it has nothing.

        Raises:
            APIError: it did not end well.
        """

    @abc.abstractmethod
    def pages(self, cursor: str | None = None) -> Iterator[Page[RemoteItem]]:
        """Iterate over everything the integration has, from ``cursor`` on.

        Raises:
            NotFound: Sendcloud does not know the cursor any more (``page``), or the integration.
            APIError: it did not end well.
        """

    def is_missing(self, shipment: Shipment) -> bool:
        """Return whether a shipment that the pages do not show is really not there; asks where they prove nothing.

        Raises:
            APIError: it did not end well.
        """
        return True

    @abc.abstractmethod
    def adopt(self, shipment: Shipment, remote: RemoteItem | None) -> None:
        """Store the id by which this generation names the shipment; without a record, forget it.

        For a shipment that was pushed through the other generation (``sync.move``).
        """

    @abc.abstractmethod
    def cancel_label(self, parcel: Parcel) -> CancelledLabel:
        """Cancel a parcel's label, with those of the same label request where this generation knows only all of them.

        Raises:
            NotFound: Sendcloud does not know the parcel.
            RequestRejected: it is too late: shipped, cancelled already, or older than 42 days.
            APIError: it did not end well.
        """

    def is_current(self, remote: RemoteItem, shipment: Shipment) -> bool:
        """Return whether Sendcloud has what was last sent of this shipment; unknown counts as current."""
        return not shipment.stamp or remote.stamp == shipment.stamp

    @abc.abstractmethod
    def is_service_point_available(self, service_point_id: int) -> bool:
        """Return whether parcels can go to a service point now.

        Raises:
            NotFound: the answer proves nothing.
            APIError: it did not end well.
        """

    @abc.abstractmethod
    def parcel_pages(self, since: dt.datetime) -> Iterator[HiddenList]:
        """Iterate over pages of the parcels that changed since, in the words of v2's ``GET /parcels``.

        Some may belong to other integrations of the account.

        Raises:
            APIError: it did not end well.
        """

    @abc.abstractmethod
    def parcels_of(self, shipment: Shipment) -> HiddenList:
        """Return the parcels with the order number of a shipment, in the same words.

        Raises:
            APIError: it did not end well.
        """

    @abc.abstractmethod
    def report_failure(self, cause: str, exception_type: str = "") -> None:
        """Write a failure of the shop to the integration's log at Sendcloud.

        Args:
            cause: What failed, without any value of an order.
            exception_type: The type of the exception, if there was one.

        Raises:
            APIError: it did not end well.
        """
