"""The isolation of an order: 0 in a full batch, 7 in a batch of its own.

A request may fail because of one of its orders, and an order may kill its worker. Each such failure halves the batch of
all orders involved, until the culprit is alone. An order that is accepted loses its isolation with its entry.
"""

from __future__ import annotations

from ..conf import conf

__all__ = ["ALONE", "after_lost_claims", "batch_limit", "isolation_for"]

#: Alone, whatever the batch size: 2**7 exceeds the largest one.
ALONE = 7
# Claims without a result after which an order is sent alone.
_ALONE_AFTER = 3


def batch_limit(isolation: int) -> int:
    """Return how many shipments a batch may have at this isolation."""
    return max(1, -(-conf().BATCH_SIZE // (1 << isolation)))


def isolation_for(size: int) -> int:
    """Return the isolation at which a batch has at most ``size`` shipments."""
    return next((level for level in range(ALONE) if batch_limit(level) <= size), ALONE)


def after_lost_claims(attempts: int) -> int:
    """Return the isolation of an order after this many claims without a result."""
    return ALONE if attempts >= _ALONE_AFTER else (0, 1, 4)[attempts]
