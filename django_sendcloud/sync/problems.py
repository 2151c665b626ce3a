"""The reason why an order cannot be pushed now, and the cause that it shares with other orders."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

from ..models.fields import storable
from ..violations import errors_to_json, first_field

__all__ = ["CAUSE", "UNASSIGNED", "Cause", "Problem", "columns_of"]

#: Problems of orders that no integration takes. They count no failure.
UNASSIGNED = ("no_integration", "integration_unknown", "adapter_missing")

#: Columns of an outbox entry that hold its cause.
CAUSE = ("error_code", "error_field", "error_rule")


class Cause(NamedTuple):
    """A problem of orders that have the same fix.

    Args:
        code: Code of the problem.
        field: Contract path of the first field, without positions; ``""`` if no field is to blame.
        rule: Code of the violated rule.
    """

    code: str
    field: str = ""
    rule: str = ""

    @property
    def key(self) -> str:
        """The cause as filters, links and buttons name it."""
        return ":".join(self) if self.field else self.code

    @classmethod
    def of_key(cls, key: str) -> Self:
        code, _, rest = key.partition(":")
        field, _, rule = rest.rpartition(":")
        return cls(code, field, rule)


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """The reason that an order cannot be pushed now.

    Args:
        code: The code that the admin explains.
        detail: More of it, for an engineer.
        fields: The violations of each field of the order, kept as they are stored.
        final: Whether only a change or a person can help. ``False``: it is retried.
    """

    code: str
    detail: str = ""
    fields: Mapping[str, Sequence[object]] = dataclasses.field(default_factory=dict)
    final: bool = True

    def __post_init__(self) -> None:
        # The texts quote others, and are stored in one statement with the results of other orders.
        object.__setattr__(self, "detail", storable(self.detail))
        object.__setattr__(self, "fields", _storable_json(errors_to_json(self.fields)))

    @property
    def cause(self) -> Cause:
        field, rule = first_field(self.fields)
        # A path may come from the shop or from Sendcloud; the columns end.
        return Cause(self.code, field[:200], rule[:50])


def columns_of(problem: Problem | None) -> dict[str, Any]:
    """Return the columns of an outbox entry that hold its problem."""
    problem = problem or _NO_PROBLEM
    cause = zip(CAUSE, problem.cause, strict=True)
    return {**dict(cause), "error_detail": problem.detail, "error_fields": problem.fields}


def _storable_json(value: Any) -> Any:
    """Return JSON whose texts every database takes."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(key): _storable_json(member) for key, member in value.items()}
    return [_storable_json(member) for member in value] if isinstance(value, list) else value


_NO_PROBLEM = Problem("")
