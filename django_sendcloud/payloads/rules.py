"""The rules of fields: the values a field may hold, and the JSON it is written as.

A payload declares its rules in its annotations, ``city: Annotated[str, Text(1)]``. A rule does two
things: ``clean`` returns the value to keep or raises :class:`Violated`, ``dump`` turns the kept
value into JSON. A violation is a code with parameters; the parameters repeat the offending value
only where the field holds no personal data.
"""

from __future__ import annotations

import datetime as dt
import decimal
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ..enums import Currency, CustomsShipmentType
from ..violations import Errors, Param, Violation
from .countries import COUNTRIES, suggest_country

if TYPE_CHECKING:
    JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
else:
    JSON = Any  # a recursive alias cannot be resolved by get_type_hints

__all__ = [
    "JSON",
    "NULL",
    "OMIT",
    "Amount",
    "Choice",
    "Country",
    "CurrencyCode",
    "Day",
    "Email",
    "Flag",
    "HSCode",
    "Identifier",
    "Integer",
    "JSONObject",
    "Moment",
    "Number",
    "OtherCurrency",
    "Properties",
    "Quantity",
    "Rule",
    "ShipmentType",
    "Text",
    "TextOrObject",
    "Texts",
    "Violated",
    "WebAddress",
]

#: The deepest nesting of a mapping of the caller's. More than the contract needs; it ends cycles too.
_MAX_DEPTH: Final = 32

#: Digits before or behind the point that a number without a limit of its own may have.
_MAX_DIGITS: Final = 40

#: Arithmetic without rounding: enough digits for any number a payload can hold.
EXACT: Final = decimal.Context(prec=200)

_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_WEB_ADDRESS: Final = re.compile(r"https?://[A-Za-z0-9\[][!-;=?-~]*", re.IGNORECASE)
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
# Also what a copy from a web page brings along: dashes, and characters without width.
_HS_PUNCTUATION: Final = re.compile(r"[.\s\u00a0\u00ad\u200b-\u200f\u2010-\u2015\u2060\ufeff-]+")


class Unset(Enum):
    """The fate of a field that is ``None``."""

    NULL = "written as null"
    OMIT = "left out"


NULL: Final = Unset.NULL
OMIT: Final = Unset.OMIT


class Violated(Exception):
    """A value breaks its rule.

    Args:
        errors: Path below the field to the violations: ``""`` is the field itself, ``[2]`` its third member.
    """

    def __init__(self, errors: Errors) -> None:
        self.errors = errors
        super().__init__(errors)


def violated(code: str, at: str = "", /, **params: Param) -> Violated:
    """Return the exception for one violated rule, at a path below the field."""
    return Violated({at: [Violation(code, params)]})


def quote(value: object) -> str:
    """Return a value of the wrong type as its repr, shortened. Only for fields without personal data."""
    return shorten(repr(value))


def shorten(text: str) -> str:
    """Return at most 60 characters of a text, without characters that some database cannot store."""
    text = text if len(text) <= 60 else f"{text[:57]}..."
    return text if text.isprintable() else text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def type_name(value: object) -> str:
    return "None" if value is None else type(value).__name__


class Rule:
    """The rule of one field.

    Args:
        none: The fate of ``None``: :data:`NULL` or :data:`OMIT`; by default it is rejected.
    """

    __slots__ = ("none",)

    def __init__(self, *, none: Unset | None = None) -> None:
        self.none = none

    def clean(self, value: Any) -> Any:
        """Return the value to keep. Never called with a ``None`` that is allowed.

        Raises:
            Violated: the value breaks the rule.
        """
        raise NotImplementedError

    def dump(self, value: Any) -> Any:
        """Return the kept value as JSON. Never called with ``None``."""
        return value

    @property
    def or_none(self) -> dict[str, Param]:
        """Return the parameter that adds "use None where there is none" to a violation's text."""
        return {"optional": True} if self.none else {}


