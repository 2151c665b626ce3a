"""Recorded changes of orders: appended by the shop, folded into the outbox by workers."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from .base import OrderReference, OrderReferenceQuerySet


class Change(OrderReference):
    """*This order changed*: one row for each order and transaction that changed it.

    The shop writes it in its own transaction, and only inserts: no two transactions share a row, and none waits for one
    that a worker holds. A worker, or a page that reads the outbox, folds these rows into it first (``sync.fold``) and
    deletes them.
    """

    # A hint that the order is being deleted.
    is_deletion = models.BooleanField(default=False)
    # A row that the order depends on changed, not the order itself.
    only_related = models.BooleanField(default=False)
    # Whether it goes after changes that a signal reported.
    is_bulk = models.BooleanField(default=False)
    due_at = models.DateTimeField(default=timezone.now)
    recorded_at = models.DateTimeField(default=timezone.now)

    objects = OrderReferenceQuerySet["Change"].as_manager()

    class Meta(OrderReference.Meta):
        default_permissions = ()
        # A page about one order finds out with it that the order waits. Each further index would cost every save.
        indexes = [models.Index(fields=["order_pk"], name="sendcloud_change_order")]
