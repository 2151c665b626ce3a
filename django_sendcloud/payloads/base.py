"""The base of all payloads: frozen values that check themselves and write themselves as JSON."""

from __future__ import annotations

import dataclasses
import operator
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Annotated, Any, ClassVar, NamedTuple, Self, TypeAlias, TypeVar, get_type_hints

from ..exceptions import PayloadError
from ..violations import Errors, Param, Violation
from .rules import JSON, NULL, JSONObject, Rule, Violated

__all__ = ["V3_ONLY", "Extra", "Payload", "collect", "partial_json"]

_Built = TypeVar("_Built")

#: Fields of the contract that are newer than this package. They cannot replace a field that is known.
Extra: TypeAlias = Annotated[Mapping[str, JSON], JSONObject()]


class _Generation:
    """A mark in a field's annotation: only API v3 has the field."""


V3_ONLY = _Generation()

_NO_ERRORS: Errors = {}
_keeping: ContextVar[bool] = ContextVar("keeping", default=False)


class Payload:
    """A frozen value with the contract's field names, valid from the moment it exists.

    Subclasses are frozen, slotted dataclasses whose annotations carry the rules of their fields.
    Making one checks every field and raises a single
    :class:`~django_sendcloud.exceptions.PayloadError` with all violations.
    """

    __slots__ = ("_kept_errors",)

    #: Inside :func:`collect`, an invalid value of this class keeps its errors for the payload that holds it.
    is_part: ClassVar[bool] = True

    def __post_init__(self) -> None:
        errors: Errors = {}
        schema = schema_of(type(self))
        values = schema.values(self)
        known = len(schema.writers)
        if all(map(operator.is_, values[known:], schema.v3_defaults)):
            # Most payloads have none of v3's own fields.
            values = values[:known]
        for (name, check, default, optional), value in zip(schema.fields, values, strict=False):
            if value is default or (value is None and optional):
                continue
            try:
                clean = check(value)
            except Violated as problem:
                errors |= {f"{name}{path}": violations for path, violations in problem.errors.items()}
                continue
            if clean is not value:
                object.__setattr__(self, name, clean)
            if name == "extra" and clean:
                errors |= schema.shadowed(clean)
        self._check_together(errors)
        if errors:
            self._reject(errors)

    def _check_together(self, errors: Errors) -> None:
        """Add violations of rules that concern several fields, or put a better one in the place of another."""

    def _reject(self, errors: Errors) -> None:
        line = self.line
        if line:
            errors = {path: [one.with_params(line) for one in found] for path, found in errors.items()}
        if self.is_part and _keeping.get():
            object.__setattr__(self, "_kept_errors", errors)
        else:
            raise PayloadError(errors, self.subject)

    @property
    def kept_errors(self) -> Errors:
        """The errors that wait for the payload this one belongs to; see :func:`collect`."""
        errors: Errors = getattr(self, "_kept_errors", _NO_ERRORS)
        return errors

    @property
    def line(self) -> dict[str, Param]:
        """The parameters that name the order's line this is, for its violations; empty elsewhere."""
        return {}

    def to_json(self) -> dict[str, Any]:
        """Return exactly the JSON of API v2's contract. Equal payloads give equal JSON."""
        schema = schema_of(type(self))
        body: dict[str, Any] = {}
        if self.kept_errors:
            raise PayloadError(self.kept_errors, self.subject)
        for (name, dump, null), value in zip(schema.writers, schema.values(self), strict=False):
            if value is not None:
                body[name] = value if dump is None else dump(value)
            elif null:
                body[name] = None
        if extra := body.pop("extra", None):
            body.update(extra)
        return body

    def v3_json(self) -> dict[str, Any]:
        """Return the fields that only API v3 has and that are set, for a fingerprint."""
        schema = schema_of(type(self))
        values = schema.values(self)[len(schema.writers) :]
        return {
            name: value if dump is None else dump(value)
            for (name, dump), value in zip(schema.only_v3.items(), values, strict=True)
            if value is not None
        }

    def __repr__(self) -> str:
        # For payloads that hold personal data (``repr=False``): a repr ends up in tracebacks and logs.
        subject = self.subject
        return f"<{type(self).__name__}: {subject}>" if subject else f"<{type(self).__name__}>"

    @property
    def subject(self) -> str:
        """The name of this payload in an error, without personal data."""
        return ""

    def _with(self, name: str, value: object) -> Self:
        """Copy with one field replaced. Only that one is checked, because the others have been."""
        schema = schema_of(type(self))
        try:
            clean = schema.check(name)(value)
        except Violated as problem:
            errors = {f"{name}{path}": violations for path, violations in problem.errors.items()}
            raise PayloadError(errors, self.subject) from None
        copy = object.__new__(type(self))
        for put, kept in zip(schema.setters, schema.values(self), strict=True):
            put(copy, kept)
        object.__setattr__(copy, name, clean)
        return copy


