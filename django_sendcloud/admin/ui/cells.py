"""Cells of lists and fields: links, moments, and nothing."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _

from ...core.dates import date_and_time
from .humanize import in_future, in_past

if TYPE_CHECKING:
    from django.utils.safestring import SafeString

__all__ = ["EMPTY", "ago", "link", "time_until"]

EMPTY = "–"


def link(url: str, text: object) -> SafeString:
    """Return a link, or only its text if the URL is empty."""
    return format_html('<a href="{}">{}</a>', url, text) if url else format_html("{}", text)


def ago(moment: dt.datetime | None) -> Any:
    """Return the age of a moment, with the full time on hover."""
    if moment is None:
        return EMPTY
    just_now = timezone.now() - moment < dt.timedelta(minutes=1)
    return _moment(moment, _("just now") if just_now else in_past(moment))


def time_until(moment: dt.datetime) -> Any:
    """Return the time until a moment; *now* if it is past."""
    if moment <= timezone.now():
        return _("now")
    if moment - timezone.now() < dt.timedelta(minutes=1):
        return _moment(moment, _("in less than a minute"))
    return _moment(moment, in_future(moment))


def _moment(moment: dt.datetime, text: str) -> SafeString:
    local = timezone.localtime(moment)
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), date_and_time(local), text)
