"""Walking through a list page by page, without ever leaving Sendcloud or walking in circles."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .requestor import Call, Query, Requestor
from .urls import origin

__all__ = ["Page", "iterate_pages"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        results: What is on it.
        next_cursor: Where to go on: pass it as ``cursor``, with the same filters. ``None`` on the last page.
    """

    results: list[T]
    next_cursor: str | None


def iterate_pages(
    requestor: Requestor,
    call: Call,
    read: Callable[[Any], T],
    *,
    member: str = "results",
    numbers_are_cursors: bool = False,
) -> Iterator[Page[T]]:
    """Yield pages, one request each, made when the page is asked for.

    A ``next`` link is not followed as it is: it must point to this very list at the configured
    address, and only its query is used.

    Args:
        requestor: What sends.
        call: The first page.
        read: Reads one element.
        member: Where the elements are.
        numbers_are_cursors: Take a bare number for a cursor. The contract of the parcels API has it so; what answers
            has a link.

    Raises:
        InvalidResponse: a page cannot be read, a link leads elsewhere, or in a circle.
    """
    visited = {_identity(call.query)}
    while True:
        content = requestor.json(call)
        if not isinstance(content, dict) or not isinstance(content.get(member), list):
            raise requestor.unreadable(call, "an answer without a list of results")
        query = _next_query(requestor, call, content.get("next"), numbers_are_cursors)
        yield Page(
            [requestor.parse(call, read, result) for result in content[member]],
            next((value for name, value in query if name == "cursor"), None) if query else None,
        )
        del content  # a page is large, and must not live on while the next one is fetched
        if query is None:
            return
        if _identity(query) in visited:
            raise requestor.unreadable(call, "a list whose pages lead in a circle")
        visited.add(_identity(query))
        call = dataclasses.replace(call, query=query)


def _identity(query: Query) -> int:
    return hash(tuple(sorted(query)))


def _next_query(requestor: Requestor, call: Call, link: object, numbers_are_cursors: bool = False) -> Query | None:
    if link is None or link == "":
        return None
    if numbers_are_cursors and isinstance(link, int) and not isinstance(link, bool):
        return [*((name, value) for name, value in call.query if name != "cursor"), ("cursor", str(link))]
    here = requestor.base_url + call.path
    try:
        there = urllib.parse.urljoin(here, link) if isinstance(link, str) else ""
        same = origin(there) == origin(here)
        parts = urllib.parse.urlsplit(there)
    except ValueError:
        same = False
    if not same or parts.username is not None or parts.path.rstrip("/") != urllib.parse.urlsplit(here).path:
        raise requestor.unreadable(call, "a link to a next page that is not at the configured address")
    return urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
