"""The round of a worker: claim, push, again, until nothing is due, nothing may be sent, or time is up."""

from __future__ import annotations

import functools
import gc
import logging
import threading

from ..clock import clock
from ..conf import conf
from . import breaker
from .build import Integrations
from .claim import Claim, bury_the_dead, claim
from .patience import patiently
from .push import Push

__all__ = ["bury_the_dead", "pump"]

logger = logging.getLogger("django_sendcloud.sync")

# A deletion costs a request each, an upsert a hundredth: of five requests, at most one is a deletion while both wait.
DELETES_PER_CLAIM = 20
UPSERTS_PER_DELETE = 4
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
    shares = {"upserts": 0, "deletes": 0}
    with fewer_collections, Push() as push:
        while clock.monotonic() < end:
            integrations = patiently(Integrations)
            taken = patiently(functools.partial(_next_claim, integrations, shares))
            if taken is None or not taken.entries:
                return False
            before = push.requests
            push.run(taken, integrations)
            shares["deletes" if taken.entries[0].gone else "upserts"] += push.requests - before
    return True


def _next_claim(integrations: Integrations, shares: dict[str, int]) -> Claim | None:
    """The entries to look at next; ``None`` where nothing may be sent to anybody."""
    now = clock.now()
    blocked: list[int] = []
    trial: list[int] = []
    for integration in integrations.by_pk.values():
        if not integration.is_active or integration.is_paused or breaker.closed_until(integration.account, now):
            blocked.append(integration.pk)
        elif breaker.is_half_open(integration.account, now):
            trial.append(integration.pk)
    if trial:
        account = integrations.by_pk[trial[0]].account
        if breaker.take_probe(account, now):
            # One order tries whether Sendcloud is back: one that waits for it, or else any.
            waiting = claim(1, only=[pk for pk in trial if integrations.by_pk[pk].account_id == account.pk])
            return waiting if waiting.entries else claim(1, blocked=blocked)
        blocked += trial
    if integrations.active and all(integration.pk in blocked for integration in integrations.active):
        return None
    deletes_first = shares["deletes"] * UPSERTS_PER_DELETE < shares["upserts"]
    for gone in (deletes_first, not deletes_first):
        taken = claim(DELETES_PER_CLAIM if gone else conf().CLAIM_SIZE, gone=gone, blocked=blocked)
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
