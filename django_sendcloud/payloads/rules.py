"""What a field may hold and how it is written: one small rule per kind of field.

A payload declares its rules in its annotations, ``city: Annotated[str, Text(1)]``. A rule does two
things: ``clean`` returns the value to keep or raises :class:`Violation`, ``dump`` turns the kept
value into JSON. What it has to say names the rule and the cure; it repeats the offending value
only where the field holds no personal data.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..enums import Currency, CustomsShipmentType
from .countries import COUNTRIES, suggest_country

if TYPE_CHECKING:
    from .base import Payload

    JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
else:
    JSON = Any  # a recursive alias cannot be resolved by get_type_hints

__all__ = [
    "JSON",
    "NULL",
    "OMIT",
    "Choice",
    "Country",
    "CurrencyCode",
    "Email",
    "Flag",
    "Integer",
    "JSONObject",
    "Moment",
    "Nested",
    "NestedList",
    "Number",
    "Properties",
    "Rule",
    "ShipmentType",
    "Text",
    "TextOrObject",
    "Texts",
    "Violation",
    "WebAddress",
]

#: How deep a mapping of the caller's may be nested. More than the contract needs; it ends cycles too.
_MAX_DEPTH: Final = 32

#: Digits before or behind the point that a number without a limit of its own may have.
_MAX_DIGITS: Final = 40


_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")


_WEB_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9\[][!-;=?-~]*", re.IGNORECASE)


class Unset(Enum):
    """What becomes of a field that is ``None``."""

    NULL = "written as null"
    OMIT = "left out"


NULL: Final = Unset.NULL
OMIT: Final = Unset.OMIT


class Violation(Exception):
    """A value breaks its rule.

    Args:
        problem: What is wrong and how to mend it; or a mapping of paths to that, where several members are wrong.
        at: Where, below the field: ``""`` is the field itself, ``[2]`` its third member.
    """

    def __init__(self, problem: str | dict[str, list[str]], at: str = "") -> None:
        self.problems = {at: [problem]} if isinstance(problem, str) else problem
        super().__init__(problem)


def quote(value: object) -> str:
    """Repeat a value of a field without personal data, shortened."""
    return shorten(repr(value))


def shorten(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def type_name(value: object) -> str:
    return "None" if value is None else type(value).__name__


class Rule:
    """What one field may hold.

    Args:
        none: What becomes of ``None``: :data:`NULL` or :data:`OMIT`; by default it is refused.
    """

    __slots__ = ("none",)

    def __init__(self, *, none: Unset | None = None) -> None:
        self.none = none

    def clean(self, value: Any) -> Any:
        """Return the value to keep. Never called with a ``None`` that is allowed.

        Raises:
            Violation: the value breaks the rule.
        """
        raise NotImplementedError

    def dump(self, value: Any) -> Any:
        """Return the kept value as JSON. Never called with ``None``."""
        return value

    @property
    def or_none(self) -> str:
        return "; use None where there is none" if self.none else ""


class Text(Rule):
    """Text that can be sent as UTF-8, kept as it is, white space around it included.

    Args:
        min_length: 1 where the contract wants something; white space alone is nothing.
        max_length: Characters at most, ``None`` where the contract sets no limit.
        none: See :class:`Rule`.
    """

    __slots__ = ("max_length", "min_length")

    def __init__(self, min_length: int = 0, max_length: int | None = None, *, none: Unset | None = None) -> None:
        super().__init__(none=none)
        self.min_length = min_length
        self.max_length = max_length

    def clean(self, value: Any) -> str:
        if type(value) is not str:
            value = self._plain(value)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise Violation(
                    f"Holds a lone surrogate at position {error.start}, which cannot be sent as UTF-8; "
                    "decode the text with its right encoding, or remove it."
                ) from None
        if "\0" in value:
            raise Violation(f"Holds a NUL character at position {value.index(chr(0))}; remove it.")
        if self.min_length and (not value or value.isspace()):
            raise Violation(f"May not be empty{self.or_none}.")
        if self.max_length is not None and len(value) > self.max_length:
            raise Violation(f"May have at most {self.max_length} characters, has {len(value)}; shorten it.")
        return value  # type: ignore[no-any-return]  # str by now

    def _plain(self, value: object) -> str:
        if isinstance(value, str):
            return str.__str__(value)  # a subclass may print itself differently, an enum's member for instance
        if value is None:
            raise Violation("May not be None; it is required." if self.min_length else "May not be None; use ''.")
        raise Violation(f"Must be text, not {type_name(value)}; write str(...).")


class Email(Text):
    """An e-mail address, or nothing (contract: ``format: email`` and ``minLength: 0``).

    Only what cannot be an address is refused: whether mail arrives there is not for us to say.
    """

    __slots__ = ()

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if text and not _EMAIL.fullmatch(text):
            raise Violation(
                "Must be an e-mail address: one @, something on both sides of it and no white space; "
                "use '' where there is none."
            )
        return text


class WebAddress(Text):
    """An absolute http or https address (contract: ``format: uri``)."""

    __slots__ = ()

    def __init__(self, *, none: Unset | None = None) -> None:
        super().__init__(1, none=none)

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if not _WEB_ADDRESS.fullmatch(text):
            raise Violation(f"Must be an absolute address such as 'https://shop.example/', got {quote(text)}.")
        return text


class Choice(Text):
    """One of a closed list of texts."""

    __slots__ = ("choices", "kind")

    def __init__(self, kind: str, choices: Iterable[str], *, none: Unset | None = None) -> None:
        super().__init__(1, none=none)
        self.kind = kind
        self.choices = frozenset(choices)

    def clean(self, value: Any) -> str:
        if type(value) is str and value in self.choices:
            return value
        text = super().clean(value)
        if text not in self.choices:
            raise Violation(f"{quote(text)} is not a {self.kind} of the contract; {self.cure(text)}{self.or_none}.")
        return text

    def cure(self, value: str) -> str:
        return f"use one of {', '.join(sorted(self.choices))}"


class Country(Choice):
    """A country code of the contract: ISO 3166-1 alpha-2 in upper case, and ``IC`` and ``XK``."""

    __slots__ = ()

    def __init__(self, *, none: Unset | None = None) -> None:
        super().__init__("country code", COUNTRIES, none=none)

    def cure(self, value: str) -> str:
        if code := suggest_country(value):
            return f"write {code!r}"
        return "use the two-letter code of ISO 3166-1 in upper case, such as 'NL'"


class CurrencyCode(Choice):
    """A currency of the contract."""

    __slots__ = ()

    def __init__(self, *, none: Unset | None = None) -> None:
        super().__init__("currency", [currency.value for currency in Currency], none=none)

    def cure(self, value: str) -> str:
        if value.upper() in self.choices:
            return f"write {value.upper()!r}"
        return f"convert the amounts to one of {', '.join(sorted(self.choices))}"


class Texts(Rule):
    """Any number of texts that are not empty, kept as a tuple."""

    __slots__ = ()

    def clean(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
            raise Violation(f"Must be a list of text, not {type_name(value)}.")
        members = []
        problems: dict[str, list[str]] = {}
        for index, member in enumerate(value):
            try:
                members.append(SOME_TEXT.clean(member))
            except Violation as violation:
                problems[f"[{index}]"] = violation.problems[""]
        if problems:
            raise Violation(problems)
        return tuple(members)

    def dump(self, value: tuple[str, ...]) -> list[str]:
        return list(value)


class Flag(Rule):
    """``True`` or ``False``."""

    __slots__ = ()

    def clean(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise Violation(f"Must be True or False, got {quote(value)}.")
        return value


class Integer(Rule):
    """A whole number. ``True`` and ``False`` are none."""

    __slots__ = ("minimum",)

    def __init__(self, minimum: int | None = None, *, none: Unset | None = None) -> None:
        super().__init__(none=none)
        self.minimum = minimum

    def clean(self, value: Any) -> int:
        if type(value) is not int:
            if not isinstance(value, int) or isinstance(value, bool):
                raise Violation(f"Must be a whole number (int), got {quote(value)}{self.or_none}.")
            value = int(value)
        if self.minimum is not None and value < self.minimum:
            raise Violation(f"Must be at least {self.minimum}, got {quote(value)}.")
        if value.bit_length() > 63:
            raise Violation("Must fit into 64 bits.")
        return value  # type: ignore[no-any-return]  # int by now


class ShipmentType(Integer):
    """One of :class:`~django_sendcloud.enums.CustomsShipmentType`."""

    __slots__ = ()

    def clean(self, value: Any) -> CustomsShipmentType:
        number = super().clean(value)
        try:
            return CustomsShipmentType(number)
        except ValueError:
            choices = ", ".join(f"{member.value} ({member.name.lower()})" for member in CustomsShipmentType)
            raise Violation(f"Must be one of {choices}, got {quote(number)}{self.or_none}.") from None

    def dump(self, value: IntEnum) -> int:
        return int(value)


class Number(Rule):
    """An exact number that is not negative, written as plain digits in a string.

    A float is refused, because it is not exact. Nothing is ever rounded here, because only the
    shop knows which way.

    Args:
        unit: The unit for the error messages, ``""`` for money.
        minimum: The smallest number allowed.
        max_decimals: Digits behind the point at most, zeros at the end not counted.
        max_length: Characters of the written number at most (contract: ``maxLength``).
        fixed: Always write ``max_decimals`` digits behind the point, as is usual for money.
        none: See :class:`Rule`.
    """

    __slots__ = ("_step", "fixed", "max_decimals", "max_length", "minimum", "unit")

    def __init__(
        self,
        unit: str = "",
        *,
        minimum: str = "0",
        max_decimals: int = _MAX_DIGITS,
        max_length: int | None = None,
        fixed: bool = False,
        none: Unset | None = None,
    ) -> None:
        super().__init__(none=none)
        self.unit = f" {unit}" if unit else ""
        self.minimum = Decimal(minimum)
        self.max_decimals = max_decimals
        self.max_length = max_length
        self.fixed = fixed
        # Numbers of a decimal field have exactly its digits behind the point, and that is quickly seen.
        self._step = Decimal(1).scaleb(-max_decimals)

    def clean(self, value: Any) -> Decimal:
        if not isinstance(value, Decimal):
            value = self._exact(value)
        if not value.is_finite():
            raise Violation(f"Must be a finite number, got {value}{self.or_none}.")
        if value < self.minimum:
            raise Violation(f"Must be at least {self.minimum}{self.unit}, got {shorten(str(value))}{self.or_none}.")
        if not value:
            return Decimal(0)  # whatever its sign and exponent
        if (
            not value.same_quantum(self._step)
            and -int(value.as_tuple().exponent) > self.max_decimals
            and _decimals(value) > self.max_decimals
        ):
            raise Violation(
                f"May have at most {self.max_decimals} digits behind the point, got {shorten(str(value))}; "
                f'round it the way the shop does, for instance with .quantize(Decimal("{self._step}")).'
            )
        if value.adjusted() > _MAX_DIGITS or (self.max_length is not None and len(_digits(value)) > self.max_length):
            limit = self.max_length or _MAX_DIGITS
            raise Violation(f"May have at most {limit} characters, got {shorten(str(value))}; round it or check it.")
        return value  # type: ignore[no-any-return]  # Decimal by now

    def dump(self, value: Decimal) -> str:
        text = _digits(value)
        if not self.fixed:
            return text
        whole, _, behind = text.partition(".")
        return f"{whole}.{behind.ljust(self.max_decimals, '0')}"

    def _exact(self, value: object) -> Decimal:
        if isinstance(value, int) and not isinstance(value, bool):
            return Decimal(value)
        if isinstance(value, float) and math.isfinite(value):
            raise Violation(f'A float is not exact; write Decimal("{value!r}").')
        if isinstance(value, str):
            raise Violation(f'Must be a Decimal, not text; write Decimal("{shorten(value)}").')
        raise Violation(f"Must be a Decimal, got {quote(value)}{self.or_none}.")


def _decimals(value: Decimal) -> int:
    """Count the digits behind the point, zeros at the end left out."""
    _, digits, exponent = value.as_tuple()
    decimals = -int(exponent)
    for digit in reversed(digits):
        if digit or decimals <= 0:
            break
        decimals -= 1
    return max(decimals, 0)


def _digits(value: Decimal) -> str:
    """Write a number with plain digits, the fewest that say it exactly."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


