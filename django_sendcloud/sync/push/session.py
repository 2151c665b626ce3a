"""The state a worker keeps between two claims."""

from __future__ import annotations

import math

from ...core.clock import clock
from ...core.retry import retry_transient
from ...models import Integration
from ..backends import Backend, backend_for
from ..slots import Slot

__all__ = ["PushSession"]


class PushSession:
    """The work of one worker run: its connections stay open for the next claim.

    Args:
        wait_budget: Seconds that the run may wait for the rate limit altogether.
    """

    def __init__(self, wait_budget: float = math.inf) -> None:
        self.wait_budget = wait_budget
        # The slot that the current claim is pushed under, if it needs one.
        self.slot: Slot | None = None
        # Requests made.
        self.upserts = 0
        self.deletes = 0
        self.succeeded: set[int] = set()
        self._backends: dict[int, Backend] = {}

    def __enter__(self) -> PushSession:
        return self

    def __exit__(self, *exc_info: object) -> None:
        for backend in self._backends.values():
            backend.close()
        if self.succeeded:
            rows = Integration.objects.filter(pk__in=self.succeeded)
            retry_transient(lambda: rows.update(last_success_at=clock.now(), relapses=0, resumed_from=""))

    def backend(self, integration: Integration) -> Backend:
        """Return the backend of this integration, made at its first use."""
        if integration.pk not in self._backends:
            self._backends[integration.pk] = backend_for(integration)
        return self._backends[integration.pk]

    def wait(self, seconds: float) -> None:
        """Wait for the rate limit, and subtract the seconds from the run's wait_budget."""
        self.wait_budget -= seconds
        clock.sleep(seconds)
