"""The one number that says how alone an order travels: 0 in a full request, 7 without company.

A request may fail because of one of its orders, and a worker may die of one. Each such failure halves the company of
all orders involved, until the culprit stands alone; an order that is accepted loses its number with its entry.
"""

from __future__ import annotations

from ..conf import conf

__all__ = ["ALONE", "after_lost_claims", "isolation_for", "together"]

#: Alone, whatever the batch size: 2**7 exceeds the largest one.
ALONE = 7
# After so many claims without an answer an order travels alone.
_ALONE_AFTER = 3


def together(isolation: int) -> int:
    """Return how many shipments may travel together at this isolation."""
    return max(1, -(-conf().BATCH_SIZE // (1 << isolation)))


def isolation_for(size: int) -> int:
    """Return the isolation at which at most ``size`` shipments travel together."""
    return next((level for level in range(ALONE) if together(level) <= size), ALONE)


def after_lost_claims(attempts: int) -> int:
    """Return the isolation of an order whose worker has not reported back for so many claims."""
    return ALONE if attempts >= _ALONE_AFTER else (0, 1, 4)[attempts]
