"""Exceptions that interrupt a worker wherever it is, and are nobody's fault: no order is refused because of them."""

from __future__ import annotations

__all__ = ["interruptions"]

_kinds: list[type[BaseException]] = []


def interruptions() -> tuple[type[BaseException], ...]:
    """What to let pass, for an ``except`` clause before the one that catches everything."""
    return tuple(_kinds)


def let_pass(kind: type[BaseException]) -> None:
    """Name one. (The engine knows nothing of Celery, whose soft time limit is one.)"""
    if kind not in _kinds:
        _kinds.append(kind)
