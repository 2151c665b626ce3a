"""Test order: one order that is made at Sendcloud, seen there, and deleted again. Nothing of it is stored here."""

from __future__ import annotations

import dataclasses
import datetime as dt
import logging
import uuid

from ..conf import conf
from ..core.clock import clock
from ..models import Integration, Shipment, ShipmentStatus
from ..payloads import ParcelItem, ShipmentPayload, Status, cents, grams
from . import limiter
from .backends import Backend, Item, Outcome, backend_for

__all__ = ["OrderTest", "payload_for_test", "send_test_order"]

logger = logging.getLogger("django_sendcloud.sync")

# Seconds that an operator waits until Sendcloud shows the order, and until it is deleted.
WAIT_SECONDS = 20.0
CHECK_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class OrderTest:
    """The result of a test order.

    Args:
        number: Its order number.
        rejected: Fields that Sendcloud rejected. Then nothing was made.
        was_seen: Whether Sendcloud showed it.
        was_deleted: Whether Sendcloud confirmed its deletion.
    """

    number: str
    rejected: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    was_seen: bool = False
    was_deleted: bool = False

    @property
    def works(self) -> bool:
        return self.was_seen and self.was_deleted


def payload_for_test(number: str, now: dt.datetime) -> ShipmentPayload:
    """Return an order that everybody recognises as a test."""
    return ShipmentPayload(
        external_order_id=number,
        order_number=number,
        order_status=Status(id="test", message="TEST ORDER"),
        created_at=now,
        updated_at=now,
        name="TEST ORDER - do not ship",
        address="Teststraat 1",
        postal_code="1012 AB",
        city="Amsterdam",
        country="NL",
        email="test@example.com",
        currency="EUR",
        parcel_items=[ParcelItem(description="Test item", quantity=1, value=cents(100), weight=grams(100))],
    )


def send_test_order(integration: Integration) -> OrderTest:
    """Make a test order at Sendcloud, look for it, and delete it. Takes seconds; nothing of it is stored.

    Raises:
        RateLimited: the rate limit leaves no room now. Nothing was made.
        APIError: it was rejected, or its result is unknown. A deletion was tried all the same.
        SendcloudConfigurationError: the keys are missing or cannot be read, or this deployment may be a copy.
    """
    now = clock.now().replace(microsecond=0)
    number = f"TEST-{uuid.uuid4().hex[:10].upper()}"
    _turn(integration, "unsafe")
    with backend_for(integration) as backend:
        payload = backend.prepare(payload_for_test(number, now))
        shipment = Shipment(
            integration=integration,
            order_number=number,
            external_order_id=payload.external_order_id,
            external_shipment_id=payload.external_shipment_id or "",
            status=ShipmentStatus.ACCEPTED,
            stamp=int(now.timestamp()),
            created_at=now,
            last_pushed_at=now,
        )
        was_seen = False
        try:
            result = backend.upsert([Item(payload, shipment)])[0]
            if result.outcome is Outcome.REJECTED:
                return OrderTest(number, result.errors)
            shipment.remote_id, shipment.uuid = result.remote_id, uuid.UUID(result.uuid) if result.uuid else None
            was_seen = _is_seen(backend, shipment)
        finally:
            # Also after an error: the order may have been made.
            was_deleted = _is_deleted(backend, shipment)
    if was_seen:
        Integration.objects.filter(pk=integration.pk).update(last_success_at=clock.now())
    return OrderTest(number, was_seen=was_seen, was_deleted=was_deleted)


def _is_seen(backend: Backend, shipment: Shipment) -> bool:
    end = clock.monotonic() + WAIT_SECONDS
    while True:
        _turn(backend.integration, "safe")
        if backend.find(shipment) is not None:
            return True
        if clock.monotonic() >= end:
            return False
        clock.sleep(CHECK_SECONDS)


def _is_deleted(backend: Backend, shipment: Shipment) -> bool:
    end = clock.monotonic() + WAIT_SECONDS
    while clock.monotonic() < end:
        try:
            _turn(backend.integration, "unsafe")
            result = backend.delete(shipment)
        except Exception as error:
            logger.warning("A test order could not be deleted: %s.", type(error).__name__)
            return False
        if result.outcome is Outcome.DELETED:
            return True
        clock.sleep(min(result.wait or CHECK_SECONDS, conf().CONFIRM_SECONDS or CHECK_SECONDS))
    return False


def _turn(integration: Integration, kind: limiter.Kind) -> None:
    limiter.wait_for_turn(integration.account.pk, kind)
