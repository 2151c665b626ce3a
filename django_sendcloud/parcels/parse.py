"""Readers of Sendcloud's updates, tolerant of everything except a body that is no update.

Types, formats and even the presence of fields vary between the documentation and the updates that arrive. Each field is
read in every shape it was seen in, and an unreadable field counts as absent.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from ..hidden import HiddenDict, hide

__all__ = ["FIELDS", "KEYS", "ParcelUpdate", "ParseError", "milliseconds", "moment", "parse"]

# Seconds would be in the year 5138.
MILLISECONDS_ABOVE = 100_000_000_000
MAX_BIGINT = 2**63 - 1
INT_MAX = 2**31 - 1
# Lines of a parcel that are kept.
MAX_ITEMS = 200


class ParseError(ValueError):
    """A body that is no webhook. Its text is a code and holds nothing of the body.

    Args:
        code: ``not_json``, ``no_object``, ``no_parcel`` or ``no_parcel_id``.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def _refuse_constant(name: str) -> Any:
    raise ParseError("not_json")


def parse(raw: str) -> HiddenDict:
    """Return the JSON object in a body. Nothing of it shows in a repr.

    Raises:
        ParseError: It is not JSON, or no object.
    """
    try:
        payload = hide(json.loads(raw, parse_constant=_refuse_constant))
    except ParseError:
        raise
    except (ValueError, RecursionError):
        raise ParseError("not_json") from None
    if not isinstance(payload, HiddenDict):
        raise ParseError("no_object")
    return payload


def text(value: Any, limit: int) -> str:
    """Return a string that every database can store, cut to size; ``""`` for anything else."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        return ""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def integer(value: Any, *, maximum: int = MAX_BIGINT) -> int | None:
    """Return a whole number that fits, also from text; ``None`` for anything else."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        value = int(value)
    if isinstance(value, str):
        digits = value.strip().removeprefix("-")
        if len(value) > 20 or not digits.isascii() or not digits.isdigit():
            return None
        value = int(value)
    if not isinstance(value, int) or not -maximum <= value <= maximum:
        return None
    return value


def identity(value: Any) -> uuid.UUID | None:
    """Return a UUID; ``None`` for anything else."""
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def weight(value: Any) -> Decimal | None:
    """Return a weight in kg, rounded to grams; ``None`` for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value)).quantize(Decimal("0.001"))
        return number if Decimal(0) <= number < Decimal(10) ** 7 else None
    except InvalidOperation:  # no number, or one that has no place in any order
        return None


def milliseconds(value: Any) -> int | None:
    """Return a Unix time in seconds or milliseconds as milliseconds; ``None`` for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= MAX_BIGINT:
        return None
    found = int(value) if value > MILLISECONDS_ABOVE else int(value * 1000)
    return found if 0 < found <= MAX_BIGINT else None


def moment(value: Any) -> dt.datetime | None:
    """Return a time from Unix time, ISO 8601 or ``DD-MM-YYYY HH:MM:SS``. A time without a zone counts as UTC."""
    if isinstance(value, str) and not value.strip().replace(".", "", 1).isdigit():
        for read in (dt.datetime.fromisoformat, _day_first):
            try:
                found = read(value.strip())
                return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
            except (ValueError, OverflowError):
                continue
        return None
    found_ms = milliseconds(value)
    return None if found_ms is None else from_milliseconds(found_ms)


def _day_first(value: str) -> dt.datetime:
    return dt.datetime.strptime(value, "%d-%m-%Y %H:%M:%S")  # noqa: DTZ007 - the zone is added by the caller


