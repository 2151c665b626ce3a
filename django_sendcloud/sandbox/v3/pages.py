"""Pages of v3 lists: the links are in a header, and the cursor is opaque."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar
from urllib.parse import urlencode

from ..request import Refused, Request
from ..services import Services

__all__ = ["Place", "page_size", "slice_page"]

T = TypeVar("T")
#: Place of an element in a list: a sort key and a number that makes it unique.
Place: TypeAlias = "list[Any]"


def page_size(request: Request, default: int, most: int) -> int:
    """Return the number of elements per page. Values that are not allowed give the default or the maximum."""
    text = request.one("page_size") or ""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9 or int(text) < 1:
        return default
    return min(int(text), most)


def slice_page(
    services: Services,
    request: Request,
    found: Sequence[T],
    place: Callable[[T], Place],
    size: int,
    *,
    falling: bool = False,
) -> tuple[list[T], dict[str, str]]:
    """Return the page that the cursor asks for, and the headers with its links.

    Args:
        services: Everything that operations work with.
        request: Request for the page.
        found: All elements, sorted by their places.
        place: Function that returns the place of an element.
        size: Number of elements per page.
        falling: Whether the list begins with the greatest place.

    Raises:
        Refused: Sendcloud has never given out such a cursor.
    """
    cursor = _read(request)
    if cursor is None:
        start, end = 0, size
    else:
        where, back = cursor
        places = [place(element) for element in found]
        try:
            before = sum(1 for other in places if (other > where if falling else other < where))
        except TypeError:
            raise _unknown() from None
        start = before if back else before + (where in places)
        start, end = (max(start - size, 0), start) if back else (start, start + size)
    page = list(found[start:end])
    following = _write(place(page[-1]), back=False) if page and end < len(found) else None
    preceding = _write(place(page[0]), back=True) if page and start > 0 else None
    return page, _links(services, request, following, preceding)


def _write(where: Place, *, back: bool) -> str:
    return base64.urlsafe_b64encode(json.dumps([where, back]).encode()).decode()


def _read(request: Request) -> tuple[Place, bool] | None:
    text = request.one("cursor")
    if text is None:
        return None
    try:
        where, back = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _unknown() from None
    if type(back) is not bool or type(where) is not list:
        raise _unknown()
    return where, back


def _unknown() -> Refused:
    return Refused(404, "Invalid cursor", title="Invalid cursor")


def _links(services: Services, request: Request, following: str | None, preceding: str | None) -> dict[str, str]:
    """Return the ``Link`` header. Sendcloud's links leave out ``/api``, so that they lead nowhere."""
    address = f"{services.origin}{request.logged.path.removeprefix('/api')}"
    links = []
    for cursor, name in ((following, "next"), (preceding, "prev")):
        if cursor is not None:
            query = urlencode({**request.query, "cursor": [cursor]}, doseq=True)
            links.append(f'<{address}?{query}>; rel="{name}"')
    return {"Link": ", ".join(links)} if links else {}
