"""Numbers and times as people read them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.timesince import timesince, timeuntil
from django.utils.translation import gettext

from ...core.dates import clock_time

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["clock_time", "grouped", "sent_today", "since", "when"]


def grouped(number: int) -> str:
    """Format a number with the language's thousands separator, whatever the settings say."""
    return number_format(number, force_grouping=True)


def when(moment: dt.datetime) -> SafeString:
    """Format age and time: *5 minutes ago (10:32)*."""
    now = timezone.now()
    if abs(now - moment) < dt.timedelta(minutes=1):
        text = gettext("just now")
    elif moment < now:
        text = gettext("%(time)s ago") % {"time": timesince(moment, now, depth=1)}
    else:
        text = gettext("in %(time)s") % {"time": timeuntil(moment, now, depth=1)}
    return _marked(moment, f"{text} ({clock_time(moment)})")


def since(moment: dt.datetime) -> SafeString:
    """Format the time for a sentence with *since*."""
    return _marked(moment, clock_time(moment))


def sent_today() -> str:
    """Name the figure of today's pushes, with the time zone of the shop's local day."""
    return gettext("sent today (%(zone)s)") % {"zone": timezone.get_default_timezone_name()}


def _marked(moment: dt.datetime, text: str) -> SafeString:
    return format_html('<time datetime="{}">{}</time>', timezone.localtime(moment).isoformat(), text)
