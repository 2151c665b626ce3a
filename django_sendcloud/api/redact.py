"""Redaction of Sendcloud's words.

Its messages may quote the value they complain about, and that may be a person's name. Values that were sent, text
in quotes, e-mail addresses and telephone numbers are blacked out before a message reaches an exception, a log or a
screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

__all__ = ["field_path", "flatten_errors", "redact", "values_of"]

_MAX_MESSAGE: Final = 200
_MAX_MESSAGES: Final = 200
_MAX_DEPTH: Final = 16
_BLANK: Final = "…"

_QUOTED: Final = re.compile(r"\"[^\"]*\"|“[^”]*”|‘[^’]*’|`[^`]*`|(?<!\w)'[^']*'(?!\w)")
_EMAIL: Final = re.compile(r"[^\s@<>(),;:]+@[^\s@<>(),;:]+")
_NUMBER: Final = re.compile(r"\+?\d[\d ()/.-]{5,}\d")
_FIELD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

#: Shorter texts say nothing about a person, and would be found in the middle of any sentence.
_SHORTEST: Final = 3


def redact(message: object, sent: Iterable[str] = ()) -> str:
    """Return a message without the values it quotes, in one line of at most 200 characters.

    Args:
        message: As it was answered.
        sent: Values that were sent, for :func:`values_of`.
    """
    text = str(message)[: 10 * _MAX_MESSAGE]
    folded = text.casefold()
    repeated = {value for value in sent if len(value) >= _SHORTEST and value.casefold() in folded}
    for value in sorted(repeated, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", _BLANK, text, flags=re.IGNORECASE)
    text = _QUOTED.sub(lambda match: f"{match[0][0]}{_BLANK}{match[0][-1]}", text)
    text = _NUMBER.sub(_BLANK, _EMAIL.sub(_BLANK, text))
    text = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return text if len(text) <= _MAX_MESSAGE else f"{text[: _MAX_MESSAGE - 1]}…"


def values_of(body: Any) -> Iterator[str]:
    """Walk all texts in a request's body, keys left out."""
    if isinstance(body, str):
        yield body.strip()
    elif isinstance(body, Mapping):
        for value in body.values():
            yield from values_of(value)
    elif isinstance(body, list | tuple):
        for value in body:
            yield from values_of(value)


def flatten_errors(errors: object, sent: Iterable[str] = ()) -> dict[str, list[str]]:
    """Turn nested field errors into ``{"parcel_items[0].hs_code": ["…"]}``, values blacked out.

    Takes whatever shape comes: mappings, lists of messages, lists of mappings, a bare message.
    """
    sent = [*sent]
    found: dict[str, list[str]] = {}

    def walk(node: object, path: str, depth: int) -> None:
        if depth > _MAX_DEPTH or sum(map(len, found.values())) >= _MAX_MESSAGES:
            return
        if isinstance(node, Mapping):
            for key, value in node.items():
                walk(value, _below(path, str(key)), depth + 1)
        elif isinstance(node, list | tuple):
            for index, value in enumerate(node):
                nested = isinstance(value, Mapping | list | tuple)
                walk(value, f"{path}[{index}]" if nested else path, depth + 1)
        elif node is not None:
            found.setdefault(path, []).append(redact(node, sent))

    walk(errors, "", 0)
    return found


def field_path(segments: Iterable[str]) -> str:
    """Join the names and indexes of nested fields: ``parcel_items[0].hs_code``. Anything else is blacked out."""
    path = ""
    for segment in segments:
        path = _below(path, segment.removeprefix("[").removesuffix("]"))
    return path


def _below(path: str, key: str) -> str:
    if key.isdecimal() and key.isascii():
        return f"{path}[{key[:9]}]"
    if not _FIELD.fullmatch(key):
        key = _BLANK
    return f"{path}.{key}" if path else key
