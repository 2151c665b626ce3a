"""Permissions of operators on rows and their pages."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.auth import get_permission_codename
from django.db import models, router
from django.http import HttpRequest

from ..adapters import OrderAdapter
from ..core.dispatch import innermost_frame
from ..models import OutboxEntry
from ..orders import OrderRef, keys_by_type, orders_of_type
from ..registry import registry
from .ui.links import admin_url

__all__ = ["ORDER", "Permissions", "may"]

logger = logging.getLogger("django_sendcloud.admin")

#: Name of the order in links to outbox entries.
ORDER = "order"


class Permissions:
    """Permissions of the operator who requested a page: a list shows nothing the operator may not open."""

    def __init__(self, site: admin.AdminSite, request: HttpRequest) -> None:
        self._site, self._request = site, request
        self._known: dict[type[models.Model], bool] = {}

    @classmethod
    def of(cls, site: admin.AdminSite, request: HttpRequest) -> Permissions:
        """Return the permissions of this request's operator."""
        found: Permissions | None = vars(request).get("sendcloud_permissions")
        if found is None:
            found = vars(request)["sendcloud_permissions"] = cls(site, request)
        return found

    @classmethod
    def of_row(cls, row: models.Model) -> Permissions:
        """Return the permissions of the operator who sees this row: a column gets no request."""
        found: Permissions = vars(row)["_permissions"]
        return found

    def may_see(self, model: type[models.Model]) -> bool:
        if model not in self._known:
            self._known[model] = self._ask(model)
        return self._known[model]

    def url(self, obj: models.Model | None, page: str = "change") -> str:
        """Return the URL of an object's page; ``""`` if it has none, or none for this operator."""
        if obj is None:
            return ""
        url = self.url_by_key(type(obj), obj.pk, page)
        if url and isinstance(obj, OutboxEntry):
            # The entry disappears once it is sent; its order stays.
            url += "?" + urlencode({ORDER: f"{obj.order_type}:{obj.order_pk}"})
        return url

    def url_by_key(self, model: type[models.Model], pk: object, page: str = "change") -> str:
        return admin_url(self._site, model._meta, pk, page) if self.may_see(model) else ""

    def order_url(self, ref: OrderRef) -> str:
        """Return the URL of the page that opens an order; ``""`` if it has none, or none for this operator."""
        return self.order_urls([ref])[ref]

    def order_urls(self, refs: Iterable[OrderRef]) -> dict[OrderRef, str]:
        """Return the URL of each order's page, as `order_url` does.

        An adapter that names a page of its own is asked, with the orders, which are loaded together. If it fails, the
        page in the admin is used.
        """
        urls: dict[OrderRef, str] = {}
        for order_type, keys in keys_by_type(refs).items():
            group = [OrderRef.stored(order_type, key) for key in keys]
            adapter = registry.for_order_type(order_type)
            if adapter is not None and adapter.has_own_page:
                found = orders_of_type(adapter.get_queryset(), order_type, keys)
                urls |= {ref: self._own_page(adapter, ref, found.get(ref.key)) for ref in group}
                continue
            pages = {ref: self._page_of(ref) for ref in group}
            if adapter is not None:
                # An order that is gone has no page.
                shown = [ref.key for ref, page in pages.items() if page]
                there = orders_of_type(adapter.model._base_manager.only("pk"), order_type, shown) if shown else {}
                pages = {ref: page if ref.key in there else "" for ref, page in pages.items()}
            urls |= pages
        return urls

    def shows(self, ref: OrderRef) -> bool:
        """Return whether the admin's own page shows this order, and not that of the same key in another database."""
        try:
            model = apps.get_model(ref.model)
        except (LookupError, ValueError):
            return False
        if not self._site.is_registered(model):
            return not ref.database
        database = self._site.get_model_admin(model).get_queryset(self._request).db
        if ref.database:
            return database == ref.database
        return database in (router.db_for_read(model), router.db_for_write(model))

    def _page_of(self, ref: OrderRef) -> str:
        return self.url_by_key(apps.get_model(ref.model), ref.key) if self.shows(ref) else ""

    def _own_page(self, adapter: OrderAdapter[Any], ref: OrderRef, order: models.Model | None) -> str:
        if order is None:
            return ""
        try:
            return adapter.get_order_url(order)
        except Exception as error:
            # The shop's own code may raise anything. Only the type: a text may quote the buyer.
            name = f"{type(adapter).__qualname__}.get_order_url()"
            logger.error("%s failed: %s at %s.", name, type(error).__name__, innermost_frame(error))
            return self._page_of(ref)

    def _ask(self, model: type[models.Model]) -> bool:
        try:
            return self._site.get_model_admin(model).has_view_or_change_permission(self._request)
        except NotRegistered:
            opts = model._meta
            return self._request.user.has_perm(f"{opts.app_label}.{get_permission_codename('view', opts)}")


def may(request: HttpRequest, codename: str) -> bool:
    """Return whether the operator has this permission of ours."""
    return request.user.has_perm(f"django_sendcloud.{codename}")
