"""Labels, fetched with the integration's keys, from Sendcloud alone."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Sequence
from typing import Final

from ..hidden import HiddenStr
from .requestor import Request, Requestor
from .urls import origin

__all__ = ["MAX_LABEL_BYTES", "Labels"]

# The path of API v2: the labels of both generations are there.
LABELS_PATH: Final = "/api/v2/labels/label_printer"
#: Size of the largest document taken. A real label has some ten kilobytes.
MAX_LABEL_BYTES: Final = 10 * 1024 * 1024


def _leads_to(url: str, here: str) -> bool:
    """Return whether a link leads to the configured address."""
    try:
        holds_credentials = urllib.parse.urlsplit(url).username is not None
        return origin(url) == origin(here) and not holds_credentials and url.isascii() and url.isprintable()
    except ValueError:
        return False


def _at(request: Request, url: str) -> Request:
    """Return the request for the path and the query of a link."""
    parts = urllib.parse.urlsplit(url)
    query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    return dataclasses.replace(request, path=parts.path, query=query)


class Labels:
    """Downloads labels by the links that parcels have. Reached as ``client.v2.labels`` and ``client.v3.labels``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def merged(self, parcel_ids: Sequence[int]) -> bytes:
        """Return the labels of several parcels as one PDF in A6 (operation: GET /labels/label_printer?ids=).

        Args:
            parcel_ids: Sendcloud's ids of the parcels.

        Raises:
            NotFound: one of them does not exist, or has no label.
            InvalidResponse: the answer is no PDF, or too large.
            APIError: it did not end well.
        """
        ids = ",".join(str(number) for number in parcel_ids)
        scheme, host = urllib.parse.urlsplit(self._requestor.base_url)[:2]
        return self.download(f"{scheme}://{host}{LABELS_PATH}?ids={ids}")

    def download(self, url: str) -> bytes:
        """Return a label as PDF.

        The link came from outside, so it is followed to the configured address only: never to another host, not by
        way of a redirect, and whatever its name resolves to. Links of both generations are.

        Args:
            url: As ``label`` or ``documents`` of a parcel have it.

        Raises:
            InvalidResponse: the link leads elsewhere, or what is there is no PDF, or too large.
            NotFound: there is no such label (any more).
            APIError: it did not end well.
        """
        request = Request(operation="download label", method="GET", path="", success=[200], accept="application/pdf")
        here = self._requestor.base_url
        # It may hold a hash that opens the label: no frame of the exchange shows it.
        url = HiddenStr(url)
        if not _leads_to(url, here):
            raise self._requestor.unreadable(request, "a link to a label that is not at the configured address")
        scheme, host = urllib.parse.urlsplit(here)[:2]
        request = _at(request, url)
        response = self._requestor.at(f"{scheme}://{host}").send(request)
        kind = response.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/pdf" or not response.body.startswith(b"%PDF-"):
            raise self._requestor.unreadable(request, "something else where a label in PDF is due", response.status)
        if len(response.body) > MAX_LABEL_BYTES:
            raise self._requestor.unreadable(request, "a label that is too large", response.status)
        return bytes(response.body)
