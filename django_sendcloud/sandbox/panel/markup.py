"""HTML that escapes everything except its own elements."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["Markup", "fragment", "tag"]

_EMPTY: Final = frozenset({"br", "input", "link", "meta"})


class Markup(str):
    """HTML text."""

    __slots__ = ()


def tag(name: str, attributes: Mapping[str, Any] | None = None, *children: Any) -> Markup:
    """Return an element.

    Args:
        name: Name of the element.
        attributes: Attributes; ``None`` and ``False`` leave one out, ``True`` gives it no value.
        children: Content. Markup stays, lists are flattened, ``None`` is nothing, everything else is escaped.
    """
    written = []
    for key, value in (attributes or {}).items():
        if value is True:
            written.append(f" {key}")
        elif value is not None and value is not False:
            written.append(f' {key}="{_escape(value)}"')
    start = f"<{name}{''.join(written)}>"
    return Markup(start) if name in _EMPTY else Markup(f"{start}{fragment(*children)}</{name}>")


def fragment(*children: Any) -> Markup:
    """Return several children in a row."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, Iterable) and not isinstance(child, str):
            parts.append(fragment(*child))
        elif child is not None:
            parts.append(_escape(child))
    return Markup("".join(parts))


def _escape(value: Any) -> str:
    # JSON can hold half a surrogate pair, which cannot be encoded.
    return html.escape(str(value).encode("utf-8", "replace").decode())
