"""That orders changed: appended by the shop, folded into the outbox by workers."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .fields import ExactCharField


class ChangeQuerySet(models.QuerySet["Change"]):
    def for_order(self, order: models.Model) -> ChangeQuerySet:
        """Those of one order."""
        from ..adapters import registry

        return self.filter(order_type__in=registry.order_types(order), order_pk=str(order.pk))


class Change(models.Model):
    """*This order was touched*: one row for each order and transaction that touched it.

    It is written in the shop's own transaction, so it is only ever inserted: no row is shared by two transactions, and
    none that a worker holds is ever waited for. Whoever looks at the outbox folds these rows into it first
    (``sync.fold``), and deletes them.
    """

    order_type = models.CharField(max_length=100)
    order_pk = ExactCharField(max_length=255)
    # A hint that the order is being deleted.
    gone = models.BooleanField(default=False)
    due_at = models.DateTimeField(default=timezone.now)
    recorded_at = models.DateTimeField(default=timezone.now)

    objects = ChangeQuerySet.as_manager()

    class Meta:
        verbose_name = _("recorded change")
        verbose_name_plural = _("recorded changes")
        default_permissions = ()
        # So that a page about one order finds out that it waits. No more: every order saved in the shop pays for it.
        indexes = [models.Index(fields=["order_pk"], name="sendcloud_change_order")]

    def __str__(self) -> str:
        return f"{self.order_type} {self.order_pk}"
