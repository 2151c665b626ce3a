"""Addresses of admin pages."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import NoReverseMatch, reverse

__all__ = ["admin_url"]


def admin_url(site: admin.AdminSite, opts: Any, pk: object, page: str = "change") -> str:
    """The address of an object's admin page, ``""`` where its model is not registered on this site."""
    try:
        return reverse(f"{site.name}:{opts.app_label}_{opts.model_name}_{page}", args=[quote(str(pk))])
    except NoReverseMatch:
        return ""
