"""Template tags of the admin's pages."""

from __future__ import annotations

import contextlib
from typing import Any

import django
from django import template
from django.contrib import admin
from django.contrib.admin.sites import all_sites
from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst

from ..admin.ui.humanize import without_double_stop

# Django imports every tag library with the first template of a process: the tags import their rooms when they are used.
register = template.Library()
register.filter("without_double_stop", without_double_stop)


@register.inclusion_tag("admin/django_sendcloud/alerts/incidents.html", takes_context=True)
def sendcloud_incidents(context: dict[str, Any]) -> dict[str, Any]:
    """Show what stops or delays all orders, above any page of an admin site."""
    from ..admin.alerts.incidents import incidents

    request = context.get("request")
    if request is None or not hasattr(request, "user"):
        return {"incidents": []}
    found = context.get("sc_incidents")
    return {"incidents": incidents(_site_of(request), request) if found is None else found}


@register.inclusion_tag("admin/django_sendcloud/overview/search.html", takes_context=True)
def sendcloud_search(context: dict[str, Any]) -> dict[str, Any]:
    """Show the search for orders and parcels, for operators who may see any."""
    from ..admin.overview.find import find_url, may_find

    request = context.get("request")
    if request is None or not hasattr(request, "user") or context.get("is_popup"):
        return {"url": ""}
    site = _site_of(request)
    may = site.has_permission(request) and may_find(site, request)
    return {"url": find_url(site) if may else "", "words": context.get("words", "")}


@register.inclusion_tag("admin/django_sendcloud/includes/breadcrumbs.html", takes_context=True)
def sendcloud_breadcrumbs(
    context: dict[str, Any], here: str, *, to_list: bool = True, original_url: str = ""
) -> dict[str, Any]:
    """Show the way to a page, in the markup of this version of Django.

    Args:
        here: Title of the page.
        to_list: Whether the list of the page's model is on the way.
        original_url: Address of the page's object; by default its page in this admin.
    """
    opts, original = context["opts"], context.get("original")
    pages = [(opts.app_config.verbose_name, "app_list", [opts.app_label])]
    if to_list:
        pages.append((capfirst(opts.verbose_name_plural), f"{opts.app_label}_{opts.model_name}_changelist", []))
    if original is not None and not original_url:
        pages.append((str(original), f"{opts.app_label}_{opts.model_name}_change", [quote(original.pk)]))
    site = _site_of(context["request"]).name
    crumbs = []
    for label, name, values in pages:
        # An order on another back office's page may have no admin.
        with contextlib.suppress(NoReverseMatch):
            crumbs.append((label, reverse(f"admin:{name}", args=values, current_app=site)))
    if original is not None and original_url:
        crumbs.append((str(original), original_url))
    # Django lists them since 6.1, and styles nothing else.
    return {"crumbs": crumbs, "here": here, "ordered": django.VERSION >= (6, 1), "request": context["request"]}


def _site_of(request: Any) -> admin.AdminSite:
    """Return the admin site that serves this request."""
    name = getattr(request, "current_app", None) or (request.resolver_match and request.resolver_match.namespace)
    return next((site for site in all_sites if site.name == name), admin.site)
