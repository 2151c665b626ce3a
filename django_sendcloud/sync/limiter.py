"""The rate limit that all workers share: one row and one UPDATE per request.

Sendcloud counts 100 unsafe and 1,000 safe requests a minute per account, over all its keys
(https://sendcloud.dev/docs/getting-started/rate-limits.md). GCRA with 85 a minute and a burst of 15 stays
below that in any window of 60 seconds. Time is the database's, so the workers' clocks do not matter.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any, Literal

from django.db import connections, transaction
from django.db.models import F, QuerySet, Value

from ..clock import MICROSECONDS, EpochMicroseconds, clock
from ..conf import conf
from ..models import Account, Integration

Kind = Literal["safe", "unsafe"]
KINDS: tuple[Kind, Kind] = ("unsafe", "safe")


def acquire(account_pk: int, kind: Kind) -> float:
    """Take the right to send one request.

    Returns:
        0.0 if it was given; otherwise the seconds until it may be asked for again.
    """
    if _take(kind, "", account_pk):
        return 0.0
    return _wait(Account.objects.using(conf().DATABASE).filter(pk=account_pk), kind)


@dataclasses.dataclass(frozen=True, slots=True)
class Closed:
    """Nothing may be sent now, whatever the rate.

    Args:
        reason: ``paused``: the integration is paused, or not in use. ``blocked``: Sendcloud asked to wait. ``open``:
            the circuit breaker is.
        until: As far as it is known.
    """

    reason: Literal["paused", "blocked", "open"]
    until: dt.datetime | None = None


def ask(integration: Integration, kind: Kind, *, trial: bool = False) -> float | Closed:
    """Take the right to send one request for an integration, unless it or its account is to be left alone *now*.

    What a worker has read of them may be minutes old; so the question and the answer are one statement.

    Args:
        integration: For which.
        kind: Whether the request changes something.
        trial: It is the one request that finds out whether Sendcloud is back: the breaker does not count.

    Returns:
        0.0 if it was given; the seconds until it may be asked for again; or why not.
    """
    database = conf().DATABASE
    now = clock.now()
    account_pk = integration.account.pk
    blocked = connections[database].ops.adapt_datetimefield_value(now)
    if _take(kind, _WELCOME if trial else _WELCOME_IF_CLOSED, account_pk, blocked, integration.pk):
        return 0.0
    rows = Account.objects.using(database).filter(pk=account_pk)
    running = Integration.objects.using(database).running().filter(pk=integration.pk)
    if not running.exists():
        return Closed("paused")
    account = rows.values_list("blocked_until", "open_until", "openings").first()
    if account is not None:
        blocked_until, open_until, openings = account
        if blocked_until and blocked_until > now:
            return Closed("blocked", blocked_until)
        if openings and not trial:
            return Closed("open", open_until)
    return _wait(rows, kind)


# Asked before each request, by workers that have hundreds of orders in hand: to build these anew each time with
# Django's means takes several times as long as the statement.
_WELCOME = (
    "AND (blocked_until IS NULL OR blocked_until <= %s) AND EXISTS "  # noqa: S608
    f"(SELECT 1 FROM {Integration._meta.db_table} WHERE id = %s AND is_active AND paused_since IS NULL)"
)
_WELCOME_IF_CLOSED = f"{_WELCOME} AND openings = 0"


def _take(kind: Kind, condition: str, account_pk: int, *params: Any) -> bool:
    """Move the time of the next request, if it has come and the condition holds."""
    interval, tolerance = _rate(kind)
    connection = connections[conf().DATABASE]
    now = EpochMicroseconds.sql(connection)
    later = "MAX" if connection.vendor == "sqlite" else "GREATEST"
    column = f"{kind}_tat"
    sql = (
        f"UPDATE {connection.ops.quote_name(Account._meta.db_table)} "  # noqa: S608
        f"SET {column} = {later}({column}, {now}) + %s "
        f"WHERE id = %s AND {column} <= {now} + %s {condition}"
    )
    with transaction.mark_for_rollback_on_error(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(sql, [interval, account_pk, tolerance, *params])
        return bool(cursor.rowcount)


def _wait(rows: QuerySet[Account], kind: Kind) -> float:
    interval, tolerance = _rate(kind)
    column = f"{kind}_tat"
    now = EpochMicroseconds()
    ahead = rows.annotate(ahead=F(column) - now).values_list("ahead", flat=True).first()
    if ahead is None:
        return 0.0
    most = tolerance + interval
    if ahead > most + MICROSECONDS:
        # Further ahead than any request can have brought it: the database's clock has gone back, or the rate has been
        # changed. As if all that may be had just been used.
        rows.filter(**{f"{column}__gt": now + Value(most)}).update(**{column: now + Value(most)})
        ahead = most
    return max(1, ahead - tolerance) / MICROSECONDS


def left(account_pk: int) -> dict[Kind, int]:
    """How many requests of each kind may be sent at once now: at most the burst. Takes one query, and none of them."""
    now = EpochMicroseconds()
    rows = Account.objects.using(conf().DATABASE).filter(pk=account_pk)
    ahead = rows.values_list(F("unsafe_tat") - now, F("safe_tat") - now).first() or (0, 0)
    found: dict[Kind, int] = {}
    for kind, taken in zip(KINDS, ahead, strict=True):
        interval, tolerance = _rate(kind)
        found[kind] = max(0, (tolerance - max(0, taken)) // interval + 1)
    return found


def _rate(kind: Kind) -> tuple[int, int]:
    """Microseconds between requests in the long run, and how far ahead of that one may be."""
    settings = conf()
    if kind == "unsafe":
        per_minute, burst = settings.UNSAFE_REQUESTS_PER_MINUTE, settings.UNSAFE_BURST
    else:
        per_minute, burst = settings.SAFE_REQUESTS_PER_MINUTE, settings.SAFE_BURST
    interval = max(1, round(60 * MICROSECONDS / per_minute))
    return interval, round((burst - 1) * interval)


class AccountLimiter:
    """The shared limiter in the shape the client asks for (``django_sendcloud.api``): blocks until a request may go."""

    def __init__(self, account_pk: int) -> None:
        self._account_pk = account_pk

    def acquire(self, kind: Kind) -> None:
        while wait := acquire(self._account_pk, kind):
            clock.sleep(wait)
