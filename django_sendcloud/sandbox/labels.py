"""Labels as PDF files with text, lines, and a barcode that a scanner reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .parcels import Parcel

__all__ = ["customs_declarations", "labels_on_a4", "labels_on_a6"]

_MM: Final = 72 / 25.4
A4: Final = (210 * _MM, 297 * _MM)
A6: Final = (105 * _MM, 148 * _MM)

# Code 39: nine elements per character, bars and gaps in turn, w for a wide one.
_CODE_39_CHARACTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. *"
_CODE_39_PATTERNS: Final = """
nnnwwnwnn wnnwnnnnw nnwwnnnnw wnwwnnnnn nnnwwnnnw wnnwwnnnn nnwwwnnnn nnnwnnwnw wnnwnnwnn nnwwnnwnn
wnnnnwnnw nnwnnwnnw wnwnnwnnn nnnnwwnnw wnnnwwnnn nnwnwwnnn nnnnnwwnw wnnnnwwnn nnwnnwwnn nnnnwwwnn
wnnnnnnww nnwnnnnww wnwnnnnwn nnnnwnnww wnnnwnnwn nnwnwnnwn nnnnnnwww wnnnnnwwn nnwnnnwwn nnnnwnwwn
wwnnnnnnw nwwnnnnnw wwwnnnnnn nwnnwnnnw wwnnwnnnn nwwnwnnnn nwnnnnwnw wwnnnnwnn nwwnnnwnn nwnnwnwnn
"""
_CODE_39: Final = dict(zip(_CODE_39_CHARACTERS, _CODE_39_PATTERNS.split(), strict=True))


def labels_on_a6(parcels: Sequence[Parcel]) -> bytes:
    """Return one label per page."""
    return _document(A6, [[_label(parcel, 0, 0)] for parcel in parcels])


def labels_on_a4(parcels: Sequence[Parcel], start_from: int = 0) -> bytes:
    """Return four labels per page.

    Args:
        parcels: Parcels to print.
        start_from: First unused place of the first sheet: 0 top left, 1 top right, 2 bottom left, 3 bottom right.
    """
    places: list[Parcel | None] = [*([None] * start_from), *parcels]
    pages = []
    for first in range(0, len(places), 4):
        page = []
        for place, parcel in enumerate(places[first : first + 4]):
            if parcel is not None:
                page.append(_label(parcel, A4[0] / 2 * (place % 2), A4[1] / 2 * (1 - place // 2)))
        pages.append(page)
    return _document(A4, pages)


def customs_declarations(parcels: Sequence[Parcel]) -> bytes:
    """Return a declaration of contents for each parcel."""
    pages = []
    for parcel in parcels:
        lines = [
            (18, "CN23  Customs declaration"),
            (10, f"{parcel.tracking_number}   Order {parcel.shipment['order_number']}"),
            (10, f"Invoice {parcel.shipment['customs_invoice_nr'] or '-'}"),
            (10, ""),
        ]
        for item in parcel.shipment["parcel_items"] or ():
            details = (
                item.get("hs_code") or "no HS code",
                item.get("origin_country") or "origin unknown",
                item["value"],
            )
            lines.append((10, f"{item['quantity']} x {item['description']}   {'   '.join(details)}"))
        pages.append([_lines(lines, 50, A4[1] - 80)])
    return _document(A4, pages)


def _label(parcel: Parcel, left: float, bottom: float) -> bytes:
    shipment = parcel.shipment
    street = " ".join(part for part in parcel.street_and_number() if part)
    receiver = [shipment["name"], shipment["company_name"], street, shipment["address_2"]]
    receiver.append(f"{shipment['postal_code']} {shipment['city']}")
    receiver.append(" ".join(part for part in (shipment["to_state"], shipment["country"]) if part))
    about = f"Parcel {parcel.collo_nr + 1} of {parcel.collo_count}   {parcel.weight} kg"
    header = [
        (16, parcel.carrier.replace("_", " ").upper() + ("   RETURN" if parcel.is_return else "")),
        (8, f"{about}   Order {shipment['order_number']}"),
    ]
    parts = [
        f"q 1 0 0 1 {left:.2f} {bottom:.2f} cm 12 12 {A6[0] - 24:.2f} {A6[1] - 24:.2f} re S".encode(),
        _lines(header, 24, A6[1] - 40),
        f"12 {A6[1] - 70:.2f} m {A6[0] - 12:.2f} {A6[1] - 70:.2f} l S".encode(),
        _lines([(13, line) for line in receiver if line], 24, A6[1] - 100),
        _barcode(parcel.tracking_number, 24, 70, A6[0] - 48, 60),
        _lines([(10, parcel.tracking_number)], 24, 54),
        _lines([(7, "Made by the sandbox of django-sendcloud. No carrier will take this parcel.")], 24, 24),
        b"Q",
    ]
    return b"\n".join(parts)


def _lines(lines: Sequence[tuple[float, str]], left: float, top: float) -> bytes:
    drawn = []
    for size, text in lines:
        drawn.append(b"BT /F1 %.2f Tf %.2f %.2f Td (%s) Tj ET" % (size, left, top, _text(text[:120])))
        top -= size * 1.35
    return b"\n".join(drawn)


def _text(text: str) -> bytes:
    raw = text.encode("cp1252", errors="replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)").replace(b"\r", b" ")


def _barcode(text: str, left: float, bottom: float, width: float, height: float) -> bytes:
    elements = "n".join(_CODE_39[character] for character in f"*{text}*")
    widths = [2.5 if element == "w" else 1.0 for element in elements]
    unit = width / sum(widths)
    bars = []
    for index, element in enumerate(widths):
        if index % 2 == 0:
            bars.append(f"{left:.2f} {bottom:.2f} {element * unit:.3f} {height:.2f} re")
        left += element * unit
    return (" ".join(bars) + " f").encode()


def _document(size: tuple[float, float], pages: Sequence[Sequence[bytes]]) -> bytes:
    """Return the file: catalog, page tree, font, each page with its contents, and the cross-reference table."""
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for index, parts in enumerate(pages):
        contents = b"\n".join(parts)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {size[0]:.2f} {size[1]:.2f}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * index} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(contents), contents))
    document = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % place for place in places)
    document += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(document)
