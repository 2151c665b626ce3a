"""Entries for the log of failed connections, as both generations write them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from ..payloads.base import Payload
from ..payloads.nested import Nested
from ..payloads.rules import JSON, OMIT, Integer, JSONObject, Moment, Text, TextOrObject

__all__ = ["LogEntry", "LoggedRequest", "LoggedResponse"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoggedRequest(Payload):
    """The request that failed (contract: ``IntegrationLog.request``). A field that is ``None`` is left out.

    Args:
        headers: A mapping, or text.
        payload: A mapping, or text.
    """

    headers: Annotated[Mapping[str, JSON] | str | None, TextOrObject(none=OMIT)] = None
    payload: Annotated[Mapping[str, JSON] | str | None, TextOrObject(none=OMIT)] = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoggedResponse(Payload):
    """Its answer (contract: ``IntegrationLog.response``). A field that is ``None`` is left out.

    Args:
        headers: A mapping.
        body: A mapping, or text.
    """

    headers: Annotated[Mapping[str, JSON] | None, JSONObject(none=OMIT)] = None
    body: Annotated[Mapping[str, JSON] | str | None, TextOrObject(none=OMIT)] = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LogEntry(Payload):
    """An entry for the merchant's log of failed connections. A field that is ``None`` is left out.

    Sendcloud shows it as it is: take secrets and personal data out of it first.

    Args:
        base_url: The shop's address.
        full_url: The address that was called.
        method: The HTTP method.
        response_code: The status code of the answer, 0 or more.
        response: Its headers and body.
        request: Headers and payload of the request.
        created_at: Time it happened, now by default. Knows its time zone, sent in UTC.
        exception_type: The Python path of the exception, for instance
            ``requests.exceptions.SSLError``, by which Sendcloud shows hints.
        exception: Text of the exception. ``None`` is left out, since null is rejected whatever v2's schema says.

    Raises:
        PayloadError: a field breaks the contract. All of them are named.
    """

    base_url: Annotated[str, Text(1)]
    full_url: Annotated[str | None, Text(none=OMIT)] = None
    method: Annotated[str | None, Text(none=OMIT)] = None
    response_code: Annotated[int | None, Integer(0, none=OMIT)] = None
    response: Annotated[LoggedResponse | None, Nested(LoggedResponse, none=OMIT)] = None
    request: Annotated[LoggedRequest | None, Nested(LoggedRequest, none=OMIT)] = None
    created_at: Annotated[dt.datetime | None, Moment(none=OMIT)] = None
    exception_type: Annotated[str | None, Text(none=OMIT)] = None
    exception: Annotated[str | None, Text(none=OMIT)] = None

    @property
    def subject(self) -> str:
        return "log entry"
