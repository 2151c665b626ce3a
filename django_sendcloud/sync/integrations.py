"""The integrations a worker pushes to, as they are at the time of a claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from django.db import connections
from django.db.models import Exists

from ..conf import conf
from ..core.clock import EpochMicroseconds, clock
from ..models import Integration, PrunedOrder
from .deployment_guard import pause_if_copy
from .problems import Problem
from .routing import route

__all__ = ["Integrations"]


class Integrations:
    """The integrations of the shop, read once per claim, together with the database's time."""

    def __init__(self) -> None:
        database = conf().DATABASE
        rows = Integration.objects.select_related("account").annotate(pruned=Exists(PrunedOrder.objects.all()))
        if connections[database].vendor != "sqlite":
            rows = rows.annotate(epoch=EpochMicroseconds())
        asked = time.monotonic()
        self.by_pk: dict[int, Integration] = {integration.pk: integration for integration in rows}
        for integration in self.by_pk.values():
            if epoch := getattr(integration, "epoch", 0):
                clock.learn(epoch, asked)
                break
        # Whether there are orders whose shipments were pruned.
        self.has_pruned = any(getattr(integration, "pruned", False) for integration in self.by_pk.values())
        self.active = [integration for integration in self.by_pk.values() if integration.is_active]
        for integration in self.active:
            pause_if_copy(integration)
        self.running = [integration for integration in self.active if not integration.is_paused]

    def resolve(
        self, wanted: Integration | None, country: Callable[[], str] = str, sites: Collection[str] = ()
    ) -> Integration | Problem:
        """Return the integration an order goes to, or why there is none; no such problem is the order's fault.

        Args:
            wanted: The choice of the adapter.
            country: Returns the order's country. Called only if an integration names countries.
            sites: Names of the order's site.
        """
        if wanted is not None:
            found = self.by_pk.get(wanted.pk)
            if found is None:
                return Problem("no_integration", f"Integration {wanted.pk} does not exist any more.", final=False)
            if not found.is_active:
                return Problem("no_integration", f"Integration {found} is not in use.", final=False)
            return found
        if len(self.active) == 1:
            return self.active[0]
        if not self.active:
            return Problem("no_integration", "No Sendcloud integration is connected.", final=False)
        if found := route(self.active, country, sites):
            return found
        return Problem(
            "integration_unknown",
            "Several integrations are active, and none fits this order best by its countries and sites. Enter them in "
            "the admin, or let the adapter's get_integration() say which one an order goes to.",
            final=False,
        )
