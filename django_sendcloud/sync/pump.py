"""The round of a worker: claim, push, again, until nothing is due, nothing may be sent, or time is up."""

from __future__ import annotations

import functools
import gc
import logging
import threading

from ..clock import clock
from ..conf import conf
from ..patience import patiently
from . import breaker
from .build import Integrations
from .claim import Claim, bury_the_dead, claim
from .fold import CHUNK, fold
from .push import DELETES_PER_CLAIM, UPSERTS_PER_DELETE, Push

__all__ = ["bury_the_dead", "pump"]

logger = logging.getLogger("django_sendcloud.sync")

# New objects after which the garbage collector looks for cycles, while orders are pushed.
COLLECT_EVERY = 10_000


def pump(budget: float = 45.0) -> bool:
    """Push what is due. Safe to run at any time, also many times at once.

    Args:
        budget: Seconds after which no further claim is made.

    Returns:
        Whether time was up while there was still something to do.
    """
    end = clock.monotonic() + budget
    all_folded = False
    with fewer_collections, Push() as push:
        while clock.monotonic() < end:
            integrations = patiently(Integrations)
            just_folded = not all_folded
            if just_folded:
                all_folded = fold() < CHUNK
            taken = patiently(functools.partial(_next_claim, integrations, push))
            if taken is not None and taken.entries:
                push.run(taken, integrations)
            elif all_folded and (just_folded or not fold()):
                # And nothing has been recorded meanwhile.
                return False
    return True


def _next_claim(integrations: Integrations, push: Push) -> Claim | None:
    """The entries to look at next; ``None`` where nothing may be sent to anybody."""
    now = clock.now()
    running = [each for each in integrations.active if not each.is_paused]
    if integrations.active and all(breaker.closed_until(integration.account, now) for integration in running):
        # (Where none is in use at all, the orders are looked at, so that they say so.)
        return None
    for account in {integration.account_id: integration.account for integration in running}.values():
        if breaker.is_half_open(account, now) and breaker.take_probe(account, now):
            # One order tries whether Sendcloud is back: one that waits for it, or else any.
            mine = [integration.pk for integration in running if integration.account_id == account.pk]
            taken = claim(1, waiting_for=mine)
            if not taken.entries:
                taken = claim(1)
            taken.trial = True
            return taken
    deletes_first = push.deletes * UPSERTS_PER_DELETE < push.upserts
    for gone in (deletes_first, not deletes_first):
        taken = claim(DELETES_PER_CLAIM if gone else conf().CLAIM_SIZE, gone=gone)
        if taken.entries:
            return taken
    return None


class _FewerCollections:
    """Let the garbage collector look less often while anybody in this process pushes.

    Hundreds of orders are built, sent and dropped together. At Python's own threshold the collector takes that for
    growth and reads the whole process time and again: a quarter of what a push costs. It is never switched off, and
    a shop's own, higher threshold stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pushing = 0
        self._before = (0, 0, 0)

    def __enter__(self) -> None:
        with self._lock:
            self._pushing += 1
            if self._pushing == 1:
                self._before = gc.get_threshold()
                if 0 < self._before[0] < COLLECT_EVERY:
                    gc.set_threshold(COLLECT_EVERY, *self._before[1:])

    def __exit__(self, *exc_info: object) -> None:
        with self._lock:
            self._pushing -= 1
            if not self._pushing:
                gc.set_threshold(*self._before)


fewer_collections = _FewerCollections()
