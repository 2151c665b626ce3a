"""Search everywhere: orders, shipments and parcels by order number, tracking number, name or e-mail address."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ...models import OutboxEntry, Overview, Parcel, Shipment
from ...orders import OrderRef
from ...registry import registry
from ..base import SearchedAdmin
from ..health import fold_once
from ..lists.search import keys_of, number_lists
from ..outbox.order_rows import set_order_numbers
from ..permissions import Permissions
from ..ui.links import admin_url

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Group", "SearchResults", "find", "find_url", "may_find"]

#: Rows shown of each kind.
SHOWN = 20


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Found rows of one kind.

    Args:
        title: Name of the kind.
        rows: Rows with their URLs.
        more_url: List that searches further; ``""`` if there is none.
    """

    title: StrOrPromise
    rows: list[tuple[Any, str]]
    more_url: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class SearchResults:
    """All that a search has found.

    Args:
        groups: Rows by kind.
        only: Page of the only order, or of the only row; ``""`` if there are several or none.
    """

    groups: list[Group]
    only: str


def find_url(site: admin.AdminSite) -> str:
    """Return the URL of the search page; ``""`` if the site has none."""
    return admin_url(site, Overview._meta, None, "find")


def may_find(site: admin.AdminSite, request: HttpRequest) -> bool:
    """Return whether the operator may see anything that is searched."""
    permissions = Permissions.of(site, request)
    searched: list[type[models.Model]] = [Shipment, Parcel, OutboxEntry, *_order_models(site)]
    return any(permissions.may_see(model) for model in searched)


def find(site: admin.AdminSite, request: HttpRequest, words: str) -> SearchResults:
    """Search all that this operator may see.

    Numbers are found by their indexes, whatever their case and blanks; names and e-mail addresses by the search fields
    of the shop's own order admin.

    Args:
        site: Admin site of the request.
        request: Request of the operator.
        words: Search text.
    """
    fold_once(request)
    permissions = Permissions.of(site, request)
    for numbers in number_lists(words):
        shipments = _exactly(site, request, Shipment, numbers)
        parcels = _exactly(site, request, Parcel, numbers)
        entries = _exactly(site, request, OutboxEntry, numbers)
        if shipments or parcels or entries:
            break
    # The blocks of a tracking number are no order numbers.
    is_one = len(numbers) == 1 and bool(shipments or parcels or entries)
    sought = "".join(words.split()) if is_one else words
    set_order_numbers(entries)
    known = {shipment.pk for shipment in shipments}
    others = {parcel.shipment_id for parcel in parcels if parcel.shipment_id is not None} - known
    behind = [*shipments, *Shipment.objects.filter(pk__in=others)] if permissions.may_see(Shipment) else []
    keys: dict[str, set[str]] = {}
    for ref in {row.ref for row in [*behind, *entries]}:
        if permissions.shows(ref):
            keys.setdefault(ref.model, set()).add(ref.key)
    orders = [
        order
        for model in _order_models(site)
        for order in _orders(site, request, model, sought, keys.get(model._meta.label_lower, set()))
    ]
    groups = [
        Group(_("Orders"), [(order, permissions.url(order)) for order in orders]),
        _group(site, permissions, OutboxEntry, entries, words),
        _group(site, permissions, Shipment, shipments, words),
        _group(site, permissions, Parcel, parcels, words),
    ]
    groups = [group for group in groups if group.rows or group.more_url]
    return SearchResults(groups, _only(groups, orders, behind, entries, parcels))


def _only(
    groups: list[Group], orders: list[Any], behind: list[Shipment], entries: list[OutboxEntry], parcels: list[Parcel]
) -> str:
    rows = [url for group in groups for _row, url in group.rows]
    if len(orders) == 1:
        mine = {OrderRef.of(orders[0])}
        loose = any(parcel.shipment_id is None for parcel in parcels)
        if {row.ref for row in [*behind, *entries]} <= mine and not loose:
            return rows[0]
    return rows[0] if len(rows) == 1 else ""


def _order_models(site: admin.AdminSite) -> list[type[models.Model]]:
    return [adapter.model for adapter in registry if site.is_registered(adapter.model)]


def _exactly(site: admin.AdminSite, request: HttpRequest, model: type[Any], numbers: list[str]) -> list[Any]:
    """Return the rows that any of the numbers names exactly, each found by an index."""
    permissions = Permissions.of(site, request)
    if not permissions.may_see(model) or not site.is_registered(model):
        return []
    model_admin: Any = site.get_model_admin(model)
    if not isinstance(model_admin, SearchedAdmin):
        return []
    keys = keys_of(numbers, lambda words: model_admin.search_exactly(words, permissions))
    rows = model_admin.get_queryset(request).filter(pk__in=keys).order_by("-pk")[:SHOWN]
    return list(rows)


def _orders(
    site: admin.AdminSite, request: HttpRequest, model: type[models.Model], words: str, keys: set[str]
) -> Iterator[models.Model]:
    """Yield the orders behind found rows, and those that the shop's own search finds."""
    model_admin = site.get_model_admin(model)
    if not model_admin.has_view_or_change_permission(request):
        return
    rows = model_admin.get_queryset(request)
    seen = set()
    for order in rows.filter(pk__in=keys) if keys else ():
        seen.add(order.pk)
        yield order
    if not model_admin.get_search_fields(request):
        return
    matches, may_repeat = model_admin.get_search_results(request, rows, words)
    for order in (matches.distinct() if may_repeat else matches)[:SHOWN]:
        if order.pk not in seen:
            yield order


def _group(
    site: admin.AdminSite, permissions: Permissions, model: type[models.Model], rows: list[Any], words: str
) -> Group:
    url = admin_url(site, model._meta, None, "changelist") if permissions.may_see(model) else ""
    more = f"{url}?{urlencode({'q': words})}" if url else ""
    return Group(capfirst(str(model._meta.verbose_name_plural)), [(row, permissions.url(row)) for row in rows], more)
