"""The reason why an order cannot be pushed now."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..models.fields import storable
from ..violations import errors_to_json

__all__ = ["UNASSIGNED", "Problem"]

#: Problems of orders that no integration takes. They count no failure.
UNASSIGNED = ("no_integration", "integration_unknown", "adapter_missing")


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


def _storable_json(value: Any) -> Any:
    """Return JSON whose texts every database takes."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, Mapping):
        return {storable(key): _storable_json(member) for key, member in value.items()}
    return [_storable_json(member) for member in value] if isinstance(value, list) else value
