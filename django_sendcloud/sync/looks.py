"""Orders whose time has come, though nothing about them changed: their way into the outbox."""

from __future__ import annotations

import itertools

from ..core.clock import clock
from ..models import ScheduledLook
from .fold import add_entries

__all__ = ["take_due_looks"]

# Orders that one statement puts into the outbox.
CHUNK = 1000


def take_due_looks() -> int:
    """Put the orders into the outbox that are to be looked at by now. Return how many."""
    taken = 0
    due = ScheduledLook.objects.filter(at__lte=clock.now()).order_by("order_type", "order_pk")
    while looks := list(due[:CHUNK]):
        # In this order: a crash between the two statements repeats a look, and loses none.
        for order_type, group in itertools.groupby(looks, lambda look: look.order_type):
            add_entries(order_type, [look.order_pk for look in group])
        ScheduledLook.objects.filter(pk__in=[look.pk for look in looks]).delete()
        taken += len(looks)
    return taken