def collect(build: Callable[[], _Built]) -> _Built:
    """Build payloads, and on an error name all that is wrong with them, with the line and the place of each part.

    A part of an order, such as a :class:`ParcelItem`, raises as soon as it is made, before its order exists: the error
    knows neither the line's number nor the other lines. So after an error everything is built once more, and each
    invalid part keeps its errors until the order raises them together.

    Args:
        build: Makes the payloads and returns them. Called a second time after a :class:`PayloadError`.

    Raises:
        PayloadError: a payload breaks the contract.
    """
    try:
        return build()
    except PayloadError as first:
        keeping = _keeping.set(True)
        try:
            build()
        except PayloadError as complete:
            raise complete from None
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            # The caller reckons with a value that is invalid.
            raise first from None
        finally:
            _keeping.reset(keeping)
        raise


def partial_json(payload: type[Payload], values: Mapping[str, object]) -> dict[str, Any]:
    """Check and write only some fields of a payload, as a partial update wants them.

    Raises:
        PayloadError: a value breaks the rule of its field.
    """
    errors: Errors = {}
    body: dict[str, Any] = {}
    schema = schema_of(payload)
    dumps = {name: dump for name, dump, _ in schema.writers}
    nullable = {name for name, _, null in schema.writers if null}
    for name, value in values.items():
        if value is None and name in nullable:
            body[name] = None
            continue
        try:
            clean = schema.check(name)(value)
        except Violated as problem:
            errors |= {f"{name}{path}": violations for path, violations in problem.errors.items()}
            continue
        dump = dumps[name]
        body[name] = clean if dump is None else dump(clean)
    if errors:
        raise PayloadError(errors)
    return body


class Schema(NamedTuple):
    """The fields of a payload, prepared once per class for speed: those of API v2 in its order, then v3's own.

    Attributes:
        names: The fields.
        values: Reads all of them from an instance.
        setters: Write each of them into a new instance, frozen as it is: the slots themselves, where it has slots.
        fields: Name, check, the default (which needs no check), and whether ``None`` is allowed.
        writers: For the fields of API v2: name, its dump (``None``: as it is), and whether ``None`` becomes ``null``.
        only_v3: The fields that only API v3 has, with their dumps.
        v3_defaults: Their defaults, which need no check.
    """

    names: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]
    setters: tuple[Callable[[Any, Any], None], ...]
    fields: tuple[tuple[str, Callable[[Any], Any], Any, bool], ...]
    writers: tuple[tuple[str, Callable[[Any], Any] | None, bool], ...]
    only_v3: Mapping[str, Callable[[Any], Any] | None]
    v3_defaults: tuple[Any, ...]

    def check(self, name: str) -> Callable[[Any], Any]:
        return self.fields[self.names.index(name)][1]

    def shadowed(self, extra: Mapping[str, JSON]) -> Errors:
        return {
            f"extra.{name}": [Violation("known_field", {"field": name})]
            for name in extra
            if name in self.names and name not in self.only_v3
        }


def schema_of(payload: type[Any]) -> Schema:
    """Return the fields of a payload class and their rules, read from its annotations once."""
    schema = _schemas.get(payload)
    return schema if schema is not None else _schemas.setdefault(payload, _read_schema(payload))


def _read_schema(payload: type[Any]) -> Schema:
    hints = get_type_hints(payload, include_extras=True)
    fields = []
    writers = []
    only_v3 = {}
    for field in sorted(dataclasses.fields(payload), key=lambda field: V3_ONLY in hints[field.name].__metadata__):
        metadata = hints[field.name].__metadata__
        rule = next(rule for rule in metadata if isinstance(rule, Rule))
        fields.append((field.name, rule.clean, field.default, rule.none is not None))
        dump = None if type(rule).dump is Rule.dump else rule.dump
        if V3_ONLY in metadata:
            only_v3[field.name] = dump
        else:
            writers.append((field.name, dump, rule.none is NULL))
    names = tuple(name for name, *_ in fields)
    setters = tuple(_setter(payload, name) for name in names)
    v3_defaults = tuple(default for _, _, default, _ in fields[len(writers) :])
    return Schema(names, operator.attrgetter(*names), setters, tuple(fields), tuple(writers), only_v3, v3_defaults)


def _setter(payload: type[Any], name: str) -> Callable[[Any, Any], None]:
    slot = getattr(payload, name, None)
    if isinstance(slot, types.MemberDescriptorType):
        return slot.__set__
    # A shop's own subclass, which need not have slots.
    return lambda copy, value: object.__setattr__(copy, name, value)


_schemas: dict[type[Any], Schema] = {}
