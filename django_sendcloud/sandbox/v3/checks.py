"""Building blocks of the checks that v3 makes of a body, with the words of pydantic.

A check takes a value and its path, and yields the path and the message of each error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from ..moments import parse_moment

__all__ = ["Check", "Error", "Path", "boolean", "choice", "date_time", "email", "integer", "list_of", "nullable"]
__all__ += ["number", "obj", "text", "url"]

Path: TypeAlias = "tuple[str | int, ...]"
Error: TypeAlias = "tuple[Path, str]"
Check: TypeAlias = "Callable[[Any, Path], Iterator[Error]]"

_MISSING: Final = object()
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")


def nullable(check: Check) -> Check:
    """Return a check that also accepts null."""

    def check_or_null(value: Any, path: Path) -> Iterator[Error]:
        if value is not None:
            yield from check(value, path)

    return check_or_null


def text(least: int = 0, most: int | None = None, *, pattern: str | None = None) -> Check:
    """Return a check for text of a length. The pattern is searched for, not anchored."""
    compiled = re.compile(pattern) if pattern else None

    def check(value: Any, path: Path) -> Iterator[Error]:
        if type(value) is not str:
            yield path, "Input should be a valid string"
        elif len(value) < least:
            yield path, f"String should have at least {least} character{'s' if least > 1 else ''}"
        elif most is not None and len(value) > most:
            yield path, f"String should have at most {most} characters"
        elif compiled and not compiled.search(value):
            yield path, f"String should match pattern '{pattern}'"

    return check


def choice(values: Sequence[str]) -> Check:
    """Return a check for one of several texts."""
    names = [f"'{value}'" for value in values]
    message = f"Input should be {' or '.join(filter(None, [', '.join(names[:-1]), names[-1]]))}"

    def check(value: Any, path: Path) -> Iterator[Error]:
        if type(value) is not str or value not in values:
            yield path, message

    return check


def date_time(value: Any, path: Path) -> Iterator[Error]:
    """Check an RFC 3339 date-time."""
    if parse_moment(value) is None:
        yield path, "Input should be a valid datetime"


def email(value: Any, path: Path) -> Iterator[Error]:
    """Check an e-mail address."""
    if type(value) is not str:
        yield path, "Input should be a valid string"
    elif not _EMAIL.fullmatch(value):
        yield path, "value is not a valid email address"


def url(value: Any, path: Path) -> Iterator[Error]:
    """Check an http or https address."""
    if type(value) is not str:
        yield path, "Input should be a valid string"
        return
    try:
        parts = urlsplit(value)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or re.search(r"\s", value):
        yield path, "Input should be a valid URL"


def boolean(value: Any, path: Path) -> Iterator[Error]:
    """Check a boolean."""
    if type(value) is not bool:
        yield path, "Input should be a valid boolean"


def integer(least: int | None = None) -> Check:
    """Return a check for whole numbers."""

    def check(value: Any, path: Path) -> Iterator[Error]:
        # JSON Schema counts 1.0 as an integer, and no boolean.
        if type(value) is not int and not (type(value) is float and value.is_integer()):
            yield path, "Input should be a valid integer"
        elif least is not None and value < least:
            yield path, "Input should be greater than 0" if least == 1 else _not_below(least)

    return check


def number(least: float | None = None, *, above: bool = False) -> Check:
    """Return a check for numbers at or, with ``above``, over a limit."""

    def check(value: Any, path: Path) -> Iterator[Error]:
        if type(value) not in (int, float):
            yield path, "Input should be a valid number"
        elif least is not None and above and value <= least:
            yield path, f"Input should be greater than {least}"
        elif least is not None and value < least:
            yield path, _not_below(least)

    return check


def _not_below(least: float) -> str:
    return f"Input should be greater than or equal to {least}"


def obj(
    fields: Mapping[str, Check] | None = None,
    required: Sequence[str] = (),
    *,
    closed: bool = False,
    exactly_one: Sequence[str] = (),
) -> Check:
    """Return a check for an object.

    Args:
        fields: Checks of its fields.
        required: Fields that it must have.
        closed: Whether it must have no other fields.
        exactly_one: Fields of which it must have exactly one.
    """
    rules = [(name, name in required, check) for name, check in (fields or {}).items()]

    def check_object(value: Any, path: Path) -> Iterator[Error]:
        if type(value) is not dict:
            yield path, "Input should be a valid dictionary"
            return
        for name, needed, check in rules:
            item = value.get(name, _MISSING)
            if item is not _MISSING:
                yield from check(item, (*path, name))
            elif needed:
                yield (*path, name), "Field required"
        if exactly_one:
            given = [name for name in exactly_one if name in value]
            if not given:
                yield (*path, exactly_one[0]), "Field required"
            elif len(given) > 1:
                yield path, f"Value error, {' and '.join(given)} exclude each other"
        if closed:
            for name in value:
                if name not in (fields or {}):
                    yield (*path, name), "Extra inputs are not permitted"

    return check_object


def list_of(each: Check) -> Check:
    """Return a check for lists whose elements all pass another one."""

    def check(value: Any, path: Path) -> Iterator[Error]:
        if type(value) is not list:
            yield path, "Input should be a valid list"
            return
        for index, item in enumerate(value):
            yield from each(item, (*path, index))

    return check
