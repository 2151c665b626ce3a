"""The run of a worker: claim, push, again, until nothing is due, nothing may be sent, or time is up."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import functools
import math
from collections.abc import Callable

from django.db.models import Min, Q

from ..conf import conf
from ..core.clock import clock
from ..core.retry import retry_transient
from ..models import Account, Checkpoint, OutboxEntry
from . import breaker, limiter, slots
from .claim import DEAD_AFTER, Claim, claim, claimable, in_lanes
from .fold import CHUNK, fold
from .integrations import Integrations
from .lanes import Lane, Lanes, Shares
from .push import PushSession, push_claim
from .push.delete import DELETES_PER_CLAIM

__all__ = ["push_due", "run_in_turn", "take_next_run"]

# Seconds after which a worker in a shared process lets other tasks in.
TURN_SECONDS = 10.0
# Seconds that it waits for the rate in one run; beyond, it gives its process back.
WAIT_SECONDS = 1.0
# Seconds between two requests that are not full: orders saved one after the other then share requests.
PACE_SECONDS = 0.2
# Orders that are confirmed together: after a bulk, one walk through Sendcloud's list serves them all.
CONFIRM_CHUNK = 2000
# Maximum seconds an accepted order waits for its confirmation while others are pushed.
CONFIRM_WITHIN_SECONDS = 30.0
# Seconds between two confirmations of a worker that has orders to push.
CONFIRM_EVERY_SECONDS = 5.0
# Maximum seconds a run is planned ahead: brokers forget, and the periodic sweep finds the rest.
LONGEST_WAIT_SECONDS = 300.0

# Runs in turn share them.
_shares = Shares()


def push_due(budget: float = 45.0) -> bool:
    """Push the due orders, waiting for the rate limit. Safe to run at any time, also many times concurrently.

    Args:
        budget: Seconds after which no further claim is made.

    Returns:
        Whether time was up while there was still something to do.
    """
    return _Run(budget, wait_budget=math.inf).go()


def run_in_turn(budget: float = TURN_SECONDS) -> float | None:
    """Push what is due from a process that others need as well: one of two per account, without long waits.

    Args:
        budget: Seconds after which no further claim is made.

    Returns:
        Seconds until the next run is needed, 0.0 if time was up; ``None`` if nothing waits.
    """
    run = _Run(budget, wait_budget=WAIT_SECONDS, in_turn=True)
    return 0.0 if run.go() else run.next_run()


def take_next_run(seconds: float) -> bool:
    """Take the plan of a run in these seconds, unless an earlier one is planned. Return whether it was taken.

    The process that has it notifies a worker for then.
    """
    now = clock.now()
    until = now + dt.timedelta(seconds=seconds)
    rows = Checkpoint.objects.filter(name="run")
    # One that is about to come may be this very run's: clocks differ a little.
    little = dt.timedelta(seconds=0.25)
    if rows.filter(Q(until__lte=now + little) | Q(until__gt=until + little)).update(until=until):
        return True
    return not rows.exists() and Checkpoint.objects.get_or_create(name="run", defaults={"until": until})[1]


@dataclasses.dataclass
class _Run:
    """One run of a worker.

    Args:
        budget: Seconds after which no further claim is made.
        wait_budget: Seconds that it may wait for the rate altogether.
        in_turn: Whether it shares its process with other tasks.
    """

    budget: float
    wait_budget: float
    in_turn: bool = False

    def __post_init__(self) -> None:
        self.session = PushSession(self.wait_budget)
        self.integrations = Integrations()
        # Accounts that have due orders and may not be served in this run, and for how many seconds.
        self.skipped: dict[int, float] = {}
        self.served: collections.Counter[int] = collections.Counter()
        self.paced_until = 0.0
        self.confirm_at = -math.inf
        self.lanes = Lanes(_shares if self.in_turn else Shares())

    def go(self) -> bool:
        """Work until nothing is due or time is up. Return whether anything was left to do."""
        end = clock.monotonic() + self.budget
        all_folded = False
        with self.session:
            while clock.monotonic() < end:
                self.integrations = retry_transient(Integrations)
                just_folded = not all_folded
                if just_folded:
                    all_folded = fold() < CHUNK
                if not self._serve() and all_folded and (just_folded or not fold()):
                    # And nothing has been recorded meanwhile.
                    return False
        return True

    def next_run(self) -> float | None:
        """Return the seconds until an order that is left may be sent."""
        now = clock.now()
        lanes: list[Lane] = [i.pk for i in self.integrations.running if i.account.pk not in self.skipped]
        if lanes or not self.skipped:
            lanes.append(None)
        later = OutboxEntry.objects.pending().filter(in_lanes(lanes), attempts__lt=DEAD_AFTER, due_at__gt=now)
        soonest = retry_transient(lambda: later.aggregate(soonest=Min("due_at"))["soonest"])
        waits = [*self.skipped.values(), *([(soonest - now).total_seconds()] if soonest else [])]
        return min(max(0.0, min(waits)), LONGEST_WAIT_SECONDS) if waits else None

    # -- turns ------------------------------------------------------------------------------------

    def _serve(self) -> bool:
        """Make and push one claim, for the account that was served least. Return whether there was anything."""
        if not self.integrations.active:
            # Without an integration, orders are planned once, so that each shows why it waits.
            return self._push(retry_transient(functools.partial(claim, conf().CLAIM_SIZE)))
        accounts = {integration.account.pk: integration.account for integration in self.integrations.running}
        # Orders that wait for an integration out of use may go elsewhere now.
        elsewhere: list[Lane] = [None, *(pk for pk, each in self.integrations.by_pk.items() if not each.is_active)]
        for pk in sorted(accounts, key=lambda pk: (self.served[pk], pk)):
            if pk in self.skipped:
                continue
            lanes: list[Lane] = [i.pk for i in self.integrations.running if i.account_id == pk]
            if self._serve_account(accounts[pk], [*elsewhere, *lanes]):
                self.served[pk] += 1
                return True
        return False

    def _serve_account(self, account: Account, lanes: list[Lane]) -> bool:
        now = clock.now()
        if not retry_transient(claimable(now).filter(in_lanes(lanes), attempts__lt=DEAD_AFTER).exists):
            return breaker.is_half_open(account, now) and self._push(self._trial(account, lanes, now), account)
        if until := breaker.closed_until(account, now):
            self.skipped[account.pk] = (until - now).total_seconds()
            return False
        if breaker.is_half_open(account, now):
            return self._push(self._trial(account, lanes, now), account)
        if not self.in_turn:
            return self._push(self._next_claim(account, lanes, conf().CLAIM_SIZE, DELETES_PER_CLAIM), account)
        # Confirmations have a rate of their own.
        may_confirm = self._wait(account) > 0 and self._has_accepted(lanes)
        if may_confirm and self._in_slot(account, functools.partial(self._accepted, lanes)):
            return True
        if account.pk in self.skipped or not self._wait_for_rate(account):
            return False
        if self._in_slot(account, functools.partial(self._portion, account, lanes)):
            return True
        # Another worker has taken the due orders, or a fold holds them for a moment.
        self.skipped.setdefault(account.pk, WAIT_SECONDS)
        return False

    def _in_slot(self, account: Account, make_claim: Callable[[], Claim]) -> bool:
        """Make and push a claim in one of the account's slots; skip the account if there is none."""
        slot = retry_transient(functools.partial(slots.take, account.pk))
        if slot is None:
            # The processes that have them go on until nothing is due.
            first_end = retry_transient(functools.partial(slots.first_end, account.pk))
            ends_in = (first_end - clock.now()).total_seconds()
            self.skipped[account.pk] = max(ends_in, WAIT_SECONDS)
            return False
        self.session.slot = slot
        try:
            return self._push(make_claim(), account)
        finally:
            self.session.slot = None
            retry_transient(slot.release)

    def _portion(self, account: Account, lanes: list[Lane]) -> Claim:
        """Claim no more than may be sent now: what comes meanwhile goes before the rest."""
        room = max(1, retry_transient(functools.partial(limiter.room, account)))
        size, deletes = min(room * conf().BATCH_SIZE, conf().CLAIM_SIZE), min(room, DELETES_PER_CLAIM)
        return self._next_claim(account, lanes, size, deletes)

    def _wait(self, account: Account) -> float:
        """Return the seconds until the account's next request, including the pause in which more orders can join it."""
        return max(retry_transient(functools.partial(limiter.wait, account)), self.paced_until - clock.monotonic())

    def _wait_for_rate(self, account: Account) -> bool:
        """Wait a moment until a request may be sent that others have had time to join. Return whether it may."""
        wait = self._wait(account)
        if wait > self.session.wait_budget:
            self.skipped[account.pk] = wait
            return False
        if wait > 0:
            self.session.wait(wait)
        return True

    def _next_claim(self, account: Account, lanes: list[Lane], size: int, deletes: int) -> Claim:
        """Claim orders to push, or else accepted orders; these go first when they have waited for long."""
        if clock.monotonic() >= self.confirm_at:
            self.confirm_at = clock.monotonic() + CONFIRM_EVERY_SECONDS
            if self._has_accepted(lanes, CONFIRM_WITHIN_SECONDS) and (overdue := self._accepted(lanes)).entries:
                return overdue
        taken = self._to_push(account, lanes, size, deletes)
        return taken if taken.entries else self._accepted(lanes)

    def _has_accepted(self, lanes: list[Lane], seconds: float = 0.0) -> bool:
        """Return whether an accepted order has been due for its confirmation for this many seconds."""
        since = clock.now() - dt.timedelta(seconds=seconds)
        rows = OutboxEntry.objects.due(since).filter(in_lanes(lanes), is_accepted=True, attempts__lt=DEAD_AFTER)
        return bool(retry_transient(rows.exists))

    def _accepted(self, lanes: list[Lane]) -> Claim:
        """Claim accepted orders that Sendcloud should have saved by now."""
        return retry_transient(functools.partial(claim, CONFIRM_CHUNK, is_accepted=True, lanes=lanes))

    def _to_push(self, account: Account, lanes: list[Lane], size: int, deletes: int) -> Claim:
        """Claim from the lane that was served least; deletions in proportion to upserts, up to a limit."""
        taken = Claim("", 0.0, [])
        for kind in self.lanes.in_order(account.pk, lanes):
            limit = min(size, deletes) if kind.is_deletion else size
            taken = retry_transient(
                functools.partial(claim, limit, is_deletion=kind.is_deletion, is_accepted=False, lanes=[kind.lane])
            )
            if taken.entries:
                self.lanes.note_served(kind)
                break
            self.lanes.note_empty(kind)
        return taken

    def _trial(self, account: Account, lanes: list[Lane], now: dt.datetime) -> Claim:
        """Claim the one order that finds out whether Sendcloud is back: one that waits for it, or else any."""
        if not retry_transient(functools.partial(breaker.take_trial, account, now)):
            return Claim("", 0.0, [])
        mine = [integration.pk for integration in self.integrations.running if integration.account_id == account.pk]
        taken = retry_transient(functools.partial(claim, 1, lanes=mine, due_or_not=True))
        if not taken.entries:
            taken = retry_transient(functools.partial(claim, 1, lanes=lanes))
        taken.trial = True
        return taken

    def _push(self, taken: Claim, account: Account | None = None) -> bool:
        if not taken.entries:
            return False
        before = self.session.upserts, self.session.deletes
        if any(not entry.is_accepted for entry in taken.entries):
            is_full = len(taken.entries) >= conf().BATCH_SIZE // 2
            self.paced_until = 0.0 if is_full else clock.monotonic() + PACE_SECONDS
        meanwhile = functools.partial(self._push_meanwhile, account) if account else lambda: None
        push_claim(self.session, taken, self.integrations, meanwhile)
        if account is not None:
            self.lanes.shares.add(account.pk, self.session.upserts - before[0], self.session.deletes - before[1])
        return True

    def _push_meanwhile(self, account: Account) -> None:
        """Push what is due, one request of it, between two requests of a long confirmation."""
        fold()
        if self._wait(retry_transient(functools.partial(Account.objects.get, pk=account.pk))) > 0:
            return
        lanes: list[Lane] = [None, *(i.pk for i in self.integrations.running if i.account_id == account.pk)]
        self._push(self._to_push(account, lanes, conf().BATCH_SIZE, deletes=1), account)
