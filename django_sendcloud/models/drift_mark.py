"""Orders that the drift scan has recorded, so that its overlap does not record them again."""

from __future__ import annotations

from django.db import models

from .base import OrderReference, OrderReferenceQuerySet


class DriftMark(OrderReference):
    """An order that the drift scan has recorded, as it was modified then. Kept as long as a scan looks back so far."""

    modified_at = models.DateTimeField()

    objects = OrderReferenceQuerySet["DriftMark"].as_manager()

    class Meta(OrderReference.Meta):
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_driftmark_order"),
        ]
        indexes = [models.Index(fields=["order_type", "modified_at"], name="sendcloud_driftmark_age")]
