"""Pages of v2 lists, and the links between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..http import Response, json_response
from ..request import Refused, Request
from ..services import Services
from .cursors import Cursor, InvalidCursor, link

__all__ = ["page", "read_cursor", "slice_list"]


def read_cursor(request: Request) -> Cursor | None:
    """Return the cursor of the query.

    Raises:
        Refused: Sendcloud has never given out such a cursor.
    """
    if (text := request.one("cursor")) is None:
        return None
    try:
        return Cursor.read(text)
    except InvalidCursor:
        raise Refused(404, "Invalid cursor") from None


def slice_list(
    services: Services, request: Request, found: Sequence[Any], number: Callable[[Any], int]
) -> tuple[list[Any], bool, Cursor | None]:
    """Return the page that the cursor asks for, whether more follows in its direction, and the cursor."""
    cursor, size = read_cursor(request), services.behaviour.page_size
    if cursor is not None and cursor.back:
        before = [element for element in found if number(element) < cursor.position]
        return before[-size:], len(before) > size, cursor
    after = [element for element in found if cursor is None or number(element) > cursor.position]
    return after[:size], len(after) > size, cursor


def page(
    services: Services,
    request: Request,
    name: str,
    elements: list[Any],
    numbers: list[int],
    more: bool,
    cursor: Cursor | None,
) -> Response:
    """Return a page with its links.

    Args:
        services: Everything that operations work with.
        request: Request for the page.
        name: Field that holds the elements.
        elements: Elements of the page.
        numbers: Their numbers, which cursors point at.
        more: Whether more elements follow in the direction of the cursor.
        cursor: Cursor of the request.
    """
    back = cursor is not None and cursor.back
    edge = cursor.position if cursor else 0
    first, last = (numbers[0], numbers[-1]) if numbers else (edge + (not back), edge - back)
    following = Cursor(last) if more or back else None
    preceding = Cursor(first, back=True) if (more if back else cursor is not None) else None
    address = f"{services.origin}{request.logged.path}"
    content: dict[str, Any] = {
        "next": link(address, request.query, following),
        "previous": link(address, request.query, preceding),
        name: elements,
    }
    if services.behaviour.omit_empty_links:
        content = {key: value for key, value in content.items() if value is not None}
    return json_response(content)
