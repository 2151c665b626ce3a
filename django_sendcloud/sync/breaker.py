"""The circuit breaker and the pauses of an account: shared by all workers, in the account's row.

After five failures in a row, or where half of a worker's last twenty requests within a minute failed, nothing is sent
for a while (30 seconds, doubling to 5 minutes); then one request with one order tries. A 429 closes the account for as
long as Sendcloud asks, at most an hour.
"""

from __future__ import annotations

import collections
import datetime as dt

from django.db.models import F, Q, QuerySet

from ..clock import clock
from ..conf import conf
from ..models import Account

FAILURES_TO_OPEN = 5
# Of this worker's last requests, so many within so many seconds; half of them failed. (To count for all workers would
# cost a statement for each request that goes well.)
RECENT = 20
RECENT_SECONDS = 60.0
OPEN_SECONDS = 30.0
OPEN_SECONDS_MAX = 300.0
BLOCK_SECONDS_MAX = 3600.0


def closed_until(account: Account, now: dt.datetime) -> dt.datetime | None:
    """Until when nothing may be sent on this account; ``None`` if it may."""
    times = [moment for moment in (account.blocked_until, account.open_until) if moment and moment > now]
    return max(times, default=None)


def is_half_open(account: Account, now: dt.datetime) -> bool:
    """The breaker was open and its time is over: one request may try."""
    return account.openings > 0 and (account.open_until is None or account.open_until <= now)


def state(account: Account, now: dt.datetime) -> str:
    """``closed``, ``open`` or ``half-open``."""
    if account.open_until is not None and account.open_until > now:
        return "open"
    return "half-open" if is_half_open(account, now) else "closed"


def take_probe(account: Account, now: dt.datetime) -> bool:
    """Win the right to send the one trial request. The breaker stays open for all others meanwhile."""
    until = now + dt.timedelta(seconds=max(OPEN_SECONDS, conf().DEADLINE_SECONDS))
    rows = Account.objects.using(conf().DATABASE).filter(pk=account.pk, openings__gt=0)
    return bool(rows.filter(Q(open_until__isnull=True) | Q(open_until__lte=now)).update(open_until=until))


class _Recent:
    """How this worker's last requests ended, by account."""

    def __init__(self) -> None:
        self._ended: dict[int, collections.deque[tuple[float, bool]]] = {}

    def note(self, account_pk: int, *, well: bool) -> None:
        ended = self._ended.setdefault(account_pk, collections.deque(maxlen=RECENT))
        ended.append((clock.monotonic(), well))

    def half_failed(self, account_pk: int) -> bool:
        ended = self._ended.get(account_pk, ())
        since = clock.monotonic() - RECENT_SECONDS
        counted = [well for at, well in ended if at >= since]
        return len(counted) == RECENT and counted.count(False) * 2 >= RECENT

    def forget(self, account_pk: int) -> None:
        self._ended.pop(account_pk, None)


recent = _Recent()


def failed(account: Account, *, trial: bool = False) -> bool:
    """A request failed on Sendcloud's side or on the way. Returns whether the breaker is open now.

    Args:
        account: Whose.
        trial: It was the one that was to find out whether Sendcloud is back. Only that prolongs the opening: what else
            fails while it is open had been sent before.
    """
    now = clock.now()
    rows = Account.objects.using(conf().DATABASE).filter(pk=account.pk)
    rows.update(failures=F("failures") + 1)
    account.refresh_from_db(fields=["failures", "openings", "open_until"])
    recent.note(account.pk, well=False)
    if account.openings:
        if trial:
            _open(rows, account, now)
        return True
    if account.failures < FAILURES_TO_OPEN and not recent.half_failed(account.pk):
        return False
    recent.forget(account.pk)
    _open(rows, account, now)
    return True


def _open(rows: QuerySet[Account], account: Account, now: dt.datetime) -> None:
    seconds = min(OPEN_SECONDS_MAX, OPEN_SECONDS * 2**account.openings)
    # Of several that find it so, one opens it.
    rows.filter(openings=account.openings).update(
        openings=account.openings + 1, open_until=now + dt.timedelta(seconds=seconds)
    )
    account.refresh_from_db(fields=["openings", "open_until"])


def succeeded(account: Account, *, trial: bool = False) -> None:
    """A request was answered sensibly: forget former failures. Costs nothing where there are none.

    An open breaker is closed by its trial alone, and a pause that Sendcloud asked for ends when it said.
    """
    recent.note(account.pk, well=True)
    if trial or (account.failures and not account.openings):
        rows = Account.objects.using(conf().DATABASE).filter(pk=account.pk)
        (rows if trial else rows.filter(openings=0)).update(failures=0, openings=0, open_until=None)
        account.failures, account.openings, account.open_until = 0, 0, None


def block(account: Account, retry_after: float | None) -> dt.datetime:
    """429: leave the account alone for as long as it asked, or for a minute. Returns until when."""
    seconds = 60.0 if retry_after is None or retry_after <= 0 else min(retry_after, BLOCK_SECONDS_MAX)
    until = clock.now() + dt.timedelta(seconds=seconds)
    rows = Account.objects.using(conf().DATABASE).filter(pk=account.pk)
    # Of several answers at once, the one that asks for more time counts.
    rows.filter(Q(blocked_until__isnull=True) | Q(blocked_until__lt=until)).update(blocked_until=until)
    account.refresh_from_db(fields=["blocked_until"])
    return account.blocked_until or until
