"""Parameters of v2 requests, parsed."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import Any, Final

from ..moments import parse_date, parse_moment
from ..parcels import Parcel
from ..request import Refused, Request
from ..services import Services
from ..store import SandboxIntegration

__all__ = ["MAX_IDS", "day", "find_integration", "find_parcel", "ids", "moment", "owns", "parse_uuid", "whole_number"]

MAX_IDS: Final = 100


def find_integration(services: Services, request: Request) -> SandboxIntegration:
    """Return the integration of the path.

    Raises:
        Refused: It does not exist, or another account owns it.
    """
    text = request.parameters["id"]
    integration = services.store.integrations.get(int(text)) if _is_id(text) else None
    if integration is None or integration.account != request.caller.account:
        raise Refused(404, "No Integration matches the given query.")
    return integration


def owns(services: Services, request: Request, parcel: Parcel) -> bool:
    """Return whether a parcel is of the caller's account."""
    integration = services.store.integrations.get(parcel.integration_id)
    return integration is not None and integration.account == request.caller.account


def find_parcel(services: Services, request: Request, parcel_id: str | int) -> Parcel:
    """Return a parcel of the caller's account.

    Raises:
        Refused: It does not exist, or another account owns it.
    """
    text = str(parcel_id)
    parcel = services.parcels.get(int(text)) if _is_id(text) else None
    if parcel is None or not owns(services, request, parcel):
        raise Refused(404, "No Parcel matches the given query.")
    return parcel


def day(request: Request, name: str) -> dt.date | None:
    """Return a day of the query.

    Raises:
        Refused: It is no date.
    """
    if (text := request.one(name)) is None:
        return None
    if (found := parse_date(text)) is None:
        raise Refused(400, repr({name: ["Date has wrong format. Use one of these formats instead: YYYY-MM-DD."]}))
    return found


def moment(request: Request, name: str) -> dt.datetime | None:
    """Return a moment of the query.

    Raises:
        Refused: It is no date-time.
    """
    if (text := request.one(name)) is None:
        return None
    # A plus sign that was not encoded arrives as a space.
    if (found := parse_moment(re.sub(r" (?=\d\d:\d\d$)", "+", text))) is None:
        raise Refused(400, repr({name: ["Enter a valid date/time."]}))
    return found


def whole_number(request: Request, name: str) -> int | None:
    """Return a whole number of the query.

    Raises:
        Refused: It is none.
    """
    if (text := request.one(name)) is None:
        return None
    if not _is_id(text.removeprefix("-")):
        raise Refused(400, repr({name: ["A valid integer is required."]}))
    return int(text)


def ids(request: Request) -> set[int] | None:
    """Return the ids of the query.

    Raises:
        Refused: One is no number, or there are too many.
    """
    if (text := request.one("ids")) is None:
        return None
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if len(parts) > MAX_IDS or not all(map(_is_id, parts)):
        raise Refused(400, repr({"ids": [f"Give at most {MAX_IDS} ids, separated by commas."]}))
    return set(map(int, parts))


def parse_uuid(value: Any) -> str | None:
    """Return a UUID in lower case; ``None`` if it is none in the usual form."""
    if not isinstance(value, str):
        return None
    try:
        found = str(uuid.UUID(value))
    except ValueError:
        return None
    return found if found == value.lower() else None


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20
