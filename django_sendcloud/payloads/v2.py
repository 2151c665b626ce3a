"""The limits of API v2: the parts of a payload it cannot carry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..exceptions import PayloadError
from ..violations import Errors, Violation
from .base import Payload, schema_of
from .notes import Note, NoteLevel, note
from .rules import OtherCurrency, not_carried
from .shipment import ShipmentPayload

__all__ = ["check", "notes", "rejections"]


def check(payload: ShipmentPayload) -> None:
    """Reject a payload that API v2 cannot carry.

    Raises:
        PayloadError: a field cannot be sent by API v2.
    """
    if errors := rejections(payload):
        raise PayloadError(errors, payload.subject)


def rejections(payload: ShipmentPayload) -> Errors:
    """Return the errors that keep a payload from being sent by API v2; empty where there are none."""
    return {"currency": [not_carried(payload.currency, "v2")]} if isinstance(payload.currency, OtherCurrency) else {}


def notes(payload: ShipmentPayload) -> list[Note]:
    """Return a note for each field of a payload that API v2 has no place for."""
    return [*_of(payload, "")]


def _of(payload: Payload, path: str) -> Iterator[Note]:
    for name in schema_of(type(payload)).only_v3:
        value: Any = getattr(payload, name)
        if value is not None and value != "" and value != ():
            violation = Violation("only_v3", {"field": name})
            yield note(NoteLevel.NOT_SENT, f"{path}{name}", violation, **payload.line)
    for index, item in enumerate(getattr(payload, "parcel_items", None) or ()):
        yield from _of(item, f"parcel_items[{index}].")
