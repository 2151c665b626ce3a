"""A wall clock that is set wrong: it reads from a file by how many seconds."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from django.utils import timezone


def install(file: str) -> None:
    """Let Django's clock, and with it that of the models and of the engine, be off by what the file says.

    Args:
        file: Where a number of seconds stands, read anew each time; nothing happens where it is empty.
    """
    if not file:
        return
    true_now = timezone.now

    def now() -> dt.datetime:
        return true_now() + dt.timedelta(seconds=read(Path(file)))

    timezone.now = now


def read(file: Path) -> float:
    """By how many seconds the clock is off; 0.0 where nobody has said so yet."""
    try:
        return float(file.read_text())
    except (FileNotFoundError, ValueError):
        return 0.0


def step(file: Path, seconds: float) -> None:
    """Set the clock of those who read this file."""
    fresh = file.with_suffix(".new")
    fresh.write_text(str(seconds))
    # In one piece: nobody reads half a number.
    fresh.replace(file)