class Text(Rule):
    """Text that can be sent as UTF-8, kept as it is, white space around it included.

    Args:
        min_length: 1 where the contract wants some text; white space alone counts as none.
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
                raise violated("surrogate", position=error.start) from None
        if "\0" in value:
            raise violated("nul_character", position=value.index("\0"))
        if self.min_length and (not value or value.isspace()):
            raise violated("required", **self.or_none)
        if self.max_length is not None and len(value) > self.max_length:
            raise violated("too_long", limit=self.max_length, length=len(value))
        return value  # type: ignore[no-any-return]  # str by now

    def _plain(self, value: object) -> str:
        if isinstance(value, str):
            return str.__str__(value)  # a subclass may print itself differently, an enum's member for instance
        if value is None:
            raise violated("null" if self.min_length else "text_null")
        raise violated("not_text", type=type_name(value))


class Identifier(Text):
    """An id or a number: text without white space around it.

    White space around it is taken off, because Sendcloud takes it off, too: its answer would
    name another id than the one that was sent. A fixed-width column pads ids with blanks.
    """

    __slots__ = ()

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        return text.strip() if text and (text[0].isspace() or text[-1].isspace()) else text


class HSCode(Text):
    """A Harmonised System code, written without dots, hyphens and spaces.

    They only group its digits: ``6109.10.00.10`` and ``6109100010`` are the same goods. A code is
    never shortened, because each digit narrows the goods down.
    """

    __slots__ = ()

    def __init__(self, *, none: Unset | None = None) -> None:
        super().__init__(none=none)
        self.max_length = 12

    def clean(self, value: Any) -> str:
        if isinstance(value, str):
            value = _HS_PUNCTUATION.sub("", str.__str__(value))
            if len(value) > 12:
                raise violated("hs_code_too_long", value=shorten(value), length=len(value), limit=12)
        return super().clean(value)


class Email(Text):
    """An e-mail address, or nothing (contract: ``format: email`` and ``minLength: 0``).

    Only text that cannot be an address is rejected: whether mail arrives there is not checked.
    """

    __slots__ = ()

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if text and not _EMAIL.fullmatch(text):
            raise violated("email")
        return text


class WebAddress(Text):
    """An absolute http or https address (contract: ``format: uri``)."""

    __slots__ = ()

    def __init__(self, *, none: Unset | None = None) -> None:
        super().__init__(1, none=none)

    def clean(self, value: Any) -> str:
        text = super().clean(value)
        if not _WEB_ADDRESS.fullmatch(text):
            raise violated("web_address", value=shorten(text), **self.or_none)
        return text


class Choice(Text):
    """One of a closed list of texts.

    Args:
        kind: The English name of the list, for messages.
        choices: The texts.
        none: See :class:`Rule`.
    """

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
            raise self.rejection(text)
        return text

    def rejection(self, value: str) -> Violated:
        """Return the violation for a text that is none of the choices."""
        choices = sorted(self.choices)
        return violated("not_a_choice", value=shorten(value), kind=self.kind, choices=choices, **self.or_none)


class Country(Choice):
    """A country code of the contract: ISO 3166-1 alpha-2 in upper case, and ``IC`` and ``XK``."""

    __slots__ = ()

    def __init__(self, *, none: Unset | None = None) -> None:
        super().__init__("country code", COUNTRIES, none=none)

    def rejection(self, value: str) -> Violated:
        if code := suggest_country(value):
            return violated("country_misspelt", value=shorten(value), suggestion=code, **self.or_none)
        return violated("country_unknown", value=shorten(value), **self.or_none)


class OtherCurrency(str):
    """An ISO 4217 code beyond the contract's three, chosen explicitly: ``currency=OtherCurrency("SEK")``.

    API v3 can carry it where the setting ``ANY_CURRENCY`` says that the account takes it; without the setting, and by
    API v2, the order is rejected. Its amounts are never sent without their currency.

    Raises:
        ValueError: it is not three capital letters.
    """

    __slots__ = ()

    def __new__(cls, code: str) -> OtherCurrency:
        if not isinstance(code, str) or not _CURRENCY.fullmatch(code):
            raise ValueError(f"An ISO 4217 code has three capital letters, got {code!r}.")
        return super().__new__(cls, code)


def not_carried(currency: OtherCurrency, api: str) -> Violation:
    """Return the violation for a currency that an API generation does not carry."""
    choices = sorted(known.value for known in Currency)
    return Violation("currency_not_carried", {"value": str(currency), "api": api, "choices": choices})


class CurrencyCode(Choice):
    """A currency of the contract, or an :class:`OtherCurrency` that the caller answers for."""

    __slots__ = ()

    def __init__(self, *, none: Unset | None = None) -> None:
        super().__init__("currency", [currency.value for currency in Currency], none=none)

    def clean(self, value: Any) -> str:
        if isinstance(value, OtherCurrency):
            return value if value not in self.choices else str.__str__(value)
        return super().clean(value)

    def rejection(self, value: str) -> Violated:
        if (code := value.strip().upper()) in self.choices:
            return violated("currency_misspelt", value=shorten(value), suggestion=code)
        if not _CURRENCY.fullmatch(code):
            # Another advice would not do: OtherCurrency() takes codes only, and None leaves the amounts without one.
            return violated("not_a_choice", value=shorten(value), kind=self.kind, choices=sorted(self.choices))
        return violated("currency_not_accepted", value=code, choices=sorted(self.choices))


class Texts(Rule):
    """Any number of texts that are not empty, kept as a tuple."""

    __slots__ = ()

    def clean(self, value: Any) -> tuple[str, ...]:
        if not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping):
            raise violated("not_a_list", expected="text", type=type_name(value))
        members = []
        errors: Errors = {}
        for index, member in enumerate(value):
            try:
                members.append(SOME_TEXT.clean(member))
            except Violated as problem:
                errors[f"[{index}]"] = problem.errors[""]
        if errors:
            raise Violated(errors)
        return tuple(members)

    def dump(self, value: tuple[str, ...]) -> list[str]:
        return list(value)


class Flag(Rule):
    """``True`` or ``False``."""

    __slots__ = ()

    def clean(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise violated("not_boolean", value=quote(value))
        return value


class Integer(Rule):
    """A whole number, also as a Decimal without a fraction. ``True`` and ``False`` are none.

    Args:
        minimum: The smallest number allowed, ``None`` for no limit.
        none: See :class:`Rule`.
    """

    __slots__ = ("minimum",)

    def __init__(self, minimum: int | None = None, *, none: Unset | None = None) -> None:
        super().__init__(none=none)
        self.minimum = minimum

    def clean(self, value: Any) -> int:
        if type(value) is not int:
            value = self._whole(value)
        if self.minimum is not None and value < self.minimum:
            raise self._too_small(value)
        if value.bit_length() > 63:
            raise violated("integer_too_large")
        return value  # type: ignore[no-any-return]  # int by now

    def _whole(self, value: object) -> int:
        if isinstance(value, Decimal):
            if value.is_finite() and value.adjusted() <= _MAX_DIGITS and value == value.to_integral_value():
                return int(value)
            raise self._fraction(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise violated("not_whole", value=quote(value), **self.or_none)
        return int(value)

    def _fraction(self, value: Decimal) -> Violated:
        return violated("not_whole", value=shorten(str(value)), **self.or_none)

    def _too_small(self, value: int) -> Violated:
        return violated("too_small", limit=str(self.minimum), value=quote(value))


class Quantity(Integer):
    """A number of pieces, 1 at least."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(minimum=1)

    def _whole(self, value: object) -> int:
        if isinstance(value, float) and math.isfinite(value) and not value.is_integer():
            raise violated("quantity_fraction", value=quote(value))
        return super()._whole(value)

    def _fraction(self, value: Decimal) -> Violated:
        return violated("quantity_fraction", value=shorten(str(value)))

    def _too_small(self, value: int) -> Violated:
        return violated("quantity_too_small", limit="1", value=quote(value))


