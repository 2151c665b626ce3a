"""What all payloads share: they check themselves when they are made, and write themselves as JSON."""

from __future__ import annotations

import dataclasses
import operator
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, NamedTuple, Self, TypeAlias, get_type_hints

from ..exceptions import PayloadError
from .rules import JSON, NULL, JSONObject, Rule, Violation

__all__ = ["Extra", "Payload", "partial_json"]

#: Fields of the contract that are newer than this package. They cannot replace a field that is known.
Extra: TypeAlias = Annotated[Mapping[str, JSON], JSONObject()]


class Payload:
    """A frozen value with the contract's field names, valid from the moment it exists.

    Subclasses are frozen, slotted dataclasses whose annotations carry the rules of their fields.
    Making one checks every field and raises a single
    :class:`~django_sendcloud.exceptions.PayloadError` with all that is wrong.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        errors: dict[str, list[str]] = {}
        schema = schema_of(type(self))
        for (name, check, default, optional), value in zip(schema.fields, schema.values(self), strict=True):
            if value is default or (value is None and optional):
                continue
            try:
                clean = check(value)
            except Violation as violation:
                errors |= {f"{name}{path}": problems for path, problems in violation.problems.items()}
                continue
            if clean is not value:
                object.__setattr__(self, name, clean)
            if name == "extra" and clean:
                errors |= schema.shadowed(clean)
        if errors:
            raise PayloadError(errors, self._subject())

    def to_json(self) -> dict[str, Any]:
        """Return exactly the contract's JSON. Equal payloads give equal JSON."""
        schema = schema_of(type(self))
        body: dict[str, Any] = {}
        for (name, dump, null), value in zip(schema.writers, schema.values(self), strict=True):
            if value is not None:
                body[name] = value if dump is None else dump(value)
            elif null:
                body[name] = None
        if extra := body.pop("extra", None):
            body.update(extra)
        return body

    def __repr__(self) -> str:
        # For payloads that hold personal data (``repr=False``): a repr ends up in tracebacks and logs.
        subject = self._subject()
        return f"<{type(self).__name__}: {subject}>" if subject else f"<{type(self).__name__}>"

    def _subject(self) -> str:
        """Say which one this is, for an error, without personal data."""
        return ""

    def _with(self, name: str, value: object) -> Self:
        """Copy with one field replaced; only that one is checked, the others have been."""
        schema = schema_of(type(self))
        try:
            clean = schema.check(name)(value)
        except Violation as violation:
            errors = {f"{name}{path}": problems for path, problems in violation.problems.items()}
            raise PayloadError(errors, self._subject()) from None
        copy = object.__new__(type(self))
        for put, kept in zip(schema.setters, schema.values(self), strict=True):
            put(copy, kept)
        object.__setattr__(copy, name, clean)
        return copy


def partial_json(payload: type[Payload], values: Mapping[str, object]) -> dict[str, Any]:
    """Check and write only some fields of a payload, as a partial update wants them.

    Raises:
        PayloadError: a value breaks the rule of its field.
    """
    errors: dict[str, list[str]] = {}
    body: dict[str, Any] = {}
    schema = schema_of(payload)
    dumps = {name: dump for name, dump, _ in schema.writers}
    for name, value in values.items():
        try:
            clean = schema.check(name)(value)
        except Violation as violation:
            errors |= {f"{name}{path}": problems for path, problems in violation.problems.items()}
            continue
        dump = dumps[name]
        body[name] = clean if dump is None else dump(clean)
    if errors:
        raise PayloadError(errors)
    return body


class Schema(NamedTuple):
    """The fields of a payload in the contract's order, prepared once per class for speed.

    Attributes:
        names: The fields.
        values: Reads all of them from an instance.
        setters: Write each of them into a new instance, frozen as it is: the slots themselves, where it has slots.
        fields: Name, check, the default (which needs no check), and whether ``None`` is allowed.
        writers: Name, how it is written (``None``: as it is), and whether ``None`` becomes ``null``.
    """

    names: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]
    setters: tuple[Callable[[Any, Any], None], ...]
    fields: tuple[tuple[str, Callable[[Any], Any], Any, bool], ...]
    writers: tuple[tuple[str, Callable[[Any], Any] | None, bool], ...]

    def check(self, name: str) -> Callable[[Any], Any]:
        return self.fields[self.names.index(name)][1]

    def shadowed(self, extra: Mapping[str, JSON]) -> dict[str, list[str]]:
        return {
            f"extra.{name}": [f"Is a field we know; pass {name}=... itself."] for name in extra if name in self.names
        }


def schema_of(payload: type[Any]) -> Schema:
    """Return the fields of a payload class and their rules, read from its annotations once."""
    schema = _schemas.get(payload)
    return schema if schema is not None else _schemas.setdefault(payload, _read_schema(payload))


def _read_schema(payload: type[Any]) -> Schema:
    hints = get_type_hints(payload, include_extras=True)
    fields = []
    writers = []
    for field in dataclasses.fields(payload):
        rule = next(rule for rule in hints[field.name].__metadata__ if isinstance(rule, Rule))
        fields.append((field.name, rule.clean, field.default, rule.none is not None))
        writers.append((field.name, None if type(rule).dump is Rule.dump else rule.dump, rule.none is NULL))
    names = tuple(name for name, *_ in fields)
    setters = tuple(_setter(payload, name) for name in names)
    return Schema(names, operator.attrgetter(*names), setters, tuple(fields), tuple(writers))


def _setter(payload: type[Any], name: str) -> Callable[[Any, Any], None]:
    slot = getattr(payload, name, None)
    if isinstance(slot, types.MemberDescriptorType):
        return slot.__set__
    # A shop's own subclass, which need not have slots.
    return lambda copy, value: object.__setattr__(copy, name, value)


_schemas: dict[type[Any], Schema] = {}
