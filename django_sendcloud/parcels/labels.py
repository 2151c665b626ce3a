"""Labels for packers: one, or many in one document, downloaded by the server."""

from __future__ import annotations

import dataclasses
import io
import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from ..api import SendcloudClient
from ..api.labels import MAX_LABEL_BYTES
from ..conf import SendcloudConfigurationError
from ..exceptions import APIError, InvalidResponse, NotFound, RequestRejected
from ..models import Integration, Parcel
from ..sync import limiter

if TYPE_CHECKING:
    from pypdf import PageObject, PdfWriter

__all__ = ["MAX_LABELS", "Labels", "MergingNotInstalled", "fetch"]

#: Labels in one document, at most.
MAX_LABELS: Final = 100

# A4 in points, and where the labels of a sheet are: left or right, lower or upper, in the order they are used.
_WIDTH, _HEIGHT = 595.28, 841.89
_PLACES: Final = [(0, 1), (1, 1), (0, 0), (1, 0)]


class MergingNotInstalled(Exception):
    """Several labels are wanted in one document, and the library for it is not there."""

    def __init__(self) -> None:
        super().__init__("Install it with: pip install 'django-sendcloud[labels]'. One label at a time works without.")


@dataclasses.dataclass(frozen=True, slots=True)
class Labels:
    """Labels in A6, in the order in which they were wanted, and the parcels without one.

    Without pypdf, those of one integration are in the order of Sendcloud's ids.

    Args:
        pdfs: Documents with a label on each page.
        failed: Parcels whose labels are missing, each with a sentence that holds neither an address nor a key.
        number: How many parcels have their label in the documents.
    """

    pdfs: list[bytes]
    failed: list[tuple[Parcel, str]]
    number: int = 0

    def a6(self) -> bytes:
        """Return one document with a label on each page, for a label printer.

        Raises:
            MergingNotInstalled: there are several, and pypdf is missing.
        """
        if len(self.pdfs) == 1:
            return self.pdfs[0]
        writer = _writer()
        for page in self._pages():
            writer.add_page(page)
        return _written(writer)

    def a4(self, position: int = 1) -> bytes:
        """Return one document of A4 sheets with four labels each.

        Args:
            position: Where on the first sheet to begin, 1 to 4: upper left, upper right, lower left, lower right.

        Raises:
            ValueError: there is no such position.
            MergingNotInstalled: pypdf is missing.
        """
        if position not in (1, 2, 3, 4):
            raise ValueError(f"position must be 1, 2, 3 or 4, not {position!r}.")
        writer = _writer()
        from pypdf import Transformation

        sheet = None
        for place, page in enumerate(self._pages(), start=position - 1):
            if sheet is None or place % 4 == 0:
                sheet = writer.add_blank_page(_WIDTH, _HEIGHT)
            column, row = _PLACES[place % 4]
            width, height = float(page.mediabox.width), float(page.mediabox.height)
            scale = min(_WIDTH / 2 / width, _HEIGHT / 2 / height)
            left = column * _WIDTH / 2 - float(page.mediabox.left) * scale
            bottom = row * _HEIGHT / 2 - float(page.mediabox.bottom) * scale
            sheet.merge_transformed_page(page, Transformation().scale(scale).translate(left, bottom))
        return _written(writer)

    def _pages(self) -> Iterable[PageObject]:
        from pypdf import PdfReader

        for pdf in self.pdfs:
            yield from PdfReader(io.BytesIO(pdf)).pages


