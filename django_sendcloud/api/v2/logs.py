"""The log of failed connections that a merchant sees in Sendcloud's panel."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from ...payloads.base import Payload
from ...payloads.rules import JSON, OMIT, Integer, JSONObject, Moment, Nested, Text, TextOrObject
from ..pages import Page, iterate_pages
from ..requestor import Call, Requestor
from ..results import IntegrationLog
from . import paths

__all__ = ["IntegrationLogEntry", "LoggedRequest", "LoggedResponse", "Logs"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoggedRequest(Payload):
    """The request that failed (contract: ``IntegrationLog.request``). What is ``None`` is left out.

    Args:
        headers: A mapping, or text.
        payload: A mapping, or text.
    """

    headers: Annotated[Mapping[str, JSON] | str | None, TextOrObject(none=OMIT)] = None
    payload: Annotated[Mapping[str, JSON] | str | None, TextOrObject(none=OMIT)] = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class LoggedResponse(Payload):
    """Its answer (contract: ``IntegrationLog.response``). What is ``None`` is left out.

    Args:
        headers: A mapping.
        body: A mapping, or text.
    """

    headers: Annotated[Mapping[str, JSON] | None, JSONObject(none=OMIT)] = None
    body: Annotated[Mapping[str, JSON] | str | None, TextOrObject(none=OMIT)] = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IntegrationLogEntry(Payload):
    """An entry for the merchant's connection log (contract: ``IntegrationLog``). What is ``None`` is left out.

    It is shown as it is: take secrets and personal data out of it before.

    Args:
        base_url: The shop's address.
        full_url: The address that was called.
        method: The HTTP method.
        response_code: The status code of the answer, 0 or more.
        response: Its headers and body.
        request: Headers and payload of the request.
        user_id: The user it concerns, 1 or more.
        created_at: When it happened, now by default. Knows its time zone, sent in UTC.
        exception_type: The Python path of the exception, for instance
            ``requests.exceptions.SSLError``, by which Sendcloud shows hints.
        exception: What went wrong. ``None`` is left out, since null is refused whatever the schema says.

    Raises:
        PayloadError: a field breaks the contract. All of them are named.
    """

    base_url: Annotated[str, Text(1)]
    full_url: Annotated[str | None, Text(none=OMIT)] = None
    method: Annotated[str | None, Text(none=OMIT)] = None
    response_code: Annotated[int | None, Integer(0, none=OMIT)] = None
    response: Annotated[LoggedResponse | None, Nested(LoggedResponse, none=OMIT)] = None
    request: Annotated[LoggedRequest | None, Nested(LoggedRequest, none=OMIT)] = None
    user_id: Annotated[int | None, Integer(1, none=OMIT)] = None
    created_at: Annotated[dt.datetime | None, Moment(none=OMIT)] = None
    exception_type: Annotated[str | None, Text(none=OMIT)] = None
    exception: Annotated[str | None, Text(none=OMIT)] = None

    def _subject(self) -> str:
        return "log entry"


class Logs:
    """The operations below ``/integrations/logs`` and ``/integrations/{id}/logs``. Reached as ``client.logs``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self, integration_id: int | None = None, *, cursor: str | None = None) -> Iterator[IntegrationLog]:
        """Iterate over the log of one integration, or of all, page by page as they are needed.

        Operations: GET /integrations/{id}/logs and GET /integrations/logs.

        Args:
            integration_id: Sendcloud's id; ``None`` for all integrations.
            cursor: Where to go on, from :attr:`Page.next_cursor`.

        Raises:
            NotFound: there is no such integration.
            APIError: it did not end well.
        """
        pages = self.pages(integration_id, cursor=cursor)
        return (entry for page in pages for entry in page.results)

    def pages(self, integration_id: int | None = None, *, cursor: str | None = None) -> Iterator[Page[IntegrationLog]]:
        """Iterate as :meth:`list` does, but over pages."""
        call = Call(
            operation="list logs",
            method="GET",
            path=paths.LOGS if integration_id is None else paths.integration_logs(integration_id),
            integration_id=integration_id,
            query=[("cursor", cursor)] if cursor else [],
        )
        return iterate_pages(self._requestor, call, IntegrationLog.from_api)

    def create(self, integration_id: int, entry: IntegrationLogEntry) -> IntegrationLog:
        """Write an entry (operation: POST /integrations/{id}/logs).

        Args:
            integration_id: Sendcloud's id. It is sent in the body too, as in the contract's example.
            entry: What the merchant shall see.

        Raises:
            NotFound: there is no such integration.
            RequestRejected: Sendcloud refuses a field; ``errors`` names it.
            APIError: it did not end well.
        """
        call = Call(
            operation="create log",
            method="POST",
            path=paths.integration_logs(integration_id),
            integration_id=integration_id,
            body={"integration_id": integration_id, **entry.to_json()},
        )
        return self._requestor.read(call, IntegrationLog.from_api)