class Moment(Rule):
    """A point in time, written in UTC as ISO 8601: ``2026-03-01T09:30:00.000000Z``."""

    __slots__ = ()

    def clean(self, value: Any) -> dt.datetime:
        if not isinstance(value, dt.datetime):
            raise Violation(f"Must be a datetime, not {type_name(value)}{self.or_none}.")
        if value.tzinfo is dt.UTC:
            return value
        if value.utcoffset() is None:
            raise Violation(
                "Must know its time zone; use django.utils.timezone.make_aware(value), "
                "or datetime(..., tzinfo=datetime.UTC)."
            )
        try:
            self.dump(value)
        except OverflowError:
            raise Violation("Must lie within the years 1 to 9999 in UTC.") from None
        return value

    def dump(self, value: dt.datetime) -> str:
        if value.tzinfo is not dt.UTC:
            value = value.astimezone(dt.UTC)
        return f"{value.isoformat(timespec='microseconds')[:-6]}Z"


class Nested(Rule):
    """Another payload."""

    __slots__ = ("payload",)

    def __init__(self, payload: type[Payload], *, none: Unset | None = None) -> None:
        super().__init__(none=none)
        self.payload = payload

    def clean(self, value: Any) -> Any:
        if not isinstance(value, self.payload):
            raise Violation(f"Must be {self._article}, not {type_name(value)}{self.or_none}.")
        return value

    def dump(self, value: Any) -> Any:
        return value.to_json()

    @property
    def _article(self) -> str:
        return f"a {self.payload.__name__}"


