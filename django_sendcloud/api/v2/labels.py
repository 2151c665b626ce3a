"""Labels: fetched with the integration's keys, from Sendcloud and from nowhere else."""

from __future__ import annotations

import urllib.parse
from typing import Final

from ..requestor import Call, Requestor
from ..urls import origin

__all__ = ["MAX_LABEL_BYTES", "Labels"]

#: What a label may weigh. A real one has some ten kilobytes.
MAX_LABEL_BYTES: Final = 10 * 1024 * 1024


class Labels:
    """Downloads labels by the links that parcels have. Reached as ``client.labels``."""

    def __init__(self, requestor: Requestor) -> None:
        self._requestor = requestor

    def download(self, url: str) -> bytes:
        """Return a label as PDF.

        The link came from outside, so it is only followed to the configured address: never to another host, not by
        way of a redirect, and whatever its name resolves to.

        Args:
            url: As ``label`` or ``documents`` of a parcel have it.

        Raises:
            InvalidResponse: the link leads elsewhere, or what is there is no PDF, or too large.
            NotFound: there is no such label (any more).
            APIError: it did not end well.
        """
        call = Call(operation="download label", method="GET", path="", accept="application/pdf")
        here = self._requestor.base_url
        try:
            parts = urllib.parse.urlsplit(url)
            same = origin(url) == origin(here) and parts.username is None and url.isascii() and url.isprintable()
        except ValueError:
            same = False
        if not same:
            raise self._requestor.unreadable(call, "a link to a label that is not at the configured address")
        scheme, host = urllib.parse.urlsplit(here)[:2]
        call = Call(
            operation=call.operation,
            method="GET",
            path=parts.path,
            query=urllib.parse.parse_qsl(parts.query, keep_blank_values=True),
            accept=call.accept,
        )
        answer = self._requestor.at(f"{scheme}://{host}").send(call)
        kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != "application/pdf" or not answer.body.startswith(b"%PDF-"):
            raise self._requestor.unreadable(call, "something else where a label in PDF is due", answer.status)
        if len(answer.body) > MAX_LABEL_BYTES:
            raise self._requestor.unreadable(call, "a label that is too large", answer.status)
        return bytes(answer.body)
