"""Moments and days as the contracts write them."""

from __future__ import annotations

import datetime as dt
import re
from typing import Final

__all__ = ["iso", "parse_date", "parse_moment"]

_MOMENT_PATTERN: Final = re.compile(
    # Python 3.14 reads an hour 24, which RFC 3339 does not have.
    r"(\d{4}-\d\d-\d\d)[Tt ]((?!24)\d\d:\d\d:\d\d)(?:\.(\d+))?(?:[Zz]|([+-]\d\d:\d\d))",
    re.ASCII,
)


def iso(moment: dt.datetime) -> str:
    """Return a moment as v2 writes it: UTC, with microseconds and a Z."""
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_moment(value: object) -> dt.datetime | None:
    """Parse an RFC 3339 date-time; ``None`` if it is none. Fractions beyond microseconds are cut off."""
    if not isinstance(value, str) or not (match := _MOMENT_PATTERN.fullmatch(value)):
        return None
    day, time, fraction, offset = match.groups()
    if time.endswith(":60"):  # RFC 3339 allows leap seconds, Python does not.
        time = f"{time[:-2]}59"
    try:
        moment = dt.datetime.fromisoformat(f"{day}T{time}.{(fraction or '0')[:6]:0<6}{offset or '+00:00'}")
        return moment.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def parse_date(value: str) -> dt.date | None:
    """Parse ``YYYY-MM-DD``; ``None`` if it is no date."""
    try:
        return dt.date.fromisoformat(value) if len(value) == 10 else None
    except ValueError:
        return None
