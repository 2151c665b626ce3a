"""The log of failed connections that a merchant sees in Sendcloud's panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from ...payloads.rules import OMIT, Integer
from ..log_entries import LogEntry
from ..pages import Page, nested_pages
from ..requestor import Request, Requestor
from ..results import echo_of
from . import paths
from .results import IntegrationLog

__all__ = ["IntegrationLogEntry", "Logs"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IntegrationLogEntry(LogEntry):
    """An entry for the merchant's log of failed connections (contract: ``IntegrationLog``).

    Args:
        user_id: The user it concerns, 1 or more.
    """

    user_id: Annotated[int | None, Integer(1, none=OMIT)] = None


class Logs:
    """The operations below ``/integrations/logs`` and ``/integrations/{id}/logs``.

    Reached as ``client.v2.integrations.logs``.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(self, integration_id: int | None = None, *, cursor: str | None = None) -> Iterator[IntegrationLog]:
        """Iterate over the log of one integration, or of all, page by page as they are needed.

        Operations: GET /integrations/{id}/logs and GET /integrations/logs.

        Args:
            integration_id: Sendcloud's id; ``None`` for all integrations.
            cursor: The place to go on, from :attr:`Page.next_cursor`.

        Raises:
            NotFound: there is no such integration.
            APIError: it did not end well.
        """
        pages = self.pages(integration_id, cursor=cursor)
        return (entry for page in pages for entry in page.results)

    def pages(self, integration_id: int | None = None, *, cursor: str | None = None) -> Iterator[Page[IntegrationLog]]:
        """Iterate as :meth:`list` does, but over pages."""
        request = Request(
            operation="list logs",
            method="GET",
            path=paths.LOGS if integration_id is None else paths.integration_logs(integration_id),
            success=[200],
            integration_id=integration_id,
            query=[("cursor", cursor)] if cursor else [],
        )
        return nested_pages(self._requestor, request, IntegrationLog.from_api)

    def create(self, integration_id: int, entry: IntegrationLogEntry) -> IntegrationLog:
        """Write an entry (operation: POST /integrations/{id}/logs).

        Args:
            integration_id: Sendcloud's id. It is sent in the body too, as in the contract's example.
            entry: The entry to show.

        Raises:
            NotFound: there is no such integration.
            RequestRejected: Sendcloud rejects a field; ``errors`` names it.
            APIError: it did not end well.
        """
        body = {"integration_id": integration_id, **entry.to_json()}
        request = Request(
            operation="create log",
            method="POST",
            path=paths.integration_logs(integration_id),
            success=[201],
            integration_id=integration_id,
            body=body,
        )
        return self._requestor.read(request, echo_of(IntegrationLog, body))
