"""The one way to call code of the shop: signal receivers, and hooks of its adapters."""

from __future__ import annotations

import dataclasses
import logging
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from django.dispatch import Signal

from .interruption import interruptions

__all__ = ["ReceiverFailed", "dispatch", "innermost_frame"]

logger = logging.getLogger("django_sendcloud.shop")

_PACKAGE = str(Path(__file__).resolve().parent.parent)
_LIBRARIES = tuple({_PACKAGE, *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))})


@dataclasses.dataclass(eq=False)
class ReceiverFailed(Exception):
    """Receivers of the shop raised. The other receivers of the signal have run.

    Args:
        failures: A receiver's dotted path, the type of its exception, and the file and line that raised it, for each.
            Never the exception's text: it may hold personal data.
    """

    failures: list[tuple[str, str, str]]

    def __str__(self) -> str:
        return "; ".join(f"{receiver}: {error} at {frame}" for receiver, error, frame in self.failures)


def dispatch(signal: Signal, sender: Any, **arguments: Any) -> None:
    """Send a signal to every receiver, whatever the others do.

    Args:
        signal: The signal.
        sender: Its documented sender.
        **arguments: The documented arguments.

    Raises:
        ReceiverFailed: a receiver raised.
        Exception: a worker was interrupted (:func:`~.interruption.interruptions`) within a receiver.
    """
    failures = []
    for receiver, answer in signal.send_robust(sender=sender, **arguments):
        if not isinstance(answer, Exception):
            continue
        if isinstance(answer, interruptions()):
            raise answer
        name = f"{getattr(receiver, '__module__', '?')}.{getattr(receiver, '__qualname__', type(receiver).__name__)}"
        failures.append((name, type(answer).__name__, innermost_frame(answer)))
    if failures:
        failed = ReceiverFailed(failures)
        logger.error("A receiver of the shop failed: %s.", failed)
        raise failed


def innermost_frame(error: BaseException) -> str:
    """Return file and line of the shop's innermost frame, or of the innermost of all where the shop has none."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "?"
    own = [frame for frame in frames if not frame.filename.startswith(_LIBRARIES)]
    frame = (own or frames)[-1]
    return f"{frame.filename}:{frame.lineno}"
