"""Searching lists of a million rows.

What a person has in hand (an order number, a tracking number, an id) is looked up by its index. Only where that finds
nothing is it looked for within numbers, which reads a whole table. ``*2044*`` asks for that at once.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.db.models import Q, QuerySet

__all__ = ["as_uuid", "search", "spellings"]

# Exact matches of one word: more than anybody reads.
MOST = 1000

Exactly = Callable[[str], Sequence[QuerySet[Any, Any]]]
Within = Callable[[str], Q]


def search(rows: QuerySet[Any], words: str, exactly: Exactly, within: Within) -> tuple[QuerySet[Any], list[str]]:
    """The rows that match every word.

    Args:
        rows: To search in.
        words: What was typed.
        exactly: For one word, the primary keys of what it names exactly: querysets of one column, each to be found by
            an index.
        within: For one word, where else it may stand.

    Returns:
        The rows, and the words that were matched exactly.
    """
    exact = []
    for word in words.split():
        bare = word.strip("*")
        if not bare:
            continue
        found = _found(exactly(word)) if bare == word else []
        if found:
            exact.append(word)
            rows = rows.filter(pk__in=found)
        else:
            rows = rows.filter(within(bare))
    return rows, exact


def _found(queries: Sequence[QuerySet[Any, Any]]) -> list[Any]:
    """The keys all of these find, in one statement. Each for itself, as no index serves them joined by OR."""
    if not queries:
        return []
    first, *others = (query.order_by() for query in queries)
    return list(first.union(*others)[:MOST])


def spellings(word: str) -> list[str]:
    """A word as numbers are usually written: an index tells ``ord-1`` from ``ORD-1``, and people do not."""
    return sorted({word, word.upper(), word.lower()})


def as_uuid(word: str) -> uuid.UUID | None:
    """The UUID that was typed, ``None`` if it is anything else."""
    try:
        return uuid.UUID(word)
    except ValueError:
        return None
