"""Building blocks of the checks that v2 makes of a body.

A check takes a value and returns ``None``, or its errors in the shape that the contract shows: a list of messages,
for an object the errors of its fields, for a list one entry per element. Checks are built once, at import, because a
batch of a hundred shipments passes through some ten thousand of them.

Where the contract contradicts itself, a nullable enum may be null, ``email`` may be empty because its minimum length
is 0, and the prose may forbid what the schema allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from ..moments import parse_moment

__all__ = ["REQUIRED", "Check", "Errors", "Rule", "cost", "either", "email", "flag", "integer", "list_of", "moment"]
__all__ += ["number", "obj", "one_of", "text", "url"]

Errors: TypeAlias = "list[Any] | dict[str, Any]"
Check: TypeAlias = "Callable[[Any], Errors | None]"
#: Check of a text that already has the right length.
Rule: TypeAlias = "Callable[[str], list[str] | None]"

REQUIRED: Final = ["This field is required."]
_NULL: Final = ["This field may not be null."]
_BLANK: Final = ["This field may not be blank."]
_NO_NUMBER: Final = ["A valid number is required."]
_NO_EMAIL: Final = ["Enter a valid email address."]
_NO_URL: Final = ["Enter a valid URL."]
_NO_MOMENT: Final = [
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss[.uuuuuu][+HH:MM|-HH:MM|Z]."
]
_MISSING: Final = object()

_EMAIL_PATTERN: Final = re.compile(r"[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+")
_DECIMAL_PATTERN: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)", re.ASCII)
# contract: CostsObject.value. The pattern is not anchored there.
_COST_PATTERN: Final = re.compile(r"[\d]+(\.[\d]+)?")


def text(least: int = 0, most: int | None = None, *, null: bool = False, also: Rule | None = None) -> Check:
    """Return a check for text of a length."""
    too_long = [f"Ensure this field has no more than {most} characters."]

    def check(value: Any) -> Errors | None:
        if type(value) is not str:
            if value is None:
                return None if null else _NULL
            return ["Not a valid string."]
        if len(value) < least:
            return _BLANK
        if most is not None and len(value) > most:
            return too_long
        return also(value) if also else None

    return check


def email(value: str) -> list[str] | None:
    """Check an e-mail address, which may be empty."""
    return None if not value or _EMAIL_PATTERN.fullmatch(value) else _NO_EMAIL


def moment(value: str) -> list[str] | None:
    """Check an RFC 3339 date-time."""
    return _NO_MOMENT if parse_moment(value) is None else None


def url(value: str) -> list[str] | None:
    """Check an http or https address."""
    try:
        parts = urlsplit(value)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    return None if fine and not re.search(r"\s", value) else _NO_URL


def number(least: Decimal | None = None) -> Rule:
    """Return a rule for a decimal written as text."""
    too_small = [f"Ensure this value is greater than or equal to {least}."]

    def rule(value: str) -> list[str] | None:
        if not _DECIMAL_PATTERN.fullmatch(value):
            return _NO_NUMBER
        return too_small if least is not None and Decimal(value) < least else None

    return rule


def cost(value: str) -> list[str] | None:
    """Check an amount by the contract's pattern."""
    return None if _COST_PATTERN.search(value) else _NO_NUMBER


def one_of(values: Sequence[str]) -> Rule:
    """Return a rule that accepts only the given texts."""
    known = frozenset(values)

    def rule(value: str) -> list[str] | None:
        return None if value in known else [f'"{value}" is not a valid choice.']

    return rule


def integer(least: int | None = None, values: Sequence[int] = (), *, null: bool = False) -> Check:
    """Return a check for whole numbers."""

    def check(value: Any) -> Errors | None:
        # JSON Schema counts 1.0 as an integer, and no boolean.
        if type(value) is not int and not (type(value) is float and value.is_integer()):
            if value is None:
                return None if null else _NULL
            return ["A valid integer is required."]
        if least is not None and value < least:
            return [f"Ensure this value is greater than or equal to {least}."]
        if values and value not in values:
            return [f'"{value}" is not a valid choice.']
        return None

    return check


def flag(value: Any) -> Errors | None:
    """Check a boolean."""
    if type(value) is bool:
        return None
    return _NULL if value is None else ["Must be a valid boolean."]


def obj(
    fields: Mapping[str, Check] | None = None,
    required: Sequence[str] = (),
    *,
    null: bool = False,
    every: Check | None = None,
) -> Check:
    """Return a check for the fields of an object; ``every`` checks all its values. Unknown fields pass."""
    rules = [(name, name in required, check) for name, check in (fields or {}).items()]

    def check_object(value: Any) -> Errors | None:
        if type(value) is not dict:
            if value is None:
                return None if null else _NULL
            return [f"Invalid data. Expected a dictionary, but got {type(value).__name__}."]
        errors: dict[str, Any] = {}
        for name, needed, check in rules:
            item = value.get(name, _MISSING)
            if item is _MISSING:
                if needed:
                    errors[name] = REQUIRED
            elif found := check(item):
                errors[name] = found
        if every is not None:
            for name, item in value.items():
                if found := every(item):
                    errors[name] = found
        return errors or None

    return check_object


def list_of(each: Check, *, null: bool = False) -> Check:
    """Return a check for lists whose elements all pass another one."""

    def check(value: Any) -> Errors | None:
        if type(value) is not list:
            if value is None:
                return None if null else _NULL
            return [f'Expected a list of items but got type "{type(value).__name__}".']
        errors = [each(item) for item in value]
        return [error or {} for error in errors] if any(errors) else None

    return check


def either(*checks: Check) -> Check:
    """Return a check that passes if one of the given ones does; otherwise it gives the errors of the first."""

    def check(value: Any) -> Errors | None:
        errors = [check(value) for check in checks]
        return errors[0] if all(errors) else None

    return check
