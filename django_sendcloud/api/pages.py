"""A walk through a list, page by page, that never leaves Sendcloud and never goes in circles."""

from __future__ import annotations

import dataclasses
import logging
import re
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from ..exceptions import InvalidResponse
from .requestor import Query, Request, Requestor
from .transport import Response
from .urls import origin

__all__ = ["Page", "linked_pages", "nested_pages"]

logger = logging.getLogger("django_sendcloud.api")

T = TypeVar("T")

_LINK: Final = re.compile(r"<([^<>]*)>([^<]*)")
_NEXT: Final = re.compile(r";\s*rel\s*=\s*(?:\"next\"|next)\s*(?:[;,]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        results: Its elements.
        next_cursor: The place to go on: pass it as ``cursor``, with the same filters. ``None`` on the last page.
    """

    results: list[T]
    next_cursor: str | None


def nested_pages(
    requestor: Requestor,
    request: Request,
    read: Callable[[Any], T],
    *,
    member: str = "results",
    numbers_are_cursors: bool = False,
    required: bool = True,
) -> Iterator[Page[T]]:
    """Yield the pages of a v2 list, whose answers hold the link to the next page.

    The link is not followed as it is: it must point to this very list at the configured address, and only its query
    is used.

    Args:
        requestor: Sends the requests, each when its page is asked for.
        request: The first page.
        read: Reads one element.
        member: The name of the elements in the answer.
        numbers_are_cursors: Take a bare number for a cursor, as the contract of the parcels API has it. The API
            itself answers a link.
        required: Raise where elements are there and none can be read. One among others is logged and left out.

    Raises:
        InvalidResponse: a page cannot be read, or a link leads elsewhere or in a circle.
    """

    def find_next(request: Request, response: Response, content: dict[str, Any]) -> Query | None:
        return _query_of_link(requestor, request, content.get("next"), numbers_are_cursors=numbers_are_cursors)

    return _pages(requestor, request, read, member, find_next, required=required)


def linked_pages(requestor: Requestor, request: Request, read: Callable[[Any], T]) -> Iterator[Page[T]]:
    """Yield the pages of a v3 list, whose header ``Link`` holds the next cursor.

    Only the cursor is taken from the link. Its address is not used: the documented ones lack ``/api``.

    Args:
        requestor: Sends the requests, each when its page is asked for.
        request: The first page.
        read: Reads one element.

    Raises:
        InvalidResponse: a page or its link cannot be read, or the pages lead in a circle.
    """

    def find_next(request: Request, response: Response, content: dict[str, Any]) -> Query | None:
        link = response.headers.get("link", "")
        target = next((match[1] for match in _LINK.finditer(link) if _NEXT.search(match[2])), None)
        if target is None:
            return None
        try:
            cursors = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query).get("cursor", [])
        except ValueError:
            cursors = []
        if len(cursors) != 1:
            raise requestor.unreadable(request, "a link to a next page without its cursor", response.status)
        return [*((name, value) for name, value in request.query if name != "cursor"), ("cursor", cursors[0])]

    return _pages(requestor, request, read, "data", find_next)


def _pages(
    requestor: Requestor,
    request: Request,
    read: Callable[[Any], T],
    member: str,
    find_next: Callable[[Request, Response, dict[str, Any]], Query | None],
    *,
    required: bool = True,
) -> Iterator[Page[T]]:
    visited = {_identity(request.query)}
    while True:
        response = requestor.send(request)
        content = requestor.decode(request, response)
        if not isinstance(content, dict) or not isinstance(content.get(member), list):
            raise requestor.unreadable(request, f"an answer without its list of {member}", response.status)
        query = find_next(request, response, content)
        elements = _readable(requestor, request, read, content[member], required=required)
        required = required and not elements
        yield Page(
            elements,
            next((value for name, value in query if name == "cursor"), None) if query else None,
        )
        del content, response, elements  # a page is large, and must not live on while the next one is fetched
        if query is None:
            return
        if _identity(query) in visited:
            raise requestor.unreadable(request, "a list whose pages lead in a circle")
        visited.add(_identity(query))
        request = dataclasses.replace(request, query=query)


def _readable(
    requestor: Requestor, request: Request, read: Callable[[Any], T], elements: list[Any], *, required: bool
) -> list[T]:
    """Return the elements that can be read. One that cannot be must not keep all others from being read, for good.

    Args:
        requestor: Names the request in an error.
        request: The request of the page.
        read: Reads one element.
        elements: The page.
        required: Raise where elements are there and none can be read: this is another list.
    """
    found: list[T] = []
    unreadable: InvalidResponse | None = None
    for position, element in enumerate(elements):
        try:
            found.append(read(element))
        except InvalidResponse as error:
            unreadable = unreadable or error
            logger.warning("Element %d of an answer (%s) is left out: %s.", position, request.operation, error.message)
    if required and unreadable is not None and not found:
        raise requestor.unreadable(request, unreadable.message) from None
    return found


def _identity(query: Query) -> int:
    return hash(tuple(sorted(query)))


def _query_of_link(requestor: Requestor, request: Request, link: object, *, numbers_are_cursors: bool) -> Query | None:
    if link is None or link == "":
        return None
    if numbers_are_cursors and isinstance(link, int) and not isinstance(link, bool):
        return [*((name, value) for name, value in request.query if name != "cursor"), ("cursor", str(link))]
    here = requestor.base_url + request.path
    try:
        there = urllib.parse.urljoin(here, link) if isinstance(link, str) else ""
        same = origin(there) == origin(here)
        parts = urllib.parse.urlsplit(there)
    except ValueError:
        same = False
    if not same or parts.username is not None or parts.path.rstrip("/") != urllib.parse.urlsplit(here).path:
        raise requestor.unreadable(request, "a link to a next page that is not at the configured address")
    return urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
