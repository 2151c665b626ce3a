"""Reading what Sendcloud sends: tolerant of everything but what cannot be read at all.

Types, formats and even the presence of fields vary between the documentation and what arrives, so each is read in all
the shapes it has been seen in; what cannot be read is treated as absent.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import math
import uuid
from decimal import Decimal, InvalidOperation
from typing import Any

__all__ = ["ParcelNews", "ParseError", "milliseconds", "moment", "parse"]

# Seconds would be in the year 5138.
MILLISECONDS_ABOVE = 100_000_000_000
BIGGEST = 2**63 - 1
INT_MAX = 2**31 - 1


class ParseError(ValueError):
    """The body is not what a webhook can be. The text holds nothing of the body."""


def _refuse_constant(name: str) -> Any:
    raise ParseError("NaN and Infinity are not JSON.")


def parse(raw: str) -> dict[str, Any]:
    """The JSON object in a body.

    Raises:
        ParseError: it is not JSON, or no object.
    """
    try:
        payload = json.loads(raw, parse_constant=_refuse_constant)
    except ParseError:
        raise
    except (ValueError, RecursionError) as error:
        raise ParseError(f"The body is not JSON ({type(error).__name__}).") from None
    if not isinstance(payload, dict):
        raise ParseError(f"The body is JSON, but a {type(payload).__name__} instead of an object.")
    return payload


def text(value: Any, limit: int) -> str:
    """A string without what a database cannot store, cut to size; ``""`` for anything else."""
    if isinstance(value, bool) or value is None:
        return ""
    if isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        return ""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]


def integer(value: Any, *, biggest: int = BIGGEST) -> int | None:
    """A whole number that fits; also from text. ``None`` for anything else."""
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
    if not isinstance(value, int) or not -biggest <= value <= biggest:
        return None
    return value


def identity(value: Any) -> uuid.UUID | None:
    """A UUID; ``None`` for anything else."""
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def weight(value: Any) -> Decimal | None:
    """A weight in kg, rounded to grams; ``None`` for what is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = Decimal(str(value)).quantize(Decimal("0.001"))
        return number if Decimal(0) <= number < Decimal(10) ** 7 else None
    except InvalidOperation:  # no number, or one that has no place in any order
        return None


def milliseconds(value: Any) -> int | None:
    """A Unix time in seconds or milliseconds, as milliseconds; ``None`` for what is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= BIGGEST:
        return None
    found = int(value) if value > MILLISECONDS_ABOVE else int(value * 1000)
    return found if 0 < found <= BIGGEST else None


def moment(value: Any) -> dt.datetime | None:
    """A time: Unix time, ISO 8601 with or without zone, or ``DD-MM-YYYY HH:MM:SS``. UTC where no zone is told."""
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
    """The time of day; ``None`` beyond the calendar."""
    try:
        return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=value)
    except OverflowError:
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class ParcelNews:
    """What a ``parcel_status_changed`` says of its parcel. Weight in kg, times in UTC."""

    remote_id: int
    shipment_uuid: uuid.UUID | None
    external_order_id: str
    external_shipment_id: str
    order_number: str
    carrier: str
    tracking_number: str
    tracking_url: str
    weight: Decimal | None
    labels: dict[str, Any]
    is_return: bool
    collo_nr: int | None
    collo_count: int | None
    status_id: int | None
    status_message: str
    carrier_at: dt.datetime | None

    @classmethod
    def read(cls, payload: dict[str, Any]) -> ParcelNews:
        """From a webhook's payload, or from ``{"parcel": …}`` of ``GET /parcels``.

        Raises:
            ParseError: there is no parcel in it, or it has no id.
        """
        parcel = payload.get("parcel")
        if not isinstance(parcel, dict):
            raise ParseError("There is no parcel in it.")
        remote_id = integer(parcel.get("id"))
        if remote_id is None or remote_id < 0:
            raise ParseError("The parcel has no usable id.")
        status = parcel.get("status")
        status = status if isinstance(status, dict) else {}
        carrier = parcel.get("carrier")
        url = text(parcel.get("tracking_url"), 1000)
        return cls(
            remote_id=remote_id,
            shipment_uuid=identity(parcel.get("shipment_uuid")),
            external_order_id=text(parcel.get("external_order_id"), 255),
            external_shipment_id=text(parcel.get("external_shipment_id"), 255),
            order_number=text(parcel.get("order_number"), 255),
            carrier=text(carrier.get("code") if isinstance(carrier, dict) else carrier, 100),
            tracking_number=text(parcel.get("tracking_number"), 255),
            # It becomes a link on the shop's pages.
            tracking_url=url if url.startswith(("https://", "http://")) else "",
            weight=weight(parcel.get("weight")),
            labels=_labels(parcel),
            is_return=parcel.get("is_return") is True,
            collo_nr=_small(parcel.get("collo_nr")),
            collo_count=_small(parcel.get("collo_count")),
            status_id=integer(status.get("id"), biggest=INT_MAX),
            status_message=text(status.get("message"), 255),
            carrier_at=moment(payload.get("carrier_status_change_timestamp")),
        )


def _small(value: Any) -> int | None:
    found = integer(value, biggest=INT_MAX)
    return found if found is not None and found >= 0 else None


def _labels(parcel: dict[str, Any]) -> dict[str, Any]:
    label = parcel.get("label")
    if not isinstance(label, dict):
        return {}
    sheets = label.get("normal_printer")
    found: dict[str, Any] = {
        "a6": text(label.get("label_printer"), 1000),
        "a4": [text(url, 1000) for url in sheets[:4]] if isinstance(sheets, list) else [],
    }
    return {name: value for name, value in found.items() if value}
