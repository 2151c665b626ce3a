"""What a person does in Sendcloud's panel, and what the shop hears of it by webhook."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, Final

from ..enums import WebhookAction
from .parcels import (
    ANNOUNCED,
    ANNOUNCEMENT_FAILED,
    CANCELLATION_REQUESTED,
    CANCELLED,
    COLLECTED,
    DELIVERED,
    Parcel,
    Parcels,
)
from .state import SandboxIntegration, State, StoredShipment, iso
from .webhooks import DeliveredWebhook, Webhooks

__all__ = ["Desk"]

_CANCELLABLE: Final = {999, 1000, 1001, 1337}


class Desk:
    """Where labels are made and parcels are moved.

    Attributes:
        base_url: Root of the API, for the addresses of labels. Known once the server listens.
    """

    def __init__(self, state: State, parcels: Parcels, webhooks: Webhooks) -> None:
        self.base_url = ""
        self._state = state
        self._parcels = parcels
        self._webhooks = webhooks
        self._return_ids = itertools.count(1)
        self._last_ms = 0

    # Labels and journeys

    def create_label(self, shipment: StoredShipment, count: int = 1) -> list[Parcel]:
        """Make labels for a shipment."""
        made = self._parcels.create(shipment, count)
        for parcel in made:
            self._tell_status(parcel)
        return made

    def set_status(self, parcel: Parcel, status_id: int) -> None:
        """Let a parcel have a status, and tell the shop."""
        self._parcels.set_status(parcel, status_id)
        self._tell_status(parcel)
        if parcel.is_return and status_id in {DELIVERED, COLLECTED}:
            self._tell_return_delivered(parcel)

    def advance(self, parcel: Parcel) -> int | None:
        """Let a parcel take the next step of its journey; the new status, or ``None`` where it has ended."""
        status = parcel.next_status
        if status is not None:
            self.set_status(parcel, status)
        return status

    def cancel(self, parcel: Parcel) -> tuple[int, str, str]:
        """Cancel a parcel as far as that is possible.

        Returns:
            HTTP status, state and message (operation: POST /parcels/{id}/cancel).
        """
        status = parcel.status_id
        if status == ANNOUNCEMENT_FAILED:
            self._parcels.remove(parcel)
            return 410, "deleted", "Parcel has been deleted"
        if status in _CANCELLABLE:
            self.set_status(parcel, CANCELLED)
            return 200, "cancelled", "Parcel has been cancelled"
        if status == ANNOUNCED:
            self.set_status(parcel, CANCELLATION_REQUESTED)
            return 202, "queued", "Parcel cancellation has been queued"
        if status in {CANCELLED, CANCELLATION_REQUESTED}:
            return 400, "failed", "This shipment is already being cancelled."
        return 400, "failed", "Shipped parcels, or parcels being shipped, cannot be cancelled."

    def create_return(self, outgoing: Parcel) -> Parcel:
        """Make a return label for a parcel, as a buyer does in the return portal."""
        parcel = self._parcels.create_return(outgoing)
        items = outgoing.shipment["parcel_items"] or ()
        data = {
            "id": next(self._return_ids),
            "brand_id": 1,
            "order_number": outgoing.shipment["order_number"],
            "return_reason_id": 1,
            "return_address_id": 1,
            "paid_return": False,
            "delivery_choice": "drop_off_point",
            "refund_type": "money",
            "items": [
                {
                    "item_id": item.get("product_id") or str(number),
                    "description": item["description"],
                    "quantity": item["quantity"],
                    "sku": item.get("sku") or "",
                    "hs_code": item.get("hs_code") or "",
                    "return_reason_id": 1,
                }
                for number, item in enumerate(items, start=1)
            ],
        }
        if (integration := self._integration_of(parcel)) is not None:
            self._tell(integration, WebhookAction.RETURN_CREATED, {"data": data})
        self._tell_status(parcel)
        return parcel

    # Integrations

    def change_integration(self, integration: SandboxIntegration, changes: Mapping[str, Any]) -> None:
        """Change settings of an integration, and tell the shop. What is not known is passed over."""
        with self._state.lock:
            before = integration.settings()
            for name in before.keys() & changes.keys() - {"last_updated_at"}:
                setattr(integration, name, changes[name])
            if integration.settings() == before:
                return
            integration.last_updated_at = self._state.clock()
            first = integration.webhook_active and not integration.connected
            integration.connected = integration.connected or first
        action = WebhookAction.INTEGRATION_CONNECTED if first else WebhookAction.INTEGRATION_UPDATED
        self._tell(integration, action, {"integration": _told(integration)})

    def delete_integration(self, integration: SandboxIntegration) -> None:
        """Delete an integration with all its shipments, and tell the shop."""
        with self._state.lock:
            self._state.remove(integration.id)
        self._tell(integration, WebhookAction.INTEGRATION_DELETED, {"integration": _told(integration)})

    def send_test_webhook(self, integration: SandboxIntegration) -> DeliveredWebhook | None:
        """Press "Test API Webhook". What Sendcloud really sends then is published nowhere."""
        return self._tell(integration, WebhookAction.TEST_WEBHOOK, {"integration": _told(integration)})

    def send_credentials(self, integration: SandboxIntegration) -> DeliveredWebhook | None:
        """Send the keys to the shop, signed with the very secret they contain, as the connect flow does."""
        keys = {
            "integration_id": integration.id,
            "public_key": integration.public_key,
            "secret_key": integration.secret_key,
        }
        return self._tell(integration, WebhookAction.INTEGRATION_CREDENTIALS, keys, integration.secret_key)

    def send(
        self, integration: SandboxIntegration, action: str, payload: Mapping[str, Any] | None = None
    ) -> DeliveredWebhook | None:
        """Send any webhook; ``None`` where the integration has none switched on."""
        return self._tell(integration, action, payload or {})

    def _tell(
        self, integration: SandboxIntegration, action: str, payload: Mapping[str, Any], key: str | None = None
    ) -> DeliveredWebhook | None:
        if not integration.webhook_active or not integration.webhook_url:
            return None
        body = {"action": str(action), "timestamp": self._timestamp(), **payload}
        return self._webhooks.send(integration.id, integration.webhook_url, key or integration.signing_key, body)

    def _timestamp(self) -> int:
        """Milliseconds, no two alike: what happens after another thing says so, however fast it happens."""
        with self._state.lock:
            self._last_ms = max(self._last_ms + 1, int(self._state.clock().timestamp() * 1000))
            return self._last_ms

    def _tell_status(self, parcel: Parcel) -> None:
        if (integration := self._integration_of(parcel)) is None:
            return
        changed = int(parcel.statuses[-1][0].timestamp() * 1000)
        payload = {"carrier_status_change_timestamp": changed, "parcel": parcel.as_json(self.base_url)}
        self._tell(integration, WebhookAction.PARCEL_STATUS_CHANGED, payload)

    def _tell_return_delivered(self, parcel: Parcel) -> None:
        if (integration := self._integration_of(parcel)) is None:
            return
        refund = {
            "created_at": iso(parcel.created_at),
            "reason": 1,
            "status": {"id": parcel.status_id, "message": parcel.status_message},
            "message": "",
            "total_refund": parcel.shipment.get("total_order_value") or "0.00",
            "outgoing_parcel": parcel.outgoing_id,
            "incoming_parcel": parcel.id,
        }
        self._tell(integration, WebhookAction.RETURN_DELIVERED, {"refund": refund})

    def _integration_of(self, parcel: Parcel) -> SandboxIntegration | None:
        return self._state.integrations.get(parcel.integration_id)


def _told(integration: SandboxIntegration) -> dict[str, Any]:
    shown = integration.as_json()
    return {name: value for name, value in shown.items() if name not in integration.settings()} | integration.told()
