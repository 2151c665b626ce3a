"""Rechecks: orders whose time has come go into the outbox, although nothing about them changed."""

from __future__ import annotations

import itertools

from ..core.clock import clock
from ..models import Recheck
from .fold import add_entries

__all__ = ["take_due_rechecks"]

# Orders that one statement puts into the outbox.
CHUNK = 1000


def take_due_rechecks() -> int:
    """Put the orders into the outbox whose recheck is due. Return how many."""
    taken = 0
    due = Recheck.objects.filter(at__lte=clock.now()).order_by("order_type", "order_pk")
    while rechecks := list(due[:CHUNK]):
        # In this order: a crash between the two statements repeats a recheck, and loses none.
        for order_type, group in itertools.groupby(rechecks, lambda recheck: recheck.order_type):
            add_entries(order_type, [recheck.order_pk for recheck in group])
        Recheck.objects.filter(pk__in=[recheck.pk for recheck in rechecks]).delete()
        taken += len(rechecks)
    return taken
