"""Number of open problems in the sidebar."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import Error
from django.http import HttpRequest

from ...models import Alert, Overview
from ..ui.humanize import format_number

__all__ = ["count_in_sidebar", "open_problems"]


def open_problems(request: HttpRequest) -> str:
    """Return the number of open problems, ``""`` for none and for those who may not see it: a badge for a sidebar."""
    if not request.user.has_perm("django_sendcloud.view_integration"):
        return ""
    number: int | None = vars(request).get("sendcloud_open_problems")
    if number is None:
        try:
            number = Alert.objects.count()
        except Error:
            # The tables may be older than the code, and the shop's admin works all the same.
            number = 0
        vars(request)["sendcloud_open_problems"] = number
    return format_number(number) if number else ""


def count_in_sidebar(site: admin.AdminSite) -> None:
    """Show the number of open problems behind the overview's name in a site's list of apps."""
    if vars(site).get("sendcloud_counts"):
        return
    original = site.get_app_list

    def get_app_list(request: HttpRequest, *args: Any, **kwargs: Any) -> list[Any]:
        found = original(request, *args, **kwargs)
        for app in found:
            for model in app["models"] if app["app_label"] == Overview._meta.app_label else ():
                if model["object_name"] == Overview._meta.object_name and (number := open_problems(request)):
                    model["name"] = f"{model['name']} ({number})"
        return found

    vars(site)["sendcloud_counts"] = True
    site.get_app_list = get_app_list  # type: ignore[method-assign]
