"""Query strings from typed filters, and the check that an answer honours them.

Sendcloud ignores parameters it does not know and answers the whole collection, so an answer is compared with the
question.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from ..exceptions import InvalidResponse
from .pages import Page
from .requestor import Query
from .urls import check_id

__all__ = ["dates", "ids", "moments", "only_matching", "page_sizes", "same_text", "texts"]

T = TypeVar("T")


def dates(name: str, value: dt.date | None) -> Query:
    """Return the parameter for a day, none for ``None``.

    Raises:
        ValueError: it is no date, or a date with a time.
    """
    if value is None:
        return []
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise ValueError(f"{name} must be a date without a time, got {type(value).__name__}; use value.date().")
    return [(name, value.isoformat())]


def moments(name: str, value: dt.datetime | None) -> Query:
    """Return the parameter for a time, in UTC, none for ``None``.

    Raises:
        ValueError: it is no time, or does not know its zone.
    """
    if value is None:
        return []
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise ValueError(f"{name} must know its time zone.")
    return [(name, value.astimezone(dt.UTC).isoformat())]


def texts(name: str, values: Sequence[str]) -> Query:
    """Return one parameter for each text.

    Raises:
        ValueError: one of them is no text, or empty.
    """
    if isinstance(values, str):
        raise ValueError(f"{name} must be a list of text, not text.")
    for value in values:
        if not isinstance(value, str) or not value:
            raise ValueError(f"{name} must be text that is not empty, got {type(value).__name__}; write str(...).")
    return [(name, value) for value in values]


def ids(name: str, values: Sequence[int], most: int = 100) -> Query:
    """Return one parameter with ids separated by commas, none where there are none.

    Raises:
        ValueError: an id is no positive whole number, or there are too many.
    """
    if len(values) > most:
        raise ValueError(f"{name} takes up to {most} ids, got {len(values)}.")
    return [(name, ",".join(str(check_id(name, value)) for value in values))] if values else []


def page_sizes(value: int | None, most: int) -> Query:
    """Return the parameter for the size of a page, none for ``None``.

    Raises:
        ValueError: it is not between 1 and what the contract allows.
    """
    if value is None:
        return []
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError(f"page_size must be between 1 and {most}, got {value!r}.")
    return [("page_size", str(value))]


def same_text(one: str | None, other: str | None) -> bool:
    """Return whether Sendcloud's filters hold two texts for equal: they ignore letter case."""
    return (one or "").casefold() == (other or "").casefold()


def only_matching(
    pages: Iterator[Page[T]], matches: Callable[[T], bool], unreadable: Callable[[str], InvalidResponse]
) -> Iterator[Page[T]]:
    """Yield pages without the elements that were not asked for.

    Raises:
        InvalidResponse: a page holds nothing that was asked for, and more pages follow: the filter was ignored, and
            walking on would read the whole account.
    """
    for page in pages:
        asked_for = [result for result in page.results if matches(result)]
        if page.results and not asked_for and page.next_cursor is not None:
            raise unreadable("a list in which nothing was asked for: Sendcloud ignored the filter")
        yield Page(asked_for, page.next_cursor)
