"""Export of a list as CSV: all rows as filtered, streamed."""

from __future__ import annotations

import csv
import datetime as dt
import html
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.html import strip_tags
from django.utils.text import slugify

from ..ui.links import page_url

__all__ = ["cell", "export_view"]

# Rows read at a time.
PORTION = 1000
#: Beginnings that a spreadsheet takes for a formula.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    """File that returns each written line instead of keeping it."""

    def write(self, text: str) -> str:
        return text


def cell(value: object) -> str:
    """Return a value as the text of a cell, which no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return timezone.localtime(value).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, bool | int):
        return str(value).lower() if isinstance(value, bool) else str(value)
    # Only what is meant for a page has tags: in a name or a note, "<" is a character as any other.
    text = html.unescape(strip_tags(str(value))) if hasattr(value, "__html__") else str(value)
    text = text.replace("\0", "")
    return f"'{text}" if text.lstrip(" \u00a0").startswith(FORMULAS) else text


def export_view(
    model_admin: admin.ModelAdmin[Any],
    request: HttpRequest,
    names: Iterable[str],
    complete: Callable[[HttpRequest, Sequence[Any]], None],
) -> HttpResponse | StreamingHttpResponse:
    """Return the list with this request's search and filters as a CSV file.

    Args:
        model_admin: The list's admin.
        request: The request.
        names: The columns: fields of the model, or methods of the admin.
        complete: Loads what the columns show from other tables, for a portion of rows.
    """
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not model_admin.has_view_or_change_permission(request):
        raise PermissionDenied
    try:
        changes = model_admin.get_changelist_instance(request)
    except IncorrectLookupParameters:
        return HttpResponseRedirect(page_url(model_admin, "changelist"))
    columns = [_column(model_admin, name) for name in names]
    language = translation.get_language()
    rows = changes.queryset.order_by("pk")

    def lines() -> Iterator[str]:
        # The response is streamed after the request's language is gone.
        with translation.override(language):
            writer: Any = csv.writer(_Echo())
            # Spreadsheets read UTF-8 by this mark.
            yield "\ufeff" + writer.writerow([cell(header) for header, _value in columns])
            for portion in _portions(rows):
                complete(request, portion)
                for row in portion:
                    yield writer.writerow([cell(value(row)) for _header, value in columns])

    answer = StreamingHttpResponse(lines(), content_type="text/csv; charset=utf-8")
    name = f"{slugify(model_admin.opts.model_name or '')}-{timezone.localdate():%Y-%m-%d}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    answer["Cache-Control"] = "private, no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


def _portions(rows: models.QuerySet[Any]) -> Iterator[Sequence[Any]]:
    """Yield the rows in portions by key, so that a row that changes meanwhile is neither missed nor doubled."""
    last = None
    while portion := list((rows if last is None else rows.filter(pk__gt=last))[:PORTION]):
        last = portion[-1].pk
        yield portion


def _column(model_admin: admin.ModelAdmin[Any], name: str) -> tuple[object, Callable[[Any], object]]:
    """Return the header and the values of a column: a method of the admin class, or a field."""
    method = getattr(model_admin, name, None)
    if callable(method):
        return getattr(method, "short_description", name), method
    try:
        field = model_admin.opts.get_field(name)
    except FieldDoesNotExist:
        return name, lambda row: getattr(row, name)
    header: Any = getattr(field, "verbose_name", name)
    choices: Iterable[Any] | None = getattr(field, "flatchoices", None)
    if choices:
        return header, lambda row: getattr(row, f"get_{name}_display")()
    return header, lambda row: getattr(row, name)
