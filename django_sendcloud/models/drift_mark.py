"""Orders that the drift scan has recorded, so that its overlap does not record them again."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .base import OrderReference, OrderReferenceQuerySet


class DriftMark(OrderReference):
    """An order that the drift scan has recorded, as it was modified then. Kept as long as a scan looks back so far."""

    modified_at = models.DateTimeField()

    objects = OrderReferenceQuerySet["DriftMark"].as_manager()

    class Meta(OrderReference.Meta):
        verbose_name = _("drift mark")
        verbose_name_plural = _("drift marks")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_driftmark_order"),
        ]
        indexes = [models.Index(fields=["order_type", "modified_at"], name="sendcloud_driftmark_age")]

    def __str__(self) -> str:
        return f"{self.order_type} {self.order_pk}"
