"""URLs of admin pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.http import url_has_allowed_host_and_scheme

__all__ = ["admin_url", "is_own_page", "page_url"]


def admin_url(site: admin.AdminSite, opts: Any, pk: object | None, page: str = "change") -> str:
    """Return the URL of an object's admin page, or of its model's; ``""`` if the site has none."""
    try:
        args = [] if pk is None else [quote(str(pk))]
        return reverse(f"{site.name}:{opts.app_label}_{opts.model_name}_{page}", args=args)
    except NoReverseMatch:
        return ""


def page_url(model_admin: admin.ModelAdmin[Any], name: str, *args: Any) -> str:
    """Return the URL of a page of this admin.

    Raises:
        NoReverseMatch: it has no such page.
    """
    opts = model_admin.opts
    route = f"{model_admin.admin_site.name}:{opts.app_label}_{opts.model_name}_{name}"
    return reverse(route, args=[str(each) for each in args])


def is_own_page(request: HttpRequest, url: str) -> bool:
    """Return whether an address that came with a request is a page of this site."""
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
