"""Comparison of the shipment that would be sent with Sendcloud's, field by field.

Sendcloud rewrites some values (``"9.950"`` for ``"9.95"``, ``null`` for ``""``, the shop's times under another name);
the comparison ignores that.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from ...payloads import ParcelItem, ShipmentPayload
from ...payloads.base import schema_of
from ..explanations.errors import field_label

__all__ = ["Comparison", "Field", "compare"]

# Sendcloud's own times come back under these names (contract: ShipmentBlobOrder).
_RENAMED = {"shipment_created_at": "created_at"}
# Every push sets it again.
_IGNORED = frozenset({"updated_at"})
_NUMBERS = frozenset(
    {
        "estimated_shipping_price",
        "estimated_tax_price",
        "height",
        "length",
        "quantity",
        "subtotal_price",
        "total_order_value",
        "value",
        "weight",
        "width",
    }
)
_TIMES = frozenset({"created_at", "deliver_at", "handover_at"})
_ITEM = re.compile(r"parcel_items\[\d+\]\.(\w+)")


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field: its name for operators, its contract path, and both values as text."""

    label: str
    path: str
    theirs: str
    ours: str


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """All fields with a value on either side.

    Args:
        different: Fields that would change, in the contract's order.
        equal: Fields that would stay.
        unanswered: Fields missing in Sendcloud's answer.
    """

    different: list[Field]
    equal: list[Field]
    unanswered: list[Field]


def compare(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Comparison:
    """Compare a shipment that would be sent with the one Sendcloud has.

    Args:
        ours: JSON of the payload.
        theirs: Sendcloud's answer, :attr:`django_sendcloud.api.Shipment.raw`.
    """
    names = [*dict.fromkeys([*ours, *schema_of(ShipmentPayload).names])]
    answered = {name: value for name, value in theirs.items() if name not in _RENAMED.values()}
    answered |= {ours_: theirs[name] for name, ours_ in _RENAMED.items() if name in theirs}
    found = Comparison([], [], [])
    for name in names:
        if name in _IGNORED:
            continue
        here, there = dict(_leaves(ours.get(name), name)), dict(_leaves(answered.get(name), name))
        for path in [*here, *(path for path in there if path not in here)]:
            mine, other = here.get(path), there.get(path)
            if _is_empty(mine) and (_is_empty(other) or not _is_known(path)):
                continue
            field = Field(field_label(path), path, _text(other), _text(mine))
            if name not in answered:
                found.unanswered.append(field)
            elif _same(path, mine, other):
                found.equal.append(field)
            else:
                found.different.append(field)
    return found


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _is_known(path: str) -> bool:
    """Return whether the shop could have sent the field: Sendcloud adds some to order lines."""
    item = _ITEM.match(path)
    return item is None or item[1] in schema_of(ParcelItem).names


def _is_empty(value: Any) -> bool:
    return value is None or value == ""


def _same(path: str, ours: Any, theirs: Any) -> bool:
    if _is_empty(ours) or _is_empty(theirs):
        return _is_empty(ours) and _is_empty(theirs)
    name = path.rpartition(".")[2]
    if name in _TIMES:
        return bool(_moment(ours) == _moment(theirs))
    if name in _NUMBERS and "tax_numbers" not in path:
        return bool(_number(ours) == _number(theirs))
    if "dangerous_goods" in path:
        # Live answers of API v3 write their codes in lower case.
        mine, other = _text(ours), _text(theirs)
        return mine.casefold() == other.casefold() or bool(_number(mine) == _number(other))
    return _text(ours) == _text(theirs)


def _moment(value: Any) -> Any:
    try:
        return dt.datetime.fromisoformat(str(value)).astimezone(dt.UTC)
    except ValueError:
        return value


def _number(value: Any) -> Any:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return value


def _text(value: Any) -> str:
    if value is None:
        return ""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
