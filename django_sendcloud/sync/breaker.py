"""The circuit breaker of an account: until when nothing is sent, and why. All workers share it, in the account's row.

Sendcloud asks for a pause with a 429. Failures close the account as well: each counts two points, each success takes
one back, and at ten points (five failures in a row, or more than a third of many requests) nothing is sent for 30
seconds, doubling to 5 minutes; then one request with one order finds out whether Sendcloud is back.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest

from ..conf import conf
from ..core.clock import clock
from ..models import Account, ClosedReason

POINTS_PER_FAILURE = 2
POINTS_TO_OPEN = 10
OPEN_SECONDS = 30.0
OPEN_SECONDS_MAX = 300.0


def closed_until(account: Account, now: dt.datetime) -> dt.datetime | None:
    """Return until when nothing may be sent on this account; ``None`` if it may."""
    return account.closed_until if account.closed_until and account.closed_until > now else None


def is_half_open(account: Account, now: dt.datetime) -> bool:
    """Return whether the account was closed by failures and its time is over: one request may try."""
    return account.openings > 0 and closed_until(account, now) is None


def state(account: Account, now: dt.datetime) -> str:
    """Return ``closed``, ``open`` or ``half-open``, as of a circuit breaker: ``open`` while Sendcloud fails."""
    if is_half_open(account, now):
        return "half-open"
    return "open" if closed_until(account, now) and account.closed_reason == ClosedReason.FAILING else "closed"


def take_trial(account: Account, now: dt.datetime) -> bool:
    """Acquire the right to send the one trial request. The account stays closed to all other workers meanwhile."""
    until = now + dt.timedelta(seconds=max(OPEN_SECONDS, conf().DEADLINE_SECONDS))
    rows = Account.objects.filter(
        Q(closed_until__isnull=True) | Q(closed_until__lte=now), pk=account.pk, openings__gt=0
    )
    return bool(rows.update(closed_until=until, closed_reason=ClosedReason.FAILING))


def failed(account: Account, *, trial: bool = False) -> bool:
    """Count a failure on Sendcloud's side or on the way. Returns whether the account is closed now.

    Args:
        account: The account.
        trial: Whether it was the request that was to find out whether Sendcloud is back. Only that prolongs the time:
            other requests that fail while the account is closed had been sent before.
    """
    now = clock.now()
    rows = Account.objects.filter(pk=account.pk)
    rows.update(failures=F("failures") + POINTS_PER_FAILURE)
    account.refresh_from_db(fields=["failures", "openings", "closed_until", "closed_reason"])
    if account.openings:
        if trial:
            _close_account(rows, account, now)
        return True
    if account.failures < POINTS_TO_OPEN:
        return False
    _close_account(rows, account, now)
    return True


def _close_account(rows: QuerySet[Account], account: Account, now: dt.datetime) -> None:
    """Close the account for longer than the last time. Only one of several concurrent workers does."""
    until = now + dt.timedelta(seconds=min(OPEN_SECONDS_MAX, OPEN_SECONDS * 2**account.openings))
    rows.filter(openings=account.openings).update(openings=account.openings + 1)
    _close(rows, until, ClosedReason.FAILING)
    account.refresh_from_db(fields=["openings", "closed_until", "closed_reason"])


def _close(rows: QuerySet[Account], until: dt.datetime, reason: ClosedReason) -> None:
    """Close the account, unless it is closed for longer already."""
    rows.filter(Q(closed_until__isnull=True) | Q(closed_until__lt=until)).update(
        closed_until=until, closed_reason=reason
    )


def succeeded(account: Account, *, trial: bool = False) -> None:
    """Count a sensible answer. Costs no statement where there were no failures.

    Only its trial opens a closed account again, and a pause that Sendcloud asked for ends when it said.
    """
    rows = Account.objects.filter(pk=account.pk)
    if trial:
        rows.update(failures=0, openings=0)
        rows.filter(closed_reason=ClosedReason.FAILING).update(closed_until=None, closed_reason="")
        account.refresh_from_db(fields=["failures", "openings", "closed_until", "closed_reason"])
    elif account.failures and not account.openings:
        rows.filter(openings=0, failures__gt=0).update(failures=Greatest(F("failures"), 1) - 1)
        account.failures -= 1


def block(account: Account, retry_after: float | None) -> dt.datetime:
    """Leave the account alone after a 429, as long as it asks or for a minute. Returns until when."""
    seconds = 60.0 if retry_after is None or retry_after <= 0 else retry_after
    until = clock.now() + dt.timedelta(seconds=seconds)
    _close(Account.objects.filter(pk=account.pk), until, ClosedReason.RATE_LIMITED)
    account.refresh_from_db(fields=["closed_until", "closed_reason"])
    return account.closed_until or until
