"""Readers that turn Sendcloud's JSON into typed, frozen values, shared by both API generations.

Reading is lenient where writing is strict: unknown fields stay in ``raw``, unknown values of a closed list stay
text, and a field that cannot be read is ``None`` (or empty) while ``raw`` still has it. Only an answer of another
shape altogether, without what identifies the thing, is an :class:`~django_sendcloud.exceptions.InvalidResponse`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Self, TypeAlias, TypeVar, get_type_hints

from ..exceptions import InvalidResponse

__all__ = [
    "Cancellation",
    "DeleteResult",
    "Flag",
    "Id",
    "OptionalDecimal",
    "OptionalFlag",
    "OptionalMapping",
    "OptionalMoment",
    "OptionalNumber",
    "OptionalText",
    "Result",
    "Text",
    "Texts",
    "echo_of",
    "nested",
    "nested_list",
    "read_decimal",
    "read_mapping",
    "read_moment",
    "read_number",
    "read_text",
]


def read_text(value: Any) -> str:
    """Return a scalar as text, ``""`` for null and for anything nested."""
    return value if isinstance(value, str) else "" if value is None or isinstance(value, dict | list) else str(value)


def read_text_or_none(value: Any) -> str | None:
    """Return a scalar as text, ``None`` where it is empty."""
    return read_text(value) or None


def read_number(value: Any) -> int | None:
    """Return a whole number, also one written as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return int(value) if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20 else None


def read_flag(value: Any) -> bool:
    """Return whether the value is JSON's ``true``."""
    return value is True


def read_optional_flag(value: Any) -> bool | None:
    """Return a JSON boolean, ``None`` for anything else."""
    return value if isinstance(value, bool) else None


def read_decimal(value: Any) -> Decimal | None:
    """Return a finite number, written as number or as text, exactly as it was written."""
    try:
        number = Decimal(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except InvalidOperation:
        return None
    return number if number is not None and number.is_finite() else None


def read_moment(value: Any) -> dt.datetime | None:
    """Return a time that knows its zone; one without a zone is UTC."""
    try:
        moment = dt.datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def read_mapping(value: Any) -> Mapping[str, Any] | None:
    """Return a JSON object, ``None`` for anything else."""
    return value if isinstance(value, dict) else None


def read_texts(value: Any) -> tuple[str, ...]:
    """Return the texts of a list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def read_id(value: Any) -> int:
    """Return Sendcloud's id, a number or its text.

    Raises:
        ValueError: it is neither.
    """
    number = read_number(value)
    if number is None:
        raise ValueError("without an id")
    return number


Text: TypeAlias = Annotated[str, read_text]
OptionalText: TypeAlias = Annotated[str | None, read_text_or_none]
OptionalNumber: TypeAlias = Annotated[int | None, read_number]
OptionalDecimal: TypeAlias = Annotated[Decimal | None, read_decimal]
OptionalMoment: TypeAlias = Annotated[dt.datetime | None, read_moment]
OptionalMapping: TypeAlias = Annotated[Mapping[str, Any] | None, read_mapping]
OptionalFlag: TypeAlias = Annotated[bool | None, read_optional_flag]
Flag: TypeAlias = Annotated[bool, read_flag]
Texts: TypeAlias = Annotated[tuple[str, ...], read_texts]
Id: TypeAlias = Annotated[int, read_id]


def _readers(result: type[Any]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Return the fields of a result and how each is read, found in its annotations once."""
    if result not in _found:
        hints = get_type_hints(result, include_extras=True)
        names = [item.name for item in dataclasses.fields(result) if item.name != "raw"]
        _found[result] = tuple((name, hints[name].__metadata__[0]) for name in names)
    return _found[result]


_found: dict[type[Any], tuple[tuple[str, Callable[[Any], Any]], ...]] = {}


class Result:
    """One object of an answer."""

    __slots__ = ()

    @classmethod
    def from_api(cls, raw: Any) -> Self:
        """Read a JSON object.

        Raises:
            InvalidResponse: it is no object, or lacks what identifies the thing.
        """
        if not isinstance(raw, dict):
            raise InvalidResponse(f"an answer that holds {type(raw).__name__} where an object is due")
        try:
            values: dict[str, Any] = {name: read(raw.get(name)) for name, read in _readers(cls)}
        except ValueError as error:
            raise InvalidResponse(f"an answer that holds a {cls.__name__} {error}") from None
        return cls(**values, raw=raw)  # type: ignore[call-arg]  # every subclass has it


R = TypeVar("R", bound=Result)


def echo_of(result: type[R], sent: Mapping[str, Any]) -> Callable[[Any], R]:
    """Return a reader of an answer that repeats what was sent, or a part of it, or names the thing by its id.

    Another object, such as an error that comes with a success, confirms nothing.
    """

    def read(raw: Any) -> R:
        found = result.from_api(raw)
        if sent and not {*sent, "id"} & raw.keys():
            raise InvalidResponse("an answer that confirms nothing of what was sent")
        return found

    return read


def nested(result: type[R]) -> Callable[[Any], R | None]:
    """Return a reader of one nested object, ``None`` where there is none."""
    return lambda value: result.from_api(value) if isinstance(value, dict) else None


def nested_list(result: type[R]) -> Callable[[Any], tuple[R, ...]]:
    """Return a reader of a list of nested objects."""
    return lambda value: (
        tuple(result.from_api(item) for item in value if isinstance(item, dict)) if isinstance(value, list) else ()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResult:
    """Outcome of a deletion.

    Attributes:
        found: Whether there was something to delete. Either way it is not there now.
    """

    found: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """Outcome of the cancellation of a label.

    Attributes:
        queued: Sendcloud watches the parcel and decides later, within 14 days. ``False``: it is cancelled.
        message: Sendcloud's words.
    """

    queued: bool
    message: str
