"""Webhooks that shops receive about parcels, returns and integrations."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from ..enums import WebhookAction
from .moments import iso
from .parcels import Parcel
from .parcels.views import parcel_json
from .store import SandboxIntegration, Store
from .webhooks import DeliveredWebhook, Webhooks

__all__ = ["Feedback"]


class Feedback:
    """Sends the webhooks of integrations that have them switched on.

    Attributes:
        base_url: Root of the v2 API, for the addresses of labels. Known once the server listens.
    """

    def __init__(self, store: Store, webhooks: Webhooks) -> None:
        self.base_url = ""
        self._store = store
        self._webhooks = webhooks
        self._return_ids = itertools.count(1)
        self._last_ms = 0

    def send(
        self, integration: SandboxIntegration, action: str, payload: Mapping[str, Any], key: str | None = None
    ) -> DeliveredWebhook | None:
        """Send a webhook; ``None`` if the integration has none switched on.

        Args:
            integration: Integration whose address and key are used.
            action: Action of the webhook.
            payload: Other fields of its body; it may replace the timestamp.
            key: Key to sign with, instead of the integration's own.
        """
        if not integration.webhook_active or not integration.webhook_url:
            return None
        body = {"action": str(action), "timestamp": self._timestamp(), **payload}
        return self._webhooks.send(integration.id, integration.webhook_url, key or integration.signing_key, body)

    def parcel_status_changed(self, parcel: Parcel) -> None:
        """Send the current status of a parcel."""
        if (integration := self._integration_of(parcel)) is None:
            return
        changed = int(parcel.statuses[-1][0].timestamp() * 1000)
        payload = {"carrier_status_change_timestamp": changed, "parcel": parcel_json(parcel, self.base_url)}
        self.send(integration, WebhookAction.PARCEL_STATUS_CHANGED, payload)

    def return_created(self, parcel: Parcel, outgoing: Parcel) -> None:
        """Send the return that a buyer has asked for."""
        if (integration := self._integration_of(parcel)) is None:
            return
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
        self.send(integration, WebhookAction.RETURN_CREATED, {"data": data})

    def return_delivered(self, parcel: Parcel) -> None:
        """Send the arrival of a return."""
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
        self.send(integration, WebhookAction.RETURN_DELIVERED, {"refund": refund})

    def integration_changed(self, integration: SandboxIntegration, action: str) -> DeliveredWebhook | None:
        """Send an integration as it now is."""
        return self.send(integration, action, {"integration": _integration_json(integration)})

    def credentials(self, integration: SandboxIntegration) -> DeliveredWebhook | None:
        """Send the keys of an integration, signed with the secret key among them, as the connect flow does."""
        keys = {
            "integration_id": integration.id,
            "public_key": integration.public_key,
            "secret_key": integration.secret_key,
        }
        return self.send(integration, WebhookAction.INTEGRATION_CREDENTIALS, keys, integration.secret_key)

    def _timestamp(self) -> int:
        """Return the time in milliseconds, never the same twice, so that later webhooks have later timestamps."""
        with self._store.lock:
            self._last_ms = max(self._last_ms + 1, int(self._store.clock().timestamp() * 1000))
            return self._last_ms

    def _integration_of(self, parcel: Parcel) -> SandboxIntegration | None:
        return self._store.integrations.get(parcel.integration_id)


def _integration_json(integration: SandboxIntegration) -> dict[str, Any]:
    """Return an integration as webhooks show it: without addresses that are not set."""
    settings = integration.settings()
    fixed = {name: value for name, value in integration.as_json().items() if name not in settings}
    return fixed | integration.set_settings()
