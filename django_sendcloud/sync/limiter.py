"""The rate limit that all workers share: one row and one UPDATE per request.

Sendcloud counts 100 unsafe and 1,000 safe requests a minute per account, over all its keys
(https://sendcloud.dev/docs/getting-started/rate-limits.md). GCRA with 85 a minute and a burst of 15 stays
below that in any window of 60 seconds. Time is the database's, so the workers' clocks do not matter.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from typing import TYPE_CHECKING, Any, Literal

from django.db import connections, transaction
from django.db.models import F, QuerySet, Value

from ..conf import conf
from ..core.clock import MICROSECONDS, EpochMicroseconds, clock
from ..core.transactions import refuse_inside_transaction
from ..exceptions import RateLimited
from ..models import Account, ClosedReason, Integration

if TYPE_CHECKING:
    # The client takes long to import, and counting a request needs none.
    from ..api.limits import Kind as Kind

# Requests of a burst that are left to operators.
OPERATOR_REQUESTS = 2
#: Seconds that an operator waits for the rate.
OPERATOR_WAIT_SECONDS = 3.0

KINDS: tuple[Kind, Kind] = ("unsafe", "safe")


def acquire(account_pk: int, kind: Kind) -> float:
    """Take the right to send one request.

    Returns:
        0.0 if it was given; otherwise the seconds until it may be asked for again.

    Raises:
        InsideTransaction: a database of this thread is in an atomic block.
    """
    if _take(kind, "", account_pk):
        return 0.0
    return _wait(Account.objects.filter(pk=account_pk), kind)


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


def wait_for_turn(account_pk: int, kind: Kind, seconds: float = OPERATOR_WAIT_SECONDS) -> None:
    """Take the right to send one request, waiting for it as long as a person does by default.

    Raises:
        RateLimited: it takes longer. Nothing was sent.
    """
    deadline = clock.monotonic() + seconds
    while wait := acquire(account_pk, kind):
        if clock.monotonic() + wait > deadline:
            raise RateLimited("other requests of this shop use the whole rate at the moment", retry_after=wait)
        clock.sleep(wait)


def ask(integration: Integration, kind: Kind, *, trial: bool = False) -> float | Closed:
    """Take the right to send one request for an integration, unless it is paused or its account closed *now*.

    What a worker has read of them may be minutes old; so the question and the answer are one statement. Workers leave
    the last requests of a burst to people, whose requests (labels, deletions, settings) use :func:`acquire`.

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
    closed = connections[database].ops.adapt_datetimefield_value(now)
    if _take(kind, _MAY_TRY if trial else _MAY_SEND, account_pk, closed, integration.pk, reserve=True):
        return 0.0
    rows = Account.objects.filter(pk=account_pk)
    running = Integration.objects.running().filter(pk=integration.pk)
    if not running.exists():
        return Closed("paused")
    account = rows.values_list("closed_until", "closed_reason", "openings").first()
    if account is not None:
        closed_until, reason, openings = account
        if closed_until and closed_until > now and reason == ClosedReason.RATE_LIMITED:
            return Closed("blocked", closed_until)
        if openings and not trial:
            return Closed("open", closed_until)
    return _wait(rows, kind, reserve=True)


# Constant, because a worker needs them before each request while it leases hundreds of orders: building them with the
# ORM each time takes several times as long as the statement.
_MAY_TRY = (
    "AND (closed_until IS NULL OR closed_until <= %s OR closed_reason = 'failing') AND EXISTS "  # noqa: S608
    f"(SELECT 1 FROM {Integration._meta.db_table} WHERE id = %s AND is_active AND paused_since IS NULL)"
)
_MAY_SEND = f"{_MAY_TRY} AND openings = 0"


def _take(kind: Kind, condition: str, account_pk: int, *params: Any, reserve: bool = False) -> bool:
    """Move the time of the next request, if it has come and the condition holds."""
    refuse_inside_transaction("A request to Sendcloud")
    interval, tolerance = _rate(kind, reserve=reserve)
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


def _wait(rows: QuerySet[Account], kind: Kind, *, reserve: bool = False) -> float:
    interval, tolerance = _rate(kind, reserve=reserve)
    column = f"{kind}_tat"
    now = EpochMicroseconds()
    ahead = rows.annotate(ahead=F(column) - now).values_list("ahead", flat=True).first()
    if ahead is None:
        return 0.0
    most = _rate(kind)[1] + interval
    if ahead > most + MICROSECONDS:
        # Further ahead than any request can have brought it: the database's clock has gone back, or the rate has been
        # changed. As if all that may be had just been used.
        rows.filter(**{f"{column}__gt": now + Value(most)}).update(**{column: now + Value(most)})
        ahead = most
    return max(1, ahead - tolerance) / MICROSECONDS


def wait(account: Account, kind: Kind = "unsafe") -> float:
    """Return the seconds until a worker may send a request, as of the moment the account was read. Asks nothing."""
    _, tolerance = _rate(kind, reserve=True)
    return max(0.0, (_ahead(account, kind) - tolerance) / MICROSECONDS)


def room(account: Account, kind: Kind = "unsafe") -> int:
    """Return how many requests a worker may send immediately, as of the moment the account was read."""
    interval, tolerance = _rate(kind, reserve=True)
    return max(0, int((tolerance - _ahead(account, kind)) // interval) + 1)


def _ahead(account: Account, kind: Kind) -> float:
    """Return the microseconds by which the next request of the rate lies ahead."""
    ahead: float = getattr(account, f"{kind}_tat") - clock.now().timestamp() * MICROSECONDS
    return max(0.0, ahead)


def left(account_pk: int) -> dict[Kind, int]:
    """Return how many requests of each kind may be sent now, at most the burst. Takes one query, and reserves none."""
    now = EpochMicroseconds()
    rows = Account.objects.filter(pk=account_pk)
    ahead = rows.values_list(F("unsafe_tat") - now, F("safe_tat") - now).first() or (0, 0)
    found: dict[Kind, int] = {}
    for kind, taken in zip(KINDS, ahead, strict=True):
        interval, tolerance = _rate(kind)
        found[kind] = max(0, (tolerance - max(0, taken)) // interval + 1)
    return found


def _rate(kind: Kind, *, reserve: bool = False) -> tuple[int, int]:
    """Return the microseconds between requests in the long run, and how far ahead of that one may be.

    Args:
        kind: Of which requests.
        reserve: Whether the last requests of the burst are left to people.
    """
    settings = conf()
    if kind == "unsafe":
        per_minute, burst = settings.UNSAFE_REQUESTS_PER_MINUTE, settings.UNSAFE_BURST
    else:
        per_minute, burst = settings.SAFE_REQUESTS_PER_MINUTE, settings.SAFE_BURST
    interval = max(1, round(60 * MICROSECONDS / per_minute))
    kept = min(OPERATOR_REQUESTS, burst // 4) if reserve else 0
    return interval, round((burst - 1 - kept) * interval)


class AccountLimiter:
    """The shared limiter in the shape the client asks for (``django_sendcloud.api``): blocks until a request may go.

    Args:
        account_pk: The account.
        seconds: Seconds that all requests of the client may wait together. Beyond, it raises ``RateLimited``.
    """

    def __init__(self, account_pk: int, seconds: float = math.inf) -> None:
        self._account_pk = account_pk
        self._seconds = seconds

    def acquire(self, kind: Kind) -> None:
        begin = clock.monotonic()
        try:
            wait_for_turn(self._account_pk, kind, self._seconds)
        finally:
            self._seconds -= clock.monotonic() - begin
