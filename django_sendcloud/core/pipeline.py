"""Ways along a pipeline of statuses, ``{status: (statuses that may follow, ...)}``."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Pipeline", "next_on_the_way", "reachable"]

Pipeline = Mapping[str, Iterable[str]]


def next_on_the_way(pipeline: Pipeline, present: str, wanted: str) -> str | None:
    """Return the first step of the shortest way from one status to another, ``None`` if there is none."""
    steps: dict[str, str] = {}
    waiting: deque[str] = deque([present])
    while waiting:
        status = waiting.popleft()
        for following in pipeline.get(status, ()):
            if following != present and following not in steps:
                steps[following] = steps.get(status, following)
                waiting.append(following)
    return steps.get(wanted)


def reachable(pipeline: Pipeline, begin: Iterable[str]) -> set[Any]:
    """Return the statuses that can be reached from these, themselves included."""
    found: set[str] = set()
    waiting = list(begin)
    while waiting:
        status = waiting.pop()
        if status not in found:
            found.add(status)
            waiting += pipeline.get(status, ())
    return found
