"""Frame of an admin page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.template.response import TemplateResponse

__all__ = ["admin_page"]


def admin_page(
    model_admin: Any,
    request: HttpRequest,
    template: str,
    title: object,
    context: Mapping[str, Any],
    original: Any = None,
) -> TemplateResponse:
    """Return a page with the context that Django's own pages of this admin have.

    Args:
        model_admin: Its admin class, or ``BackOffice``.
        request: Request of the operator.
        template: Name of the template.
        title: Heading.
        context: Further context, which may replace the common one.
        original: Object that the page is about.
    """
    # Django's own views set it, too: the template's URLs belong to this site.
    vars(request)["current_app"] = model_admin.admin_site.name
    common = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "original": original,
        "media": model_admin.media,
    }
    return TemplateResponse(request, template, {**common, **context})