class NestedList(Nested):
    """Any number of other payloads, kept as a tuple."""

    __slots__ = ()

    def clean(self, value: Any) -> Any:
        if type(value) not in (list, tuple) and (
            not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping)
        ):
            raise Violation(f"Must be a list of {self.payload.__name__}, not {type_name(value)}.")
        members = tuple(value)
        if strangers := [index for index, member in enumerate(members) if not isinstance(member, self.payload)]:
            raise Violation({f"[{i}]": [f"Must be {self._article}, not {type_name(members[i])}."] for i in strangers})
        return members

    def dump(self, value: Any) -> Any:
        return [member.to_json() for member in value]


class JSONObject(Rule):
    """A mapping of whatever JSON can hold, copied, so that changes to the original do no harm."""

    __slots__ = ()

    def clean(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Violation(f"Must be a mapping, not {type_name(value)}.")
        return _copy(value, "", 0) if value else {}

    def dump(self, value: Any) -> Any:
        return _copy(value, "", 0) if value else {}


class TextOrObject(JSONObject):
    """Text, or a mapping of whatever JSON can hold."""

    __slots__ = ()

    def clean(self, value: Any) -> Any:
        return ANY_TEXT.clean(value) if isinstance(value, str) else super().clean(value)

    def dump(self, value: Any) -> Any:
        return value if isinstance(value, str) else super().dump(value)


class Properties(JSONObject):
    """A flat mapping of text to text or ``None`` (contract: ``ParcelItems.properties``)."""

    __slots__ = ()

    def clean(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise Violation(f"Must be a mapping, not {type_name(value)}.")
        copy: dict[str, str | None] = {}
        for key, member in value.items():
            if not isinstance(key, str):
                raise Violation(f"Keys must be text, not {type_name(key)}; write str(...).")
            key = _copy_text(key, "")
            if member is not None and not isinstance(member, str):
                raise Violation(f"Must be text or None, not {type_name(member)}; write str(...).", f".{key}")
            copy[key] = None if member is None else _copy_text(member, f".{key}")
        return copy

    def dump(self, value: Any) -> Any:
        return dict(value)


def _copy(value: Any, path: str, depth: int) -> Any:
    """Copy what JSON can hold.

    Raises:
        Violation: it holds something else, or is nested too deep.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _copy_text(value, path)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Violation(f"Must be a finite number, got {value}.", path)
        return float(value)
    if depth > _MAX_DEPTH:
        raise Violation(f"May be nested at most {_MAX_DEPTH} deep.", shorten(path))
    if isinstance(value, Mapping):
        copy = {}
        for key, member in value.items():
            if not isinstance(key, str):
                raise Violation(f"Keys must be text, not {type_name(key)}.", path)
            copy[_copy_text(key, path)] = _copy(member, f"{path}.{key}", depth + 1)
        return copy
    if isinstance(value, list | tuple):
        return [_copy(member, f"{path}[{index}]", depth + 1) for index, member in enumerate(value)]
    raise Violation(f"JSON cannot hold {type_name(value)}; use text, numbers, lists and mappings.", path)


def _copy_text(value: str, path: str) -> str:
    try:
        return ANY_TEXT.clean(value)
    except Violation as violation:
        raise Violation(str(violation), path) from None


ANY_TEXT: Final = Text()
SOME_TEXT: Final = Text(1)
