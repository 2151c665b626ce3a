"""Partial updates: values in which a field that is not given stays as it is."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any, ClassVar, Final, TypeAlias

from ..exceptions import PayloadError
from ..payloads.base import Payload, partial_json
from ..violations import Violation

__all__ = ["UNCHANGED", "Patch", "Unchanged", "check_service_points"]

_NO_CARRIER: Final = Violation("carrier_missing")


class _Unchanged(Enum):
    UNCHANGED = "unchanged"

    def __repr__(self) -> str:
        return "UNCHANGED"


Unchanged: TypeAlias = _Unchanged
UNCHANGED: Final = _Unchanged.UNCHANGED


class Patch:
    """A partial update, valid from the moment it exists.

    Subclasses are frozen dataclasses with the fields of a payload, all of them :data:`UNCHANGED` by default.

    Raises:
        PayloadError: a field breaks the contract, or there is nothing to change. All violations are named.
    """

    __slots__ = ()
    payload: ClassVar[type[Payload]]

    def __post_init__(self) -> None:
        body = self.to_json()
        if not body:
            raise PayloadError({"": [Violation("nothing_to_change")]}, "integration settings")
        check_service_points(body)

    def to_json(self) -> dict[str, Any]:
        """Return the contract's JSON of the fields that are given."""
        given = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}  # type: ignore[arg-type]
        return partial_json(self.payload, {name: value for name, value in given.items() if value is not UNCHANGED})


def check_service_points(settings: dict[str, Any]) -> None:
    """Refuse service points without a carrier, which Sendcloud rejects.

    Raises:
        PayloadError: they are enabled and no carrier is named.
    """
    if settings.get("service_point_enabled") and not settings.get("service_point_carriers"):
        raise PayloadError({"service_point_carriers": [_NO_CARRIER]}, "integration settings")
