"""Exceptions that interrupt a worker at any line and are no fault of the order or event it works on."""

from __future__ import annotations

__all__ = ["interruptions", "register_interruption"]

_kinds: list[type[BaseException]] = []


def interruptions() -> tuple[type[BaseException], ...]:
    """Return the exceptions to let pass, for an ``except`` clause before the one that catches everything."""
    return tuple(_kinds)


def register_interruption(kind: type[BaseException]) -> None:
    """Add a kind of interruption. The engine does not import Celery, so the tasks name its soft time limit here."""
    if kind not in _kinds:
        _kinds.append(kind)
