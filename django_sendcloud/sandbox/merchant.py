"""Actions of a merchant in Sendcloud's panel, with the webhooks that follow from them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final, get_args

from ..enums import WebhookAction
from .behaviour import Behaviour, Reference
from .feedback import Feedback
from .parcels import Parcel, Parcels
from .parcels.statuses import (
    ANNOUNCED,
    ANNOUNCEMENT_FAILED,
    CANCELLATION_REQUESTED,
    CANCELLED,
    COLLECTED,
    DELIVERED,
)
from .store import SandboxIntegration, Store, StoredOrder

__all__ = ["Merchant"]

_CANCELLABLE: Final = {999, 1000, 1001, 1337}
_CANCELLABLE_FOR: Final = dt.timedelta(days=42)
_TOO_OLD: Final = "Parcels older than 42 days cannot be cancelled."
_REFERENCES: Final = frozenset(get_args(Reference))


class Merchant:
    """Makes labels, moves parcels, and changes integrations."""

    def __init__(self, store: Store, parcels: Parcels, feedback: Feedback, behaviour: Behaviour) -> None:
        self.feedback = feedback
        self._store = store
        self._parcels = parcels
        self._behaviour = behaviour

    # Parcels

    def create_label(self, order: StoredOrder, count: int = 1) -> list[Parcel]:
        """Make labels for an order.

        Raises:
            ValueError: ``count`` is less than one, or the order has no address.
        """
        hidden = _REFERENCES - self._behaviour.v3_references if order.generation == "v3" else frozenset()
        made = self._parcels.create(order, count, hidden, hidden_empty=self._behaviour.v3_references_empty)
        for parcel in made:
            self.feedback.parcel_status_changed(parcel)
        return made

    def set_status(self, parcel: Parcel, status_id: int) -> None:
        """Set the status of a parcel."""
        self._parcels.set_status(parcel, status_id)
        self.feedback.parcel_status_changed(parcel)
        if parcel.is_return and status_id in {DELIVERED, COLLECTED}:
            self.feedback.return_delivered(parcel)

    def advance(self, parcel: Parcel) -> int | None:
        """Move a parcel one step along its journey, and return its new status; ``None`` at the end."""
        status = parcel.next_status
        if status is not None:
            self.set_status(parcel, status)
        return status

    def cancel(self, parcel: Parcel) -> tuple[int, str, str]:
        """Cancel a parcel if its status allows it.

        Returns:
            HTTP status, state and message (contract v2: ``POST /parcels/{id}/cancel``).
        """
        status = parcel.status_id
        if self._is_too_old(parcel) and status not in {CANCELLED, CANCELLATION_REQUESTED}:
            return 400, "failed", _TOO_OLD
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
        self.feedback.return_created(parcel, outgoing)
        self.feedback.parcel_status_changed(parcel)
        return parcel

    def cancel_shipment(self, parcels: Sequence[Parcel]) -> tuple[int, str, str]:
        """Cancel all parcels of a label request.

        Returns:
            HTTP status, state and message (contract v3: ``POST /shipments/{id}/cancel``).
        """
        if any(parcel.status_id in {CANCELLED, CANCELLATION_REQUESTED} for parcel in parcels):
            return 409, "invalid", "This shipment is already being cancelled."
        if any(parcel.status_id not in _CANCELLABLE | {ANNOUNCED, ANNOUNCEMENT_FAILED} for parcel in parcels):
            return 409, "invalid", "Shipped parcels, or parcels being shipped, cannot be cancelled."
        if any(self._is_too_old(parcel) for parcel in parcels):
            return 409, "invalid", _TOO_OLD
        queued = 202 in [self.cancel(parcel)[0] for parcel in parcels]
        if queued:
            return 202, "queued", "Shipment cancellation has been queued"
        return 200, "cancelled", "Shipment has been cancelled"

    def _is_too_old(self, parcel: Parcel) -> bool:
        return self._store.clock() - parcel.created_at > _CANCELLABLE_FOR

    # Integrations

    def change_integration(self, integration: SandboxIntegration, changes: Mapping[str, Any]) -> None:
        """Change settings of an integration. Unknown settings are ignored."""
        with self._store.lock:
            before = {**integration.settings(), "feedback_type": integration.feedback_type}
            for name in before.keys() & changes.keys() - {"last_updated_at"}:
                setattr(integration, name, changes[name])
            if {**integration.settings(), "feedback_type": integration.feedback_type} == before:
                return
            integration.last_updated_at = self._store.clock()
            first = integration.webhook_active and not integration.connected
            integration.connected = integration.connected or first
        action = WebhookAction.INTEGRATION_CONNECTED if first else WebhookAction.INTEGRATION_UPDATED
        self.feedback.integration_changed(integration, action)

    def delete_integration(self, integration: SandboxIntegration) -> None:
        """Delete an integration with all its orders."""
        with self._store.lock:
            self._store.remove(integration.id)
        self.feedback.integration_changed(integration, WebhookAction.INTEGRATION_DELETED)
