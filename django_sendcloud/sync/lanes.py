"""The order in which a run asks for orders to push: by lane, and by upserts and deletions in each."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from ..core.clock import clock
from .push.delete import UPSERTS_PER_DELETE

__all__ = ["Kind", "Lane", "Lanes", "Shares"]

# Seconds for which an empty lane is tried last.
EMPTY_SECONDS = 0.5
# Requests of which a process remembers the kind, for each account.
REMEMBERED = 50

#: The key of the integration that entries wait for; ``None``: none in particular.
Lane: TypeAlias = int | None


class Kind(NamedTuple):
    """The upserts, or the deletions, of a lane."""

    lane: Lane
    is_deletion: bool


class Shares:
    """The upserts and deletions that a process has lately sent for each account.

    A run in turn may end after a request or two: by its own count, every run would begin with an upsert, and half of
    all requests would be deletions.
    """

    def __init__(self) -> None:
        self._counts: dict[int, tuple[int, int]] = {}

    def add(self, account_pk: int, upserts: int, deletes: int) -> None:
        before = self._counts.get(account_pk, (0, 0))
        upserts, deletes = before[0] + upserts, before[1] + deletes
        if upserts + deletes > REMEMBERED:
            upserts, deletes = upserts // 2, deletes // 2
        self._counts[account_pk] = upserts, deletes

    def deletes_first(self, account_pk: int) -> bool:
        """Return whether deletions have had less than their share."""
        upserts, deletes = self._counts.get(account_pk, (0, 0))
        return deletes * UPSERTS_PER_DELETE < upserts

    def clear(self) -> None:
        self._counts.clear()


class Lanes:
    """The lanes as one run has served them.

    Args:
        shares: The upserts and deletions that decide which go first.
    """

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        self._served: collections.Counter[Lane] = collections.Counter()
        self._empty_at: dict[Kind, float] = {}

    def in_order(self, account_pk: int, lanes: Sequence[Lane]) -> list[Kind]:
        """Return what to ask for, first the lane that was served least; last for a while what was empty."""
        deletes_first = self.shares.deletes_first(account_pk)
        kinds = [Kind(lane, is_deletion) for lane in lanes for is_deletion in (deletes_first, not deletes_first)]
        lately = clock.monotonic() - EMPTY_SECONDS
        return sorted(kinds, key=lambda kind: (self._empty_at.get(kind, -math.inf) > lately, self._served[kind.lane]))

    def note_served(self, kind: Kind) -> None:
        """Count a claim of this kind."""
        self._served[kind.lane] += 1

    def note_empty(self, kind: Kind) -> None:
        """Ask last for this kind, for a while."""
        self._empty_at[kind] = clock.monotonic()
