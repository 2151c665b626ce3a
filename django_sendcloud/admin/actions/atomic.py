"""Lists whose actions send requests to Sendcloud, in a project with ``ATOMIC_REQUESTS``.

Such a request takes seconds, and a rollback would not undo it: no transaction may be open meanwhile.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern

from ...core.transactions import outside_transactions

__all__ = ["take_actions_outside", "with_actions_outside"]


def take_actions_outside(patterns: Iterable[URLPattern], pages: tuple[str, ...], names: Callable[[], set[str]]) -> None:
    """Let requests that run one of our actions run outside of the transaction of ``ATOMIC_REQUESTS``, as pages do.

    Everything else a shop does on these pages stays inside it.

    Args:
        patterns: The addresses of a model's admin.
        pages: Ends of the names of its pages that have actions.
        names: Returns the names of our actions.
    """
    for pattern in patterns:
        if (pattern.name or "").endswith(pages):
            pattern.callback = with_actions_outside(pattern.callback, names)


def with_actions_outside(
    view: Callable[..., HttpResponse], names: Callable[[], set[str]]
) -> Callable[..., HttpResponse]:
    """Return the view as one that runs our actions outside of ``ATOMIC_REQUESTS``, and everything else inside it.

    Args:
        view: A view that runs the action named by ``action`` in its form.
        names: Returns the names of our actions.
    """
    excluded: set[str] = getattr(view, "_non_atomic_requests", set())

    @functools.wraps(view)
    def wrapper(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if request.method == "POST" and names() & {*request.POST.getlist("action")}:
            return view(request, *args, **kwargs)
        with contextlib.ExitStack() as stack:
            for alias in _atomic_databases():
                if alias not in excluded:
                    stack.enter_context(transaction.atomic(using=alias))
            return view(request, *args, **kwargs)

    return outside_transactions(wrapper)


def _atomic_databases() -> Iterator[str]:
    for alias, values in connections.settings.items():
        if values["ATOMIC_REQUESTS"]:
            yield alias