def fetch(parcels: Sequence[Parcel]) -> Labels:
    """Download the labels of parcels from Sendcloud: one request for each integration, whatever their number.

    They keep the order of the parcels. Sendcloud's document has them in another; pages are recognised by the tracking
    numbers on them, else by the order of Sendcloud's ids.

    Where Sendcloud rejects a document, the parcels are divided until the one at fault stands alone. It is named, and
    the others are there all the same.

    Args:
        parcels: At most 100.

    Raises:
        ValueError: There are more.
    """
    if len(parcels) > MAX_LABELS:
        raise ValueError(f"At most {MAX_LABELS} labels can be printed together, not {len(parcels)}.")
    failed: list[tuple[Parcel, str]] = []
    by_integration: dict[Integration, list[Parcel]] = {}
    for parcel in sorted(parcels, key=operator.attrgetter("remote_id")):
        if parcel.labels.get("a6"):
            by_integration.setdefault(parcel.integration, []).append(parcel)
        else:
            failed.append((parcel, "It has no label."))
    documents: list[_Document] = []
    for integration, group in by_integration.items():
        turn = limiter.AccountLimiter(integration.account.pk, limiter.OPERATOR_WAIT_SECONDS)
        try:
            with integration.client(limiter=turn, max_response_bytes=MAX_LABEL_BYTES) as client:
                found, missing = _download(client, group)
        except SendcloudConfigurationError as error:
            found, missing = [], [(parcel, str(error)) for parcel in group]
        documents += found
        failed += missing
    return Labels(_in_order(documents, parcels), failed, len(parcels) - len(failed))


@dataclasses.dataclass(frozen=True, slots=True)
class _Document:
    """A document, and the parcels with a page each in it, or the one parcel with all its pages."""

    pdf: bytes
    parcels: Sequence[Parcel]


def _download(client: SendcloudClient, parcels: Sequence[Parcel]) -> tuple[list[_Document], list[tuple[Parcel, str]]]:
    """Return documents with the labels of these parcels, and the parcels without one."""
    try:
        if len(parcels) == 1:
            return [_Document(client.v2.labels.download(parcels[0].labels["a6"]), parcels)], []
        document = client.v2.labels.merged([parcel.remote_id for parcel in parcels])
        # A page too many belongs to one of them, and only a document of its own says to which.
        if _number_of_pages(document) in (None, len(parcels)):
            return [_Document(document, parcels)], []
    except (NotFound, RequestRejected, InvalidResponse) as error:
        if len(parcels) == 1:
            return [], [(parcels[0], str(error))]
    except APIError as error:
        return [], [(parcel, str(error)) for parcel in parcels]
    middle = len(parcels) // 2
    halves = [_download(client, half) for half in (parcels[:middle], parcels[middle:])]
    return [found for documents, _ in halves for found in documents], [
        each for _, missing in halves for each in missing
    ]


def _in_order(documents: Sequence[_Document], parcels: Sequence[Parcel]) -> list[bytes]:
    """Return documents with the labels in the order of the parcels."""
    wanted = [parcel.pk for parcel in parcels]
    there = [parcel.pk for document in documents for parcel in document.parcels]
    if there == sorted(there, key=wanted.index):
        return [document.pdf for document in documents]
    try:
        writer = _writer()
    except MergingNotInstalled:
        return [document.pdf for document in documents]
    pages: dict[int, list[PageObject]] = {}
    for document in documents:
        pages |= _pages_by_parcel(document)
    for pk in wanted:
        for page in pages.get(pk, ()):
            writer.add_page(page)
    return [_written(writer)]


def _pages_by_parcel(document: _Document) -> dict[int, list[PageObject]]:
    """Return the pages of each parcel: those with its tracking number, else those at its place."""
    from pypdf import PdfReader

    pages = list(PdfReader(io.BytesIO(document.pdf)).pages)
    parcels = document.parcels
    if len(parcels) == 1:
        return {parcels[0].pk: pages}
    texts = ["".join(page.extract_text().split()) for page in pages]
    named = [[parcel for parcel in parcels if parcel.tracking_number and parcel.tracking_number in t] for t in texts]
    if all(len(each) == 1 for each in named) and len({each[0].pk for each in named}) == len(parcels):
        return {each[0].pk: [page] for each, page in zip(named, pages, strict=True)}
    return {parcel.pk: [page] for parcel, page in zip(parcels, pages, strict=True)}


def _number_of_pages(document: bytes) -> int | None:
    """Return the number of pages; ``None`` where pypdf is not there to count them."""
    try:
        from pypdf import PdfReader
    except ImportError:
        return None
    return len(PdfReader(io.BytesIO(document)).pages)


def _writer() -> PdfWriter:
    try:
        from pypdf import PdfWriter
    except ImportError:
        raise MergingNotInstalled from None
    return PdfWriter()


def _written(writer: PdfWriter) -> bytes:
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()
