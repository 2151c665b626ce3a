"""Public signals.

Connect with ``@receiver(signal)``; ``sender`` is always the model class named below. A worker sends them, outside any
transaction, after the change that they report is committed; the admin's request sends ``integration_paused`` and
``integration_resumed`` where an operator decided so, maybe within its transaction. An exception in a receiver never
stops the others. Signals of the inbox are sent again for about a day until every receiver succeeds, so a receiver may
get one twice; effects on an order that must not be missed belong in the adapter's ``on_parcel()``.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
    "alert_raised",
    "alert_solved",
    "integration_deleted",
    "integration_paused",
    "integration_resumed",
    "integration_updated",
    "parcel_created",
    "parcel_status_changed",
    "return_created",
    "return_delivered",
    "shipment_deleted",
    "shipment_rejected",
    "shipment_synced",
    "webhook_received",
]

# Sent with: shipment (Shipment), created (bool: Sendcloud did not know it before). sender=Shipment.
shipment_synced = Signal()

# Sent with: shipment (Shipment; its ``errors`` say why). sender=Shipment.
shipment_rejected = Signal()

# Sent with: shipment (Shipment). It is gone at Sendcloud. sender=Shipment.
shipment_deleted = Signal()

# Sent with: parcel (Parcel), shipment (Shipment | None). The first webhook of a parcel. sender=Parcel.
parcel_created = Signal()

# Sent with: parcel (Parcel), shipment (Shipment | None), status (ParcelStatus), previous_status_id (int | None).
# Sent only when the current status moved, not for a late update that only completes the history. sender=Parcel.
parcel_status_changed = Signal()

# Sent with: integration (Integration), data (dict: the webhook's ``data``, unvalidated). sender=Integration.
return_created = Signal()

# Sent with: integration (Integration), data (dict: the webhook's ``refund``, unvalidated). sender=Integration.
return_delivered = Signal()

# Sent with: integration (Integration). What Sendcloud says of it was refreshed. sender=Integration.
integration_updated = Signal()

# Sent with: integration (Integration). It was deleted at Sendcloud. sender=Integration.
integration_deleted = Signal()

# Sent with: integration (Integration), reason (str). sender=Integration.
integration_paused = Signal()

# Sent with: integration (Integration). sender=Integration.
integration_resumed = Signal()

# Sent with: event (WebhookEvent), payload (dict), for every verified webhook, known action or not. sender=WebhookEvent.
webhook_received = Signal()

# Sent with: code (str), integration (Integration | None), detail (str), field (str), rule (str),
# since (datetime | None), number (int). A problem an operator has to know of. Sent once until it is solved.
# sender=Alert.
alert_raised = Signal()

# Sent with the same. The problem is solved. sender=Alert.
alert_solved = Signal()

# Private. Sent every minute with: health (Health), causes (list of Cause). The admin mails what is new. sender=Alert.
alerts_due = Signal()

# Private. Sent after commit with: queue ("outbox" | "inbox"). Notifies the workers of that queue.
work_due = Signal()

# Private. Sent with: integration_pk, cause, exception_type. A worker writes it to Sendcloud's log.
exception_reported = Signal()

# Private. Sent with: adapter. The registry changed.
adapter_registered = Signal()
adapter_unregistered = Signal()
