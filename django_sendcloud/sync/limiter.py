"""The rate limit that all workers share: one row and one UPDATE per request.

Sendcloud counts 100 unsafe and 1,000 safe requests a minute per account, over all its keys
(https://sendcloud.dev/docs/getting-started/rate-limits.md). GCRA with 85 a minute and a burst of 15 stays
below that in any window of 60 seconds. Time is the database's, so the workers' clocks do not matter.
"""

from __future__ import annotations

from typing import Literal

from django.db.models import F, Value
from django.db.models.functions import Greatest

from ..clock import MICROSECONDS, EpochMicroseconds, clock
from ..conf import conf
from ..models import Account

Kind = Literal["safe", "unsafe"]
KINDS: tuple[Kind, Kind] = ("unsafe", "safe")


def acquire(account_pk: int, kind: Kind) -> float:
    """Take the right to send one request.

    Returns:
        0.0 if it was given; otherwise the seconds until it may be asked for again.
    """
    interval, tolerance = _rate(kind)
    column = f"{kind}_tat"
    now = EpochMicroseconds()
    rows = Account.objects.using(conf().DATABASE).filter(pk=account_pk)
    if rows.filter(**{f"{column}__lte": now + Value(tolerance)}).update(
        **{column: Greatest(F(column), now) + Value(interval)}
    ):
        return 0.0
    ahead = rows.annotate(ahead=F(column) - now).values_list("ahead", flat=True).first()
    return 0.0 if ahead is None else max(1, ahead - tolerance) / MICROSECONDS


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
