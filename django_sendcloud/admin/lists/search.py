"""Search in lists of a million rows.

An order number, tracking number or id is looked up by its index. Only if that finds nothing, the search looks within
numbers, which reads a whole table. ``*2044*`` asks for that directly. Several numbers, as copied from a spreadsheet,
are looked up together: as many queries as for one.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

__all__ = ["MAX_MATCHES", "as_uuids", "keys_of", "listed", "number_lists", "search", "spellings", "with_numbers"]

#: Numbers of a list, and exact matches: more than an operator reads.
MAX_MATCHES = 1000
_COMMAS = re.compile("[,;]")

Exactly = Callable[[Sequence[str]], Sequence[QuerySet[Any, Any]]]
Within = Callable[[str], Q]


def search(rows: QuerySet[Any], words: str, exactly: Exactly, within: Within) -> tuple[QuerySet[Any], list[str]]:
    """Return the rows that the text names: by one number, by any of several, or by every word.

    Args:
        rows: Rows to search.
        words: Search text.
        exactly: Returns the primary keys of exact matches of any of some words: querysets of one column, each served
            by an index.
        within: Returns the condition for a word within other fields.

    Returns:
        The rows, and the numbers or words that were looked up exactly.
    """
    exact: list[str] = []
    asked: set[str] = set()
    for numbers in () if "*" in words else number_lists(words):
        if keys := keys_of(numbers, exactly):
            return rows.filter(pk__in=keys), numbers
        asked.update(numbers)
    for word in words.split():
        bare = word.strip("*")
        if not bare:
            continue
        keys = keys_of([word], exactly) if bare == word and word not in asked else []
        if keys:
            exact.append(word)
            rows = rows.filter(pk__in=keys)
        else:
            rows = rows.filter(within(bare))
    return rows, exact


def number_lists(words: str) -> Iterator[list[str]]:
    """Yield the numbers that a search text may mean: itself, which may have blanks, and then those of a list."""
    if whole := words.strip():
        yield [whole]
    if numbers := listed(words):
        yield numbers


def listed(words: str) -> list[str]:
    """Return the numbers of a list: separated by commas, by blanks, or by both. Each has a digit.

    A text with a word without digits is no list: a name, or a number and what else is wanted of it. Between commas, a
    number may have blanks.
    """
    pieces = [each for each in map(str.strip, _COMMAS.split(words)) if each]
    parts = [part for piece in pieces for part in piece.split()]
    numbers = pieces if len(pieces) > 1 and all(map(_has_digit, pieces)) else []
    if len(parts) > 1 and all(map(_has_digit, parts)):
        numbers = [*numbers, *parts]
    return list(dict.fromkeys(numbers))[:MAX_MATCHES]


def _has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def keys_of(numbers: Sequence[str], exactly: Exactly) -> list[Any]:
    """Return the keys of the rows that any of the numbers names, with its blanks or without.

    One statement: a union, because no index serves conditions joined by OR.
    """
    # A tracking number may be written in blocks.
    queries = exactly(list(dict.fromkeys(each for number in numbers for each in ("".join(number.split()), number))))
    if not queries:
        return []
    first, *others = (query.order_by() for query in queries)
    return list(first.union(*others)[:MAX_MATCHES])


def spellings(*words: str) -> list[str]:
    """Return the usual spellings of numbers: an index distinguishes ``ord-1`` from ``ORD-1``."""
    return sorted({spelling for word in words for spelling in (word, word.upper(), word.lower())})


def with_numbers(orders: QuerySet[Any], field: str, numbers: Sequence[str]) -> QuerySet[Any]:
    """Return the orders with these numbers. Texts that the field cannot hold are left out."""
    column, values = orders.model._meta.get_field(field), []
    for number in numbers:
        with suppress(ValidationError):
            values.append(column.clean(number, None))
    return orders.filter(**{f"{field}__in": values})


def as_uuids(words: Sequence[str]) -> list[uuid.UUID]:
    """Return those of the words that are UUIDs."""
    uuids = []
    for word in words:
        with suppress(ValueError):
            uuids.append(uuid.UUID(word))
    return uuids
