"""The one format in which a language's dates are shown: Django's ``DATETIME_FORMAT``, as in the admin's own cells."""

from __future__ import annotations

import datetime as dt

from django.utils import timezone
from django.utils.formats import date_format

__all__ = ["clock_time", "date_and_time", "day"]


def date_and_time(moment: dt.datetime) -> str:
    """Format a moment in the current time zone, as ``{{ moment|date:"DATETIME_FORMAT" }}`` does."""
    return date_format(timezone.localtime(moment), "DATETIME_FORMAT")


def clock_time(moment: dt.datetime) -> str:
    """Format the time of day, with the day if it is not today."""
    local = timezone.localtime(moment)
    return date_format(local, "TIME_FORMAT") if local.date() == timezone.localdate() else date_and_time(local)


def day(date: dt.date) -> str:
    """Format a day."""
    return date_format(date, "DATE_FORMAT")
