"""Search in lists of a million rows.

An order number, tracking number or id is looked up by its index. Only if that finds nothing, the search looks within
numbers, which reads a whole table. ``*2044*`` asks for that directly.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Q, QuerySet

__all__ = ["as_uuid", "found", "search", "spellings"]

# Exact matches of one word: more than an operator reads.
MOST = 1000

Exactly = Callable[[str], Sequence[QuerySet[Any, Any]]]
Within = Callable[[str], Q]


def search(rows: QuerySet[Any], words: str, exactly: Exactly, within: Within) -> tuple[QuerySet[Any], list[str]]:
    """Return the rows that match every word.

    Args:
        rows: Rows to search.
        words: Search text.
        exactly: Returns the primary keys of exact matches of one word: querysets of one column, each served by
            an index.
        within: Returns the condition for a word within other fields.

    Returns:
        The rows, and the words that matched exactly.
    """
    exact = []
    parts = words.split()
    # A tracking number may be written in blocks.
    if len(parts) > 1 and "*" not in words and (keys := found(exactly("".join(parts)))):
        return rows.filter(pk__in=keys), ["".join(parts)]
    for word in parts:
        bare = word.strip("*")
        if not bare:
            continue
        keys = found(exactly(word)) if bare == word else []
        if keys:
            exact.append(word)
            rows = rows.filter(pk__in=keys)
        else:
            rows = rows.filter(within(bare))
    return rows, exact


def found(queries: Sequence[QuerySet[Any, Any]]) -> list[Any]:
    """Return all keys in one statement: a union, because no index serves conditions joined by OR."""
    if not queries:
        return []
    first, *others = (query.order_by() for query in queries)
    return list(first.union(*others)[:MOST])


def spellings(word: str) -> list[str]:
    """Return the usual spellings of a number: an index distinguishes ``ord-1`` from ``ORD-1``."""
    return sorted({word, word.upper(), word.lower()})


def as_uuid(word: str) -> uuid.UUID | None:
    """Parse a UUID; ``None`` if it is none."""
    try:
        return uuid.UUID(word)
    except ValueError:
        return None
