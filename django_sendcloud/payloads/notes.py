"""Notes on a payload: everything that Sendcloud will not see as the shop gave it, and advice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..violations import Errors, Param, Violation

__all__ = ["Note", "NoteLevel", "notes_on_errors"]


class NoteLevel(StrEnum):
    """The weight of a note."""

    #: The order would be rejected, here or at Sendcloud.
    REJECTED = "rejected"
    #: The order is sent without this.
    NOT_SENT = "not_sent"
    #: The order is sent, with this in another place or form.
    CHANGED = "changed"
    #: The order is accepted, and its label or its customs clearance may fail later.
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Note:
    """A note on one field.

    Args:
        level: Its weight.
        path: The field, ``""`` for the order as a whole.
        violation: Its code and parameters.
    """

    level: NoteLevel
    path: str
    violation: Violation

    @property
    def code(self) -> str:
        return self.violation.code

    def __str__(self) -> str:
        line = self.violation.line
        where = f"{self.path} ({line})" if line else self.path
        return f"{where}: {self.violation}" if where else str(self.violation)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, for a command's or a view's output."""
        return {"level": self.level.value, "path": self.path, **self.violation.to_json()}


def note(level: NoteLevel, path: str, violation: Violation, **line: Param) -> Note:
    """Return a note, with the parameters that name its line."""
    return Note(level, path, violation.with_params(line))


def notes_on_errors(errors: Errors) -> Iterator[Note]:
    """Return field errors as notes of the level ``rejected``."""
    for path, violations in errors.items():
        for violation in violations:
            yield Note(NoteLevel.REJECTED, path, violation)
