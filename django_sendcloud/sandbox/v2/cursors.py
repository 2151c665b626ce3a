"""Cursors of v2 (``r=1&p=300`` in base64), and the links with them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlencode

__all__ = ["Cursor", "InvalidCursor", "link"]


class InvalidCursor(ValueError):
    """Text that is no cursor."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list.

    Attributes:
        position: Number of the last element before it, or going back of the first one after it.
        back: Whether it leads to the previous page.
    """

    position: int
    back: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """Parse a cursor.

        Raises:
            InvalidCursor: The text is no cursor.
        """
        try:
            fields = parse_qs(base64.b64decode(text, validate=True).decode("ascii"), strict_parsing=True)
            ((position,), (back,)) = fields["p"], fields.get("r", ["0"])
            if back not in ("0", "1") or not position.isdecimal():
                raise InvalidCursor(text)
            return cls(int(position), back == "1")
        except (binascii.Error, ValueError, KeyError):
            raise InvalidCursor(text) from None

    def __str__(self) -> str:
        fields = {"r": "1", "p": str(self.position)} if self.back else {"p": str(self.position)}
        return base64.b64encode(urlencode(fields).encode()).decode()


def link(address: str, query: Mapping[str, Sequence[str]], cursor: Cursor | None) -> str | None:
    """Return the address of a page: the same query with this cursor."""
    if cursor is None:
        return None
    return f"{address}?{urlencode({**query, 'cursor': [str(cursor)]}, doseq=True)}"
