"""Forms whose input no error report shows.

Django's report hides the values that ``sensitive_post_parameters`` names once the view runs, and Sentry reads the input
from the request. A database that fails does so before the view, when the operator's session is loaded.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.views.decorators.debug import sensitive_post_parameters

from ..hidden import HiddenStr

__all__ = ["hide_post"]


def hide_post(view: Callable[..., HttpResponse], *names: str) -> Callable[..., HttpResponse]:
    """Return the view with the posted values of these names hidden, before anything else is done; all without names."""

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method == "POST":
            posted = request.POST.copy()
            for name in names or list(posted):
                if name in posted:
                    posted.setlist(name, [HiddenStr(value) for value in posted.getlist(name)])
            request.POST = posted  # type: ignore[assignment]
        return view(request, *args, **kwargs)

    return sensitive_post_parameters(*names)(wrapper)
