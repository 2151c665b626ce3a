"""Labels for the person who packs: one, or many in one document, fetched by the server and shown to nobody else."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from .api.v2.labels import MAX_LABEL_BYTES
from .conf import SendcloudConfigurationError
from .exceptions import APIError
from .models import Integration, Parcel
from .sync import limiter

if TYPE_CHECKING:
    from pypdf import PageObject, PdfWriter

__all__ = ["MOST", "Labels", "MergingNotInstalled", "fetch"]

#: How many labels one document may have.
MOST: Final = 100

# A4 in points, and where the labels of a sheet are: left or right, lower or upper, in the order they are used.
_WIDTH, _HEIGHT = 595.28, 841.89
_PLACES: Final = [(0, 1), (1, 1), (0, 0), (1, 0)]


class MergingNotInstalled(Exception):
    """Several labels are wanted in one document, and the library for it is not there."""

    def __init__(self) -> None:
        super().__init__("Install it with: pip install 'django-sendcloud[labels]'. One label at a time works without.")


@dataclasses.dataclass(frozen=True, slots=True)
class Labels:
    """Labels in A6, in the order of the parcels, and what became of the others."""

    pdfs: list[bytes]
    failed: list[tuple[Parcel, str]]
    """Parcels whose labels are missing, each with a sentence that holds neither an address nor a key."""

    def a6(self) -> bytes:
        """One document, a label a page, for a label printer.

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
        """One document of A4 sheets with four labels each.

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
    """Download the labels of parcels from Sendcloud, each with its integration's keys.

    What cannot be had is named; the others are there all the same.

    Args:
        parcels: 100 at most.

    Raises:
        ValueError: there are more.
    """
    if len(parcels) > MOST:
        raise ValueError(f"At most {MOST} labels can be printed at once, not {len(parcels)}.")
    pdfs: dict[Any, bytes] = {}
    failed: list[tuple[Parcel, str]] = []
    by_integration: dict[Integration, list[Parcel]] = {}
    for parcel in parcels:
        by_integration.setdefault(parcel.integration, []).append(parcel)
    for integration, group in by_integration.items():
        options = {"limiter": limiter.AccountLimiter(integration.account.pk), "max_response_bytes": MAX_LABEL_BYTES}
        try:
            with integration.client(**options) as client:
                for parcel in group:
                    if not (url := parcel.labels.get("a6")):
                        failed.append((parcel, "It has no label."))
                        continue
                    try:
                        pdfs[parcel.pk] = client.labels.download(url)
                    except APIError as error:
                        failed.append((parcel, str(error)))
        except SendcloudConfigurationError as error:
            failed += [(parcel, str(error)) for parcel in group]
    return Labels([pdfs[parcel.pk] for parcel in parcels if parcel.pk in pdfs], failed)


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
