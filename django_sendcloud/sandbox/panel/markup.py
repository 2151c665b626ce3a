"""HTML that cannot be got wrong: whatever is not made here is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["Markup", "fragment", "tag"]

_EMPTY: Final = frozenset({"br", "input", "link", "meta"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, attributes: Mapping[str, Any] | None = None, *children: Any) -> Markup:
    """Make an element.

    Args:
        name: Of the element.
        attributes: Those that are ``None`` or ``False`` are left out, ``True`` stands without a value.
        children: Markup as it is, anything else escaped; lists one by one; ``None`` is nothing.
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
    """Put several things one after the other."""
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
    # Half a surrogate pair, which JSON can hold, cannot be encoded.
    return html.escape(str(value).encode("utf-8", "replace").decode())
