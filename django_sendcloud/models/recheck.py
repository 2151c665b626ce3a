"""Orders that are checked again at a time, although nothing changes until then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db import models

from .base import OrderReference, OrderReferenceQuerySet


class RecheckQuerySet(OrderReferenceQuerySet["Recheck"]):
    def schedule(self, rechecks: Iterable[tuple[str, str, dt.datetime]]) -> None:
        """Schedule a recheck of each of these orders, in the place of an earlier one.

        Args:
            rechecks: An order's stored type and key, and the time.
        """
        rows = [self.model(order_type=kind, order_pk=pk, at=at) for kind, pk, at in rechecks]
        self.insert_or_update(rows, unique_fields=["order_type", "order_pk"], update_fields=["at"])


class Recheck(OrderReference):
    """The time at which an order is checked again, as its adapter's ``recheck_at`` said. At most one row per order.

    A recheck that an order no longer wants does no harm: a worker finds nothing to push.
    """

    at = models.DateTimeField(db_index=True)

    objects = RecheckQuerySet.as_manager()

    class Meta(OrderReference.Meta):
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_recheck_order"),
        ]
