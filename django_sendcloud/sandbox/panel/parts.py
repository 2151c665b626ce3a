"""Parts that the panel's pages share."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from .markup import Markup, fragment, tag

__all__ = ["PAGE", "button", "card", "check", "code", "field", "form", "message", "nested", "pager", "plain", "pretty"]
__all__ += ["row", "spaced", "table", "term", "when"]

#: Rows per page.
PAGE: Final = 50


def message(title: str, text: str) -> Markup:
    """Return a page with one message."""
    return fragment(tag("h1", None, title), tag("p", None, text))


def card(title: str, *children: Any) -> Markup:
    """Return a box with a title."""
    return tag("section", {"class": "card"}, tag("h2", None, title), *children)


def code(text: str) -> Markup:
    """Return preformatted text."""
    # It scrolls, so the keyboard must reach it.
    return tag("pre", {"tabindex": 0}, text)


def table(names: Sequence[str], rows: Sequence[Markup], empty: str, pager: Markup | None = None) -> Markup:
    """Return a table, or a sentence if it has no rows."""
    if not rows:
        return tag("div", {"class": "card empty"}, empty)
    head = tag("thead", None, tag("tr", None, [tag("th", {"scope": "col"}, name) for name in names]))
    return tag("div", {"class": "card flush"}, tag("table", None, head, tag("tbody", None, rows)), pager)


def row(*cells: tuple[str, Any]) -> Markup:
    """Return a row of named cells."""

    def shown(name: str, value: Any) -> Any:
        return "–" if name and value in (None, "") else value

    return tag("tr", None, [tag("td", {"data-label": name or None}, shown(name, value)) for name, value in cells])


def pager(address: str, query: Mapping[str, Any], start: int, shown: int, total: int) -> Markup | None:
    """Return links to the neighbouring pages; ``None`` if all rows fit on one."""
    if total <= PAGE:
        return None

    def link(text: str, first: int, *, is_there: bool) -> Markup:
        return (
            tag("a", {"href": f"{address}?{urlencode({**query, 'start': first})}"}, text)
            if is_there
            else tag("span", None)
        )

    return tag(
        "div",
        {"class": "pager"},
        link("← Newer", max(start - PAGE, 0), is_there=start > 0),
        tag("span", {"class": "quiet"}, f"{start + 1}–{start + shown} of {total}"),
        link("Older →", start + PAGE, is_there=start + shown < total),
    )


def term(name: str, *values: Any) -> Markup:
    """Return a name and its values for a list of details."""
    shown = [plain(value) for value in values]
    return fragment(tag("dt", None, name), tag("dd", None, "–" if shown in ([None], [""]) else shown))


def form(address: str, *children: Any) -> Markup:
    """Return a form that posts."""
    return tag("form", {"method": "post", "action": address}, *children)


def button(text: str, kind: str = "") -> Markup:
    """Return a button."""
    return tag("button", {"class": kind or None}, text)


def field(text: str, name: str, value: Any, *, placeholder: str | None = None) -> Markup:
    """Return a labelled text field."""
    shown = "" if value is None else value
    return tag("label", None, text, tag("input", {"name": name, "value": shown, "placeholder": placeholder}))


def check(text: str, name: str, *, checked: bool = False) -> Markup:
    """Return a labelled checkbox."""
    box = tag("input", {"type": "checkbox", "name": name, "value": "on", "checked": checked})
    return tag("label", {"class": "check"}, box, text)


def spaced(parts: Iterable[Markup | None]) -> Markup:
    """Return parts with spaces between them."""
    return Markup(" ".join(part for part in parts if part is not None))


def plain(value: Any) -> Any:
    """Return a JSON value in words."""
    if isinstance(value, Mapping):
        if value.keys() == {"id", "message"}:
            return f"{value['message']} ({value['id']})"
        return ", ".join(f"{key}: {'–' if item is None else item}" for key, item in value.items())
    return value


def nested(value: Any) -> Any:
    """Return a JSON value, indented if it holds others."""
    if isinstance(value, Mapping) and value.keys() != {"id", "message"}:
        return code(json.dumps(value, indent=2, ensure_ascii=False))
    return value


def pretty(body: bytes) -> str:
    """Return a body, indented if it is JSON."""
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body.decode("utf-8", "replace")


def when(moment: dt.datetime) -> Markup:
    """Return a moment."""
    # Lines may break between day and time only.
    day, time = moment.strftime("%d %b %Y|%H:%M:%S UTC").replace(" ", "\N{NO-BREAK SPACE}").split("|")
    return tag("time", {"datetime": moment.isoformat()}, f"{day} {time}")
