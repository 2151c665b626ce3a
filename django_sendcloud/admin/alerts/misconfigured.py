"""Page that names a wrong setting, in place of one of ours that cannot be shown with it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse

from ...conf import SendcloudConfigurationError, is_configured
from ..explanations.failures import explain_failure
from ..permissions import may
from ..ui.pages import admin_page

__all__ = ["explain_misconfiguration"]

View = Callable[..., HttpResponse]


def explain_misconfiguration(model_admin: admin.ModelAdmin[Any], view: View) -> View:
    """Return the view as one that names a wrong setting if it fails because of that."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if is_configured():
            return view(request, *args, **kwargs)
        try:
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                # A column may be the first to need the setting.
                response.render()
        except SendcloudConfigurationError as error:
            for connection in connections.all(initialized_only=True):
                if connection.in_atomic_block and connection.settings_dict["ATOMIC_REQUESTS"]:
                    connection.set_rollback(True)
            return _page(model_admin, request, error)
        return response

    return wrapper


def _page(model_admin: admin.ModelAdmin[Any], request: HttpRequest, error: SendcloudConfigurationError) -> HttpResponse:
    explanation = explain_failure(error)
    # The error as in the strip above the shop's own pages.
    context = {"explanation": explanation, "error": error if may(request, "view_integration") else ""}
    template = "admin/django_sendcloud/alerts/misconfigured.html"
    return admin_page(model_admin, request, template, explanation.title, context)
