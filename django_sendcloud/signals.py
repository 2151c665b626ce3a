"""What the shop can listen to.

Connect with ``@receiver(signal)``; ``sender`` is always the model class named below. All are sent by a
Celery worker, outside any transaction, after the change they speak of is committed. An exception in
a receiver is logged and shown at the event in the admin; it never stops the others.
"""

from __future__ import annotations

from django.dispatch import Signal

__all__ = [
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
# Sent only when the parcel's current status moved, not for late news that only completes the history. sender=Parcel.
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

# Private. Sent after commit with: queue ("outbox" | "inbox"). Rings the bell of whoever does the work.
work_due = Signal()

# Private. Sent with: integration_pk, cause, exception_type. Somebody should write it to Sendcloud's log.
exception_reported = Signal()

# Private. Sent with: adapter. The registry changed.
adapter_registered = Signal()
adapter_unregistered = Signal()
