"""Addresses of admin pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse

__all__ = ["admin_url"]


def admin_url(site: admin.AdminSite, opts: Any, pk: object | None, page: str = "change") -> str:
    """The address of an object's admin page, or without an object of its model's; ``""`` where the site has none."""
    try:
        args = [] if pk is None else [quote(str(pk))]
        return reverse(f"{site.name}:{opts.app_label}_{opts.model_name}_{page}", args=args)
    except NoReverseMatch:
        return ""
