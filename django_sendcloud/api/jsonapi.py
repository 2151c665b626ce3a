"""Error items of API v3: JSON:API objects whose pointers name an order of the batch and a field.

Pointers occur in several forms, all of them documented or answered live:

- ``/data/attributes/[1]/order_details/order_items/0/quantity``: order 1 of the batch, indexes of lists bare
- ``/data/attributes/orders/[1]``, ``/data/attributes/orders/0/order_id``: the same for labels
- ``/data/attributes/``, ``/data``: the request as a whole
- ``order/order_details/order_items``: a field of the one order of a PATCH
- ``body/unknown_field``: a field of a log entry
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from .redact import field_path

__all__ = ["ErrorItem", "read_items"]

_MAX_ITEMS: Final = 1000
_MAX_POINTER: Final = 500
_INDEX: Final = re.compile(r"\[(\d{1,6})\]|(\d{1,6})")


@dataclass(frozen=True, slots=True)
class ErrorItem:
    """One item of an answer's ``errors``.

    Attributes:
        code: For instance ``not_found``.
        detail: Sendcloud's sentence, which may quote what was sent.
        pointer: As it was answered.
        parameter: The query parameter at fault.
        index: The item of the batch at fault, from 0; ``None`` where the pointer names none.
        path: The field at fault, for instance ``order_details.order_items[0].quantity``.
    """

    code: str
    detail: str
    pointer: str
    parameter: str
    index: int | None
    path: str


def read_items(content: Any) -> list[ErrorItem]:
    """Return the error items of an answer, none where it is no such answer."""
    errors = content.get("errors") if isinstance(content, dict) else None
    if isinstance(errors, dict):
        errors = [errors]
    if not isinstance(errors, list):
        return []
    return [_read(item) for item in errors[:_MAX_ITEMS] if isinstance(item, dict)]


def _read(item: dict[str, Any]) -> ErrorItem:
    source = item.get("source")
    source = source if isinstance(source, dict) else {}
    pointer, parameter = _text(source.get("pointer")), _text(source.get("parameter"))
    index, path = _locate(pointer)
    return ErrorItem(
        code=_text(item.get("code")),
        detail=_text(item.get("detail")) or _text(item.get("title")) or _text(item.get("code")),
        pointer=pointer,
        parameter=parameter,
        index=index,
        path=path or field_path([parameter] if parameter else []),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _locate(pointer: str) -> tuple[int | None, str]:
    """Split a pointer into the index of the item and the path of its field."""
    segments = [segment for segment in pointer[:_MAX_POINTER].split("/") if segment]
    for prefix in ("data", "attributes", "body", "order"):
        if segments[:1] == [prefix]:
            del segments[0]
    if len(segments) > 1 and segments[0] == "orders" and _INDEX.fullmatch(segments[1]):
        del segments[0]
    index = _INDEX.fullmatch(segments[0]) if segments else None
    if index is None:
        return None, field_path(segments)
    return int(index[1] or index[2]), field_path(segments[1:])
