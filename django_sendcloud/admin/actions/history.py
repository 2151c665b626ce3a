"""Histories: what operators did, stored in Django's log and rendered in the reader's language.

Stored is a message id, as Django stores the names of changed fields; with values, it is JSON::

    {"message": "Paused until %(time)s.", "values": {"time": {"time": "2026-03-01T20:00:00+01:00"}}}
"""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.http import HttpRequest, HttpResponse
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext

from ...core.dates import date_and_time

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .action import Rows

__all__ = ["Text", "log", "render_history", "render_message"]


class Text:
    """A lazy translation with placeholders, and their values."""

    def __init__(self, message: StrOrPromise, **values: Any) -> None:
        self.message, self.values = message, values


def log(request: HttpRequest, rows: Rows | list[Any], message: StrOrPromise, **values: Any) -> None:
    """Record an action in Django's log for each of these.

    Args:
        request: Request of the operator.
        rows: What the operator acted on.
        message: Lazy translation of what was done.
        **values: Values of the message's placeholders: texts, lazy translations, moments, ``Text``, or lists of these.
    """
    if not apps.is_installed("django.contrib.admin"):
        return  # the log is a table of that app
    from django.contrib.admin.models import CHANGE, LogEntry

    assert request.user.pk is not None
    # Without a language, a lazy translation is its message id.
    with translation.override(None):
        stored = _stored(Text(message, **values))
    LogEntry.objects.log_actions(
        user_id=request.user.pk,
        queryset=rows,
        action_flag=CHANGE,
        change_message=stored["message"] if len(stored) == 1 else json.dumps(stored),
    )


def _stored(value: Any) -> Any:
    match value:
        case Text():
            values = {name: _stored(each) for name, each in value.values.items()}
            return {"message": str(value.message)} | ({"values": values} if values else {})
        case Promise():
            return {"message": str(value)}
        case dt.datetime():
            return {"time": value.isoformat()}
        case list():
            return [_stored(each) for each in value]
    return str(value)


def render_history(response: HttpResponse) -> HttpResponse:
    """Render the messages of a history page, before its template does."""
    context = getattr(response, "context_data", None) or {}
    for entry in context.get("action_list", ()):
        entry.change_message = render_message(entry.change_message)
    return response


def render_message(stored: str) -> str:
    """Render a message of Django's log in the active language; one that Django or the shop stored stays as it is."""
    if not stored.startswith('{"message":'):
        return gettext(stored) if stored else ""
    return _rendered(json.loads(stored))


def _rendered(stored: Any) -> str:
    match stored:
        case {"message": message, "values": values}:
            return gettext(message) % {name: _rendered(value) for name, value in values.items()}
        case {"message": message}:
            return gettext(message)
        case {"time": moment}:
            return date_and_time(dt.datetime.fromisoformat(moment))
        case list():
            return ", ".join(_rendered(each) for each in stored)
    return str(stored)
