"""Orders whose shipments were pruned: they are never new again."""

from __future__ import annotations

from django.db import models

from .base import OrderReference, OrderReferenceQuerySet


class PrunedOrder(OrderReference):
    """An order whose shipments had arrived and were pruned. No later change of it is pushed."""

    pruned_at = models.DateTimeField()

    objects = OrderReferenceQuerySet["PrunedOrder"].as_manager()

    class Meta(OrderReference.Meta):
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_prunedorder_order"),
        ]
