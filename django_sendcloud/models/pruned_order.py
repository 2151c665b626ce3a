"""Orders whose shipments were pruned: they are never new again."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .base import OrderReference, OrderReferenceQuerySet


class PrunedOrder(OrderReference):
    """An order whose shipments had arrived and were pruned. It is left alone, whatever changes."""

    pruned_at = models.DateTimeField()

    objects = OrderReferenceQuerySet["PrunedOrder"].as_manager()

    class Meta(OrderReference.Meta):
        verbose_name = _("pruned order")
        verbose_name_plural = _("pruned orders")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_prunedorder_order"),
        ]

    def __str__(self) -> str:
        return f"{self.order_type} {self.order_pk}"
