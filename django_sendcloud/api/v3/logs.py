"""The log of failed connections that a merchant sees in Sendcloud's panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ..log_entries import LogEntry
from ..pages import Page, linked_pages
from ..queries import page_sizes
from ..requestor import Request, Requestor
from . import paths
from .orders import data_of
from .results import IntegrationLog

__all__ = ["MAX_LOG_PAGE", "IntegrationLogEntry", "Logs"]

#: Entries on one page (contract: parameter ``page_size``).
MAX_LOG_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IntegrationLogEntry(LogEntry):
    """An entry for the merchant's log of failed connections (contract: ``integration-log-create``, a closed schema)."""


class Logs:
    """The operations below ``/integrations/logs`` and ``/integrations/{id}/logs``.

    Reached as ``client.v3.integrations.logs``.
    """

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def list(
        self, integration_id: int | None = None, *, page_size: int | None = None, cursor: str | None = None
    ) -> Iterator[IntegrationLog]:
        """Iterate over the log of one integration, or of all, page by page as they are needed.

        Operations: GET /integrations/{id}/logs and GET /integrations/logs.

        Args:
            integration_id: Sendcloud's id; ``None`` for all integrations.
            page_size: Entries per request, 1 to 100; 25 by default.
            cursor: The place to go on, from :attr:`Page.next_cursor`. In this list a date and time.

        Raises:
            ValueError: an argument makes no sense. Raised immediately, before anything is sent.
            NotFound: there is no such integration.
            APIError: it did not end well.
        """
        pages = self.pages(integration_id, page_size=page_size, cursor=cursor)
        return (entry for page in pages for entry in page.results)

    def pages(
        self, integration_id: int | None = None, *, page_size: int | None = None, cursor: str | None = None
    ) -> Iterator[Page[IntegrationLog]]:
        """Iterate as :meth:`list` does, but over pages."""
        request = Request(
            operation="list logs",
            method="GET",
            path=paths.LOGS if integration_id is None else paths.integration_logs(integration_id),
            success=[200],
            integration_id=integration_id,
            query=[*page_sizes(page_size, MAX_LOG_PAGE), *([("cursor", cursor)] if cursor else [])],
            resource="integration",
        )
        return linked_pages(self._requestor, request, IntegrationLog.from_api)

    def create(self, integration_id: int, entry: IntegrationLogEntry) -> IntegrationLog:
        """Write an entry (operation: POST /integrations/{id}/logs).

        Args:
            integration_id: Sendcloud's id.
            entry: The entry to show.

        Raises:
            NotFound: there is no such integration.
            RequestRejected: Sendcloud rejects a field; ``errors`` names it.
            APIError: it did not end well.
        """
        request = Request(
            operation="create log",
            method="POST",
            path=paths.integration_logs(integration_id),
            success=[201],
            integration_id=integration_id,
            body=entry.to_json(),
            resource="integration",
        )
        return self._requestor.read(request, lambda content: IntegrationLog.from_api(data_of(content)))
