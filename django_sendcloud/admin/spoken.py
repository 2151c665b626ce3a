"""Numbers and times as a person says them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["clock_time", "grouped", "since", "when"]


def grouped(number: int) -> str:
    """A number as the reader's language groups it, whatever the shop's settings say of other numbers."""
    return number_format(number, force_grouping=True)


def when(moment: dt.datetime) -> SafeString:
    """How far away it is, and the time itself: *5 minutes ago (10:32)*."""
    now = timezone.now()
    if abs(now - moment) < dt.timedelta(minutes=1):
        text = gettext("just now")
    elif moment < now:
        text = gettext("%(time)s ago") % {"time": timesince(moment, now, depth=1)}
    else:
        text = gettext("in %(time)s") % {"time": timeuntil(moment, now, depth=1)}
    return _marked(moment, f"{text} ({clock_time(moment)})")


def since(moment: dt.datetime) -> SafeString:
    """The time itself, for a sentence that says *since*."""
    return _marked(moment, clock_time(moment))


def clock_time(moment: dt.datetime) -> str:
    """The time of day, with the day where that is not today."""
    local = timezone.localtime(moment)
    today = local.date() == timezone.localdate()
    return date_format(local, "TIME_FORMAT" if today else "SHORT_DATETIME_FORMAT")


def _marked(moment: dt.datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', timezone.localtime(moment).isoformat(), text)
