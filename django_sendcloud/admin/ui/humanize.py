"""Numbers and times as people read them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext, npgettext_lazy

from ...core.dates import clock_time

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = [
    "clock_time",
    "format_number",
    "in_future",
    "in_past",
    "quoted",
    "sent_today",
    "since",
    "when",
    "without_double_stop",
]

# Django's own units are in the nominative, and German declines them after "vor" and "in".
_UNITS: dict[str, Any] = {
    "year": npgettext_lazy("after ago or in", "%(num)d year", "%(num)d years", "num"),
    "month": npgettext_lazy("after ago or in", "%(num)d month", "%(num)d months", "num"),
    "week": npgettext_lazy("after ago or in", "%(num)d week", "%(num)d weeks", "num"),
    "day": npgettext_lazy("after ago or in", "%(num)d day", "%(num)d days", "num"),
    "hour": npgettext_lazy("after ago or in", "%(num)d hour", "%(num)d hours", "num"),
    "minute": npgettext_lazy("after ago or in", "%(num)d minute", "%(num)d minutes", "num"),
}


def format_number(number: int) -> str:
    """Format a number with the language's thousands separator, whatever the settings say."""
    return number_format(number, force_grouping=True)


def quoted(text: object) -> str:
    """Format a text with the language's quotation marks."""
    return gettext("“%(text)s”") % {"text": text}


def when(moment: dt.datetime) -> SafeString:
    """Format age and time: *5 minutes ago (10:32)*."""
    now = timezone.now()
    if abs(now - moment) < dt.timedelta(minutes=1):
        text = gettext("just now")
    elif moment < now:
        text = in_past(moment, now)
    else:
        text = in_future(moment, now)
    return _marked(moment, f"{text} ({clock_time(moment)})")


def in_past(moment: dt.datetime, now: dt.datetime | None = None) -> str:
    """Format the age of a moment: *5 minutes ago*."""
    return gettext("%(time)s ago") % {"time": timesince(moment, now, time_strings=_UNITS, depth=1)}


def in_future(moment: dt.datetime, now: dt.datetime | None = None) -> str:
    """Format the time until a moment: *in 5 minutes*."""
    return gettext("in %(time)s") % {"time": timeuntil(moment, now, time_strings=_UNITS, depth=1)}


def since(moment: dt.datetime) -> SafeString:
    """Format the time for a sentence with *since*."""
    return _marked(moment, clock_time(moment))


def sent_today() -> str:
    """Name the figure of today's pushes, with the time zone of the shop's local day."""
    return gettext("sent today (%(zone)s)") % {"zone": timezone.get_default_timezone_name()}


def without_double_stop(text: str) -> str:
    """Return sentences without the second full stop after a time that ends with one: *11 p.m.*"""
    return text.replace("..", ".")


def _marked(moment: dt.datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', timezone.localtime(moment).isoformat(), text)
