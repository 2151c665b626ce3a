"""Rules of fields that hold other payloads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..violations import Errors, Param, Violation
from .base import Payload
from .rules import Rule, Unset, Violated, type_name, violated

__all__ = ["Nested", "NestedList"]


class Nested(Rule):
    """Another payload.

    Args:
        payload: Its class.
        none: See :class:`~django_sendcloud.payloads.rules.Rule`.
    """

    __slots__ = ("payload",)

    def __init__(self, payload: type[Payload], *, none: Unset | None = None) -> None:
        super().__init__(none=none)
        self.payload = payload

    def clean(self, value: Any) -> Any:
        if errors := self._errors_of(value, **self.or_none):
            raise Violated(errors)
        return value

    def _errors_of(self, value: object, **params: Param) -> Errors:
        if not isinstance(value, self.payload):
            params |= {"expected": self.payload.__name__, "type": type_name(value)}
            return {"": [Violation("not_a_payload", params)]}
        return {f".{path}": found for path, found in value.kept_errors.items()}

    def dump(self, value: Any) -> Any:
        return value.to_json()


class NestedList(Nested):
    """Any number of other payloads, kept as a tuple."""

    __slots__ = ()

    def clean(self, value: Any) -> Any:
        if type(value) not in (list, tuple) and (
            not isinstance(value, Iterable) or isinstance(value, str | bytes | Mapping)
        ):
            raise violated("not_a_list", expected=self.payload.__name__, type=type_name(value))
        members = tuple(value)
        errors: Errors = {}
        for index, member in enumerate(members):
            if isinstance(member, self.payload) and not member.kept_errors:
                continue
            errors |= {f"[{index}]{path}": found for path, found in self._errors_of(member).items()}
        if errors:
            raise Violated(errors)
        return members

    def dump(self, value: Any) -> Any:
        return [member.to_json() for member in value]
