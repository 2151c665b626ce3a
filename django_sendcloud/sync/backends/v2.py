"""API v2: the Integrations API, whose upsert is open to certified partners."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator, Sequence

from ...api import Page
from ...api.v2 import MAX_BATCH, IntegrationLogEntry
from ...api.v2 import Parcel as RemoteParcel
from ...api.v2 import Shipment as RemoteShipment
from ...enums import ApiGeneration, UpsertStatus
from ...hidden import HiddenList, hide
from ...models import Parcel, Shipment
from ...payloads import ShipmentPayload, v2
from .base import Backend, CancelledLabel, Item, ItemResult, Outcome, RemoteItem

__all__ = ["V2Backend"]

_OUTCOMES = {
    UpsertStatus.CREATED: Outcome.CREATED,
    UpsertStatus.UPDATED: Outcome.UPDATED,
    UpsertStatus.ERROR: Outcome.REJECTED,
}
# Before any shipment: Sendcloud shows only the last year unless it is asked for more.
EARLIEST = dt.date(2010, 1, 1)
# Pages of Sendcloud's list that are read to find one shipment by its ids.
MAX_LOOKUP_PAGES = 3


class V2Backend(Backend):
    """An integration's shipments in the Integrations API."""

    generation = ApiGeneration.V2.value
    max_batch = MAX_BATCH
    service_point_check = "safe"

    @classmethod
    def prepare(cls, payload: ShipmentPayload) -> ShipmentPayload:
        """Fill in the shipment's id.

        A shipment without one cannot be deleted by its own ids (contract: POST …/shipments/delete).

        Raises:
            PayloadError: API v2 cannot carry the payload.
        """
        v2.check(payload)
        if payload.external_shipment_id is None:
            return payload.with_shipment_id(payload.external_order_id)
        return payload

    def upsert(self, items: Sequence[Item]) -> list[ItemResult]:
        """Create or update shipments (operation: POST /integrations/{id}/shipments)."""
        results = self.client.v2.shipments.upsert(self.integration.remote_id, [item.payload for item in items])
        return [
            ItemResult(_OUTCOMES.get(result.status, Outcome.UNKNOWN), uuid=result.shipment_uuid, errors=result.errors)
            for result in results
        ]

    def delete(self, shipment: Shipment) -> ItemResult:
        """Delete one shipment (operation: POST /integrations/{id}/shipments/delete)."""
        self.client.v2.shipments.delete(self.integration.remote_id, **_reference(shipment))
        return ItemResult(Outcome.DELETED)

    def find(self, shipment: Shipment) -> RemoteItem | None:
        """Look a shipment up by its ids (operation: GET /integrations/{id}/shipments)."""
        key = shipment.external_order_id, shipment.external_shipment_id
        pages = self.client.v2.shipments.pages(
            self.integration.remote_id,
            # Without it, Sendcloud shows only the last year.
            start_date=(shipment.created_at - dt.timedelta(days=1)).date(),
            external_order_ids=[key[0]],
            external_shipment_ids=[key[1]] if key[1] else [],
        )
        # If Sendcloud does not understand the filters, the look-up must not become a walk through everything.
        found = (remote for page in itertools.islice(pages, MAX_LOOKUP_PAGES) for remote in page.results)
        return next((_item(remote) for remote in found if remote.key == key), None)

    def pages(self, cursor: str | None = None) -> Iterator[Page[RemoteItem]]:
        """Iterate over the integration's shipments (operation: GET /integrations/{id}/shipments)."""
        for page in self.client.v2.shipments.pages(self.integration.remote_id, start_date=EARLIEST, cursor=cursor):
            yield Page([_item(remote) for remote in page.results], page.next_cursor)

    def adopt(self, shipment: Shipment, remote: RemoteItem | None) -> None:
        """Store the shipment's UUID."""
        uuid = remote.result.shipment_uuid if remote else None
        Shipment.objects.filter(pk=shipment.pk).update(uuid=uuid or shipment.uuid)

    def cancel_label(self, parcel: Parcel) -> CancelledLabel:
        """Cancel a parcel (operation: POST /parcels/{id}/cancel)."""
        done = self.client.v2.parcels.cancel(parcel.remote_id)
        return CancelledLabel(done.queued, frozenset([parcel.remote_id]))

    def is_service_point_available(self, service_point_id: int) -> bool:
        """Check a service point (operation: GET /service-points/{id}/check-availability)."""
        return self.client.v2.service_points.is_available(service_point_id)

    def parcel_pages(self, since: dt.datetime) -> Iterator[HiddenList]:
        """Iterate over the account's parcels (operation: GET /parcels)."""
        for page in self.client.v2.parcels.pages(updated_after=since):
            yield _raw(page.results)

    def parcels_of(self, shipment: Shipment) -> HiddenList:
        """Look parcels up by their order's number (operation: GET /parcels)."""
        pages = self.client.v2.parcels.pages(order_number=shipment.order_number)
        return _raw([parcel for page in itertools.islice(pages, MAX_LOOKUP_PAGES) for parcel in page.results])

    def report_failure(self, cause: str, exception_type: str = "") -> None:
        """Write to the integration's log (operation: POST /integrations/{id}/logs)."""
        entry = IntegrationLogEntry(
            base_url=self.integration.shop_url or "django-sendcloud",
            exception=cause,
            exception_type=exception_type or None,
        )
        self.client.v2.integrations.logs.create(self.integration.remote_id, entry)


def _raw(parcels: Sequence[RemoteParcel]) -> HiddenList:
    return HiddenList(hide(dict(parcel.raw)) for parcel in parcels)


def _item(remote: RemoteShipment) -> RemoteItem:
    """Return a shipment of Sendcloud's list as the engine compares it."""
    sent = remote.shipment_updated_at
    return RemoteItem(remote.key, remote.order_number or "", 0 if sent is None else int(sent.timestamp()), remote)


def _reference(shipment: Shipment) -> dict[str, str]:
    """Return what names a shipment to Sendcloud (contract: POST …/shipments/delete)."""
    if shipment.external_shipment_id or shipment.uuid is None:
        return {
            "external_order_id": shipment.external_order_id,
            "external_shipment_id": shipment.external_shipment_id,
        }
    # Only where it has to be: an order that was deleted and pushed again has another UUID than the stored one, if the
    # answer was lost.
    return {"shipment_uuid": str(shipment.uuid)}