class ShipmentType(Integer):
    """One of :class:`~django_sendcloud.enums.CustomsShipmentType`."""

    __slots__ = ()

    def clean(self, value: Any) -> CustomsShipmentType:
        number = super().clean(value)
        try:
            return CustomsShipmentType(number)
        except ValueError:
            choices = [f"{member.value} ({member.name.lower()})" for member in CustomsShipmentType]
            kind = "customs shipment type"
            raise violated("not_a_choice", value=str(number), kind=kind, choices=choices, **self.or_none) from None

    def dump(self, value: IntEnum) -> int:
        return int(value)


class Number(Rule):
    """An exact number that is not negative, written as plain digits in a string.

    A float is rejected, because it is not exact. Nothing is ever rounded here, because only the
    shop knows the direction.

    Args:
        unit: The unit for messages, ``""`` for money.
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
        # A number of a decimal field has exactly its digits behind the point, and that is quickly seen.
        self._step = Decimal(1).scaleb(-max_decimals)

    def clean(self, value: Any) -> Decimal:
        if not isinstance(value, Decimal):
            value = self._exact(value)
        if not value.is_finite():
            raise violated("not_finite", value=str(value), **self.or_none)
        if value < self.minimum:
            raise self._too_small(value)
        if not value:
            return Decimal(0)  # without sign and exponent
        if (
            not value.same_quantum(self._step)
            and -int(value.as_tuple().exponent) > self.max_decimals
            and _decimals(value) > self.max_decimals
        ):
            raise violated(
                "too_many_decimals", limit=self.max_decimals, value=shorten(str(value)), step=str(self._step)
            )
        if value.adjusted() > _MAX_DIGITS or (self.max_length is not None and len(_digits(value)) > self.max_length):
            raise violated("too_many_digits", limit=self.max_length or _MAX_DIGITS, value=shorten(str(value)))
        return value  # type: ignore[no-any-return]  # Decimal by now

    def dump(self, value: Decimal) -> str:
        text = _digits(value)
        if not self.fixed:
            return text
        whole, _, behind = text.partition(".")
        return f"{whole}.{behind.ljust(self.max_decimals, '0')}"

    def _too_small(self, value: Decimal) -> Violated:
        return violated("too_small", limit=f"{self.minimum}{self.unit}", value=shorten(str(value)), **self.or_none)

    def _exact(self, value: object) -> Decimal:
        if isinstance(value, int) and not isinstance(value, bool):
            return Decimal(value)
        if isinstance(value, float) and math.isfinite(value):
            raise violated("decimal_as_float", value=repr(value))
        if isinstance(value, str):
            raise violated("decimal_as_text", value=shorten(value))
        raise violated("not_decimal", value=quote(value), **self.or_none)


class Amount(Number):
    """Money in major units, two decimals at most.

    Args:
        of_line: The amount of an order's line. A negative one is a discount, and its message names the helper.
        none: See :class:`Rule`.
    """

    __slots__ = ("of_line",)

    def __init__(self, *, of_line: bool = False, none: Unset | None = None) -> None:
        super().__init__(max_decimals=2, fixed=True, none=none)
        self.of_line = of_line

    def _too_small(self, value: Decimal) -> Violated:
        if not self.of_line:
            return super()._too_small(value)
        return violated("negative_amount", value=shorten(str(value)), discount=shorten(str(-value)))


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
            raise violated("not_datetime", type=type_name(value), **self.or_none)
        if value.tzinfo is dt.UTC:
            return value
        if value.utcoffset() is None:
            raise violated("naive_time")
        try:
            self.dump(value)
        except OverflowError:
            raise violated("time_out_of_range") from None
        return value

    def dump(self, value: dt.datetime) -> str:
        if value.tzinfo is not dt.UTC:
            value = value.astimezone(dt.UTC)
        return f"{value.isoformat(timespec='microseconds')[:-6]}Z"


class Day(Rule):
    """A day without a time, written as ISO 8601: ``2026-03-01``."""

    __slots__ = ()

    def clean(self, value: Any) -> dt.date:
        if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
            raise violated("not_date", type=type_name(value), **self.or_none)
        return value

    def dump(self, value: dt.date) -> str:
        return value.isoformat()


class JSONObject(Rule):
    """A mapping of values that JSON can hold, copied, so that changes to the original do no harm."""

    __slots__ = ()

    def clean(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise violated("not_a_mapping", type=type_name(value))
        return _copy(value, "", 0) if value else {}

    def dump(self, value: Any) -> Any:
        return _copy(value, "", 0) if value else {}


class TextOrObject(JSONObject):
    """Text, or a mapping of values that JSON can hold."""

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
            raise violated("not_a_mapping", type=type_name(value))
        copy: dict[str, str | None] = {}
        for key, member in value.items():
            if not isinstance(key, str):
                raise violated("key_not_text", type=type_name(key))
            key = _copy_text(key, "")
            if member is not None and not isinstance(member, str):
                raise violated("not_text_or_none", f".{key}", type=type_name(member))
            copy[key] = None if member is None else _copy_text(member, f".{key}")
        return copy

    def dump(self, value: Any) -> Any:
        return dict(value)


def _copy(value: Any, path: str, depth: int) -> Any:
    """Copy a value that JSON can hold.

    Raises:
        Violated: it holds something else, or is nested too deep.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _copy_text(value, path)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise violated("not_finite", path, value=str(value))
        return float(value)
    if depth > _MAX_DEPTH:
        raise violated("too_deep", shorten(path), limit=_MAX_DEPTH)
    if isinstance(value, Mapping):
        copy = {}
        for key, member in value.items():
            if not isinstance(key, str):
                raise violated("key_not_text", path, type=type_name(key))
            copy[_copy_text(key, path)] = _copy(member, f"{path}.{key}", depth + 1)
        return copy
    if isinstance(value, list | tuple):
        return [_copy(member, f"{path}[{index}]", depth + 1) for index, member in enumerate(value)]
    raise violated("not_json", path, type=type_name(value))


def _copy_text(value: str, path: str) -> str:
    try:
        return ANY_TEXT.clean(value)
    except Violated as problem:
        raise Violated({path: problem.errors[""]}) from None


ANY_TEXT: Final = Text()
SOME_TEXT: Final = Text(1)
