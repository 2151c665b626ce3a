"""A wall clock that is wrong by the number of seconds in a file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from django.utils import timezone


def install(file: str) -> None:
    """Move Django's clock, and so that of the models and the engine, by the number of seconds in a file.

    Args:
        file: Path of the file, read again at each call; an empty path leaves the clock as it is.
    """
    if not file:
        return
    true_now = timezone.now

    def now() -> dt.datetime:
        return true_now() + dt.timedelta(seconds=read(Path(file)))

    timezone.now = now


def read(file: Path) -> float:
    """Return by how many seconds the clock is off; 0.0 before the first step."""
    try:
        return float(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0.0


def step(file: Path, seconds: float) -> None:
    """Set the clock of the processes that read this file."""
    fresh = file.with_suffix(".new")
    fresh.write_text(str(seconds))
    # Replace the file in one piece, so that no process reads half a number.
    fresh.replace(file)
