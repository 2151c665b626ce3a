"""The frame around the panel's pages."""

from __future__ import annotations

from typing import Final

from .markup import Markup, tag
from .style import SCRIPT, STYLE

__all__ = ["page"]

_SECTIONS: Final = (
    ("/", "Incoming orders"),
    ("/parcels/", "Parcels"),
    ("/webhooks/", "Webhooks"),
    ("/requests/", "Requests"),
    ("/integrations/", "Integrations"),
    ("/faults/", "Faults"),
)


def page(title: str, section: str, main: Markup, *, note: str = "", nonce: str = "", live: bool = False) -> bytes:
    """Return a whole page.

    Args:
        title: Its title.
        section: Address of its section.
        main: Its content.
        note: Result of the last action.
        nonce: Nonce of style and script in the Content-Security-Policy.
        live: Whether it refreshes itself.
    """
    links = [
        tag("a", {"href": address, "aria-current": "page" if address == section else None}, name)
        for address, name in _SECTIONS
    ]
    brand = tag("a", {"class": "brand", "href": "/"}, "Sendcloud ", tag("small", None, "sandbox"))
    document = tag(
        "html",
        {"lang": "en"},
        tag(
            "head",
            None,
            tag("meta", {"charset": "utf-8"}),
            tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
            tag("title", None, f"{title} · Sendcloud sandbox"),
            tag("link", {"rel": "icon", "href": "data:,"}),
            tag("style", {"nonce": nonce}, Markup(STYLE)),
        ),
        tag(
            "body",
            None,
            tag("header", None, tag("div", None, brand, tag("nav", {"aria-label": "Sections"}, links))),
            tag("div", {"class": "note", "role": "status"}, tag("p", None, note)) if note else None,
            tag("main", {"data-live": live}, main),
            tag("script", {"nonce": nonce}, Markup(SCRIPT)),
        ),
    )
    return f"<!doctype html>{document}".encode()
