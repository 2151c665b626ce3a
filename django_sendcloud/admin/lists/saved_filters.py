"""Filters of a list that operators save for themselves, under names of their own."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext

from ...models import Preference
from ..ui.links import page_url

__all__ = ["saved_filters", "saved_filters_view"]

MAX_FILTERS = 20
MAX_CHARACTERS = {"name": 60, "query": 2000}
# A search may name a buyer, a page number is old tomorrow, and the others belong to a window or an error.
_LEFT_OUT = ("q", "p", "all", "e", "_popup", "_to_field", "_changelist_filters")


def saved_filters(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> dict[str, Any]:
    """Return the context of the filters above a list: those of this operator, and what they could save."""
    if IS_POPUP_VAR in request.GET:
        return {}
    shown = _clean(request.GET.urlencode())
    saved = _saved(model_admin, request)
    return {
        "sc_filters_url": page_url(model_admin, "filters"),
        "sc_filters": [(name, query, query == shown) for name, query in saved.items()],
        "sc_unsaved": "" if shown in saved.values() or len(saved) >= MAX_FILTERS else shown,
    }


def saved_filters_view(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> HttpResponse:
    """Save or remove a filter of the operator who asks, and lead back to the list."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    saved = _saved(model_admin, request)
    name = " ".join(request.POST.get("name", "").replace("\0", "").split())[: MAX_CHARACTERS["name"]]
    query = _clean(request.POST.get("query", "")[: MAX_CHARACTERS["query"]])
    if removed := request.POST.get("remove"):
        query = saved.pop(removed, "")
        gone = gettext("There is no filter “%(name)s” any more.")
        text = gettext("The filter “%(name)s” is removed.") if query else gone
        messages.success(request, text % {"name": removed})
    elif name and query and (name in saved or len(saved) < MAX_FILTERS):
        saved[name] = query
        messages.success(request, gettext("The filter is saved as “%(name)s”.") % {"name": name})
    elif name and query:
        text = gettext("The filter is not saved: you have %(number)d already. Remove one first.")
        messages.error(request, text % {"number": len(saved)})
    elif name:
        messages.error(request, gettext("The filter is not saved: choose one first."))
    else:
        messages.error(request, gettext("The filter is not saved: give it a name."))
    # As pairs: PostgreSQL keeps no order of keys.
    Preference.keep(request.user, _key(model_admin), [[*pair] for pair in saved.items()])
    return HttpResponseRedirect(f"{page_url(model_admin, 'changelist')}?{query}")


def _key(model_admin: admin.ModelAdmin[Any]) -> str:
    return f"filters of {model_admin.opts.model_name}"


def _saved(model_admin: admin.ModelAdmin[Any], request: HttpRequest) -> dict[str, str]:
    return dict(Preference.of(request.user, _key(model_admin)) or ())


def _clean(query: str) -> str:
    """Return the filters and the order of a query, always written alike."""
    found = QueryDict(query, mutable=True)
    for name in _LEFT_OUT:
        found.pop(name, None)
    return "&".join(sorted(filter(None, found.urlencode().split("&"))))
