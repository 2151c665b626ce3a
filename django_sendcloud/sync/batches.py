"""How many orders go into one request: as many as Sendcloud takes, and fewer of those that made it fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from ..clock import clock
from ..conf import conf
from ..models import Integration
from .build import Plan
from .claim import ALONE_AFTER

__all__ = ["Batch", "Refused", "batch_sizes", "divided"]

# How long a batch size that Sendcloud found too large is remembered, in this process.
MEMORY_SECONDS = 3600.0
# What a request may have met with because of one of its orders, so that it is tried in smaller company.
_SUSPICIOUS = frozenset({"server_error", "unreadable_answer", "answer_incomplete", "no_answer"})


class _BatchSizes:
    """What Sendcloud found too large (413), remembered for an hour."""

    def __init__(self) -> None:
        self._limits: dict[int, tuple[int, float]] = {}

    def get(self, integration: Integration) -> int:
        size, until = self._limits.get(integration.pk, (conf().BATCH_SIZE, 0.0))
        return size if clock.monotonic() < until else conf().BATCH_SIZE

    def lower(self, integration: Integration, size: int) -> None:
        self._limits[integration.pk] = (max(1, size), clock.monotonic() + MEMORY_SECONDS)

    def forget(self) -> None:
        self._limits.clear()


batch_sizes = _BatchSizes()


@dataclasses.dataclass(slots=True)
class Refused:
    """A request that was too large (413), and is sent again in parts: because of its size, or of one order in it?"""

    smallest: int
    # Parts of which it is not known yet.
    parts: int = 1
    # One order alone was too large.
    culprit: bool = False

    def divide(self, size: int) -> None:
        """One part was too large again."""
        self.smallest = min(self.smallest, size)
        self.parts += 1

    def part_is_through(self, integration: Integration, *, alone_too_large: bool = False) -> None:
        """Of one part it is known what became of it."""
        self.culprit = self.culprit or alone_too_large
        self.parts -= 1
        if not self.parts and not self.culprit:
            # All of it went, only not together.
            batch_sizes.lower(integration, self.smallest // 2)


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """What goes, or went, into one request."""

    integration: Integration
    plans: list[Plan]
    refused: Refused | None = None

    def halves(self, refused: Refused | None) -> tuple[Batch, Batch]:
        middle = len(self.plans) // 2
        first, second = self.plans[:middle], self.plans[middle:]
        return Batch(self.integration, first, refused), Batch(self.integration, second, refused)


def divided(integration: Integration, plans: Sequence[Plan], *, everything: bool) -> Iterator[Batch]:
    """Orders in groups of at most so many shipments; an order is never torn apart.

    Those that took part in several failed requests go in smaller company: one of them may be the cause.

    Args:
        integration: Where they go.
        plans: The orders.
        everything: Also what does not fill a batch.
    """
    suspects = [plan for plan in plans if _cap(plan) < conf().BATCH_SIZE]
    others = [plan for plan in plans if _cap(plan) >= conf().BATCH_SIZE]
    for group in (others, sorted(suspects, key=_cap)):
        batch: list[Plan] = []
        size = most = 0
        for plan in group:
            most = min(batch_sizes.get(integration), _cap(plan))
            if batch and size + len(plan.upserts) > most:
                yield Batch(integration, batch)
                batch, size = [], 0
            batch.append(plan)
            size += len(plan.upserts)
        if batch and (everything or size >= most):
            yield Batch(integration, batch)


def _cap(plan: Plan) -> int:
    entry = plan.entry
    if entry.attempts > ALONE_AFTER:
        return 1
    if entry.failures >= 3 and entry.error_code in _SUSPICIOUS:
        return max(1, conf().BATCH_SIZE >> (2 * (entry.failures - 2)))
    return conf().BATCH_SIZE