def from_milliseconds(value: int) -> dt.datetime | None:
    """Return the time; ``None`` beyond the calendar."""
    try:
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=value)
    except OverflowError:
        return None


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class ParcelUpdate:
    """The content of one update of a parcel. Times are UTC.

    Args:
        remote_id: Sendcloud's id of the parcel.
        fields: Fields of :class:`~django_sendcloud.models.Parcel` that the update mentions, with their values. An
            absent field says nothing, and neither does an empty or unreadable one; ``null`` erases.
        status_id: Sendcloud's status, ``None`` where the update names none.
        status_message: The status in Sendcloud's words.
        carrier_at: The carrier's own time of the status.
    """

    remote_id: int
    fields: Mapping[str, Any]
    status_id: int | None = None
    status_message: str = ""
    carrier_at: dt.datetime | None = None

    @classmethod
    def read(cls, payload: Mapping[str, Any]) -> ParcelUpdate:
        """Read a webhook's payload, or ``{"parcel": ...}`` from ``GET /parcels``.

        Raises:
            ParseError: It names no parcel, or one without an id.
        """
        parcel = payload.get("parcel")
        if not isinstance(parcel, dict):
            raise ParseError("no_parcel")
        remote_id = integer(parcel.get("id"))
        if remote_id is None or remote_id < 0:
            raise ParseError("no_parcel_id")
        status = parcel.get("status")
        status = status if isinstance(status, dict) else {}
        fields: dict[str, Any] = {}
        for name, (key, reader, erased) in _FIELDS.items():
            if key not in parcel:
                continue
            if parcel[key] is None:
                if erased is not UNSET:
                    fields[name] = erased
                continue
            value = reader(parcel[key])
            if value is not UNSET:
                fields[name] = value
        return cls(
            remote_id=remote_id,
            fields=fields,
            status_id=integer(status.get("id"), maximum=INT_MAX),
            status_message=text(status.get("message"), 255),
            carrier_at=moment(payload.get("carrier_status_change_timestamp")),
        )

    def __repr__(self) -> str:
        return f"<update of parcel {self.remote_id}>"


class _Unset:
    """The value of a field that says nothing."""


UNSET: Final = _Unset()


def _text(limit: int) -> Callable[[Any], Any]:
    return lambda value: text(value, limit) or UNSET


def _or_unset(reader: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        found = reader(value)
        return UNSET if found is None or found == {} or found == [] else found

    return read


def _carrier(value: Any) -> Any:
    return text(value.get("code") if isinstance(value, dict) else value, 100) or UNSET


def _tracking_url(value: Any) -> Any:
    # It becomes a link on the shop's pages.
    url = text(value, 1000)
    return url if url.startswith(("https://", "http://")) else UNSET


def _is_return(value: Any) -> Any:
    return value if isinstance(value, bool) else UNSET


def _small(value: Any) -> int | None:
    found = integer(value, maximum=INT_MAX)
    return found if found is not None and found >= 0 else None


def _labels(label: Any) -> dict[str, Any]:
    if not isinstance(label, dict):
        return {}
    sheets = label.get("normal_printer")
    found: dict[str, Any] = {
        "a6": text(label.get("label_printer"), 1000),
        "a4": [text(url, 1000) for url in sheets[:4]] if isinstance(sheets, list) else [],
    }
    return {name: value for name, value in found.items() if value}


def _items(value: Any) -> list[dict[str, Any]]:
    """Return what is in the parcel, as far as it says which of the order's lines are meant."""
    found = []
    for item in value[:MAX_ITEMS] if isinstance(value, list) else ():
        if isinstance(item, dict):
            words = {name: text(item.get(name), 255) for name in ("description", "sku", "product_id", "item_id")}
            found.append({**words, "quantity": _small(item.get("quantity")) or 1})
    return found


# Each field of a parcel: its key at Sendcloud, its reader, and the value that null leaves behind. Which order a parcel
# belongs to is never taken back.
_FIELDS: Final[Mapping[str, tuple[str, Callable[[Any], Any], Any]]] = {
    "shipment_uuid": ("shipment_uuid", _or_unset(identity), UNSET),
    "external_order_id": ("external_order_id", _text(255), UNSET),
    "external_shipment_id": ("external_shipment_id", _text(255), UNSET),
    "order_number": ("order_number", _text(255), UNSET),
    "carrier": ("carrier", _carrier, ""),
    "tracking_number": ("tracking_number", _text(255), ""),
    "tracking_url": ("tracking_url", _tracking_url, ""),
    "weight": ("weight", _or_unset(weight), None),
    "labels": ("label", _or_unset(_labels), {}),
    "is_return": ("is_return", _is_return, False),
    "collo_nr": ("collo_nr", _or_unset(_small), None),
    "collo_count": ("collo_count", _or_unset(_small), None),
    "colli_uuid": ("colli_uuid", _or_unset(identity), None),
    "items": ("parcel_items", _or_unset(_items), []),
}
FIELDS: Final = tuple(_FIELDS)
#: The keys of a parcel at Sendcloud that are read.
KEYS: Final = ("id", "status", *(key for key, _, _ in _FIELDS.values()))
