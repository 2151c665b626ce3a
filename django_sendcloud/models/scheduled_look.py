"""Orders that are looked at again at a time, though nothing changes until then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.db import connections, models

from ..conf import conf
from .base import OrderReference, OrderReferenceQuerySet


class ScheduledLookQuerySet(OrderReferenceQuerySet["ScheduledLook"]):
    def schedule(self, looks: Iterable[tuple[str, str, dt.datetime]]) -> None:
        """Schedule a look at each of these orders, in the place of an earlier one.

        Args:
            looks: An order's stored type and key, and the time.
        """
        rows = [self.model(order_type=kind, order_pk=pk, at=at) for kind, pk, at in looks]
        if rows:
            has_targets = connections[conf().DATABASE].features.supports_update_conflicts_with_target
            self.bulk_create(
                rows,
                update_conflicts=True,
                unique_fields=["order_type", "order_pk"] if has_targets else None,
                update_fields=["at"],
            )


class ScheduledLook(OrderReference):
    """*Look at this order again then*: what an adapter's ``look_again_at`` said. At most one row per order.

    A look that an order no longer wants does no harm: the order is looked at, and nothing is found to push.
    """

    at = models.DateTimeField(db_index=True)

    objects = ScheduledLookQuerySet.as_manager()

    class Meta(OrderReference.Meta):
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_look_order"),
        ]
