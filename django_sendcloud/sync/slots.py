"""The right of a process to push for an account: two have it, so that no backlog takes all workers of a shop."""

from __future__ import annotations

import datetime as dt
import uuid

from ..conf import conf
from ..core.clock import clock
from ..models import PushSlot

__all__ = ["SLOTS", "Slot", "first_end", "take"]

#: Processes that push for one account at the same time.
SLOTS = 2
# Seconds by which a slot outlives the request of a process that has died.
MARGIN_SECONDS = 5.0


class Slot:
    """A slot that this process has. It is renewed before each request, and must be released."""

    def __init__(self, pk: int, lease: str) -> None:
        self._rows = PushSlot.objects.filter(pk=pk, lease=lease)
        self._renewed_at = clock.monotonic()

    def renew(self) -> None:
        """Keep the slot for another request. Costs no statement within a few seconds of the last time.

        A slot that was lost, because the process stood still, is no reason to stop: the limiter keeps the rate.
        """
        if clock.monotonic() - self._renewed_at > MARGIN_SECONDS / 2:
            self._rows.update(until=_end())
            self._renewed_at = clock.monotonic()

    def release(self) -> None:
        """Give the slot back."""
        self._rows.update(until=clock.now(), lease="")


def take(account_pk: int) -> Slot | None:
    """Take a free slot of this account; ``None`` if other processes have them all."""
    now, lease = clock.now(), uuid.uuid4().hex
    rows = PushSlot.objects.filter(account_id=account_pk)
    for _ in range(SLOTS + 1):
        free = rows.filter(until__lte=now).order_by("number").values_list("pk", flat=True).first()
        if free is not None:
            if rows.filter(pk=free, until__lte=now).update(until=_end(), lease=lease):
                return Slot(free, lease)
        elif rows.count() < SLOTS:
            PushSlot.objects.bulk_create(
                [PushSlot(account_id=account_pk, number=number, until=now) for number in range(SLOTS)],
                ignore_conflicts=True,
            )
        else:
            return None
    return None


def first_end(account_pk: int) -> dt.datetime:
    """Return when the first slot of this account ends, should its process have died."""
    return PushSlot.objects.filter(account_id=account_pk).order_by("until").values_list("until", flat=True)[0]


def _end() -> dt.datetime:
    return clock.now() + dt.timedelta(seconds=conf().DEADLINE_SECONDS + MARGIN_SECONDS)
