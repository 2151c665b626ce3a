"""Containers that keep their content out of reprs: of error pages, of log records and of Sentry's local variables.

Sentry walks through mappings and lists whatever their ``repr`` says, but asks an object's type for ``__sentry_repr__``
first (https://github.com/getsentry/sentry-python, ``sentry_sdk/serializer.py``).
"""

from __future__ import annotations

from typing import Any

__all__ = ["HiddenBytes", "HiddenDict", "HiddenList", "HiddenStr", "hide"]


class _Hidden:
    """A mixin whose ``repr`` names the type and nothing of the content."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<hidden>"

    __sentry_repr__ = __repr__


class HiddenDict(_Hidden, dict[Any, Any]):
    """A dict that does not show its content."""

    __slots__ = ()


class HiddenList(_Hidden, list[Any]):
    """A list that does not show its content."""

    __slots__ = ()


class HiddenStr(_Hidden, str):
    """A string that does not show its content in reprs. ``str()`` of it is the content."""

    __slots__ = ()


class HiddenBytes(_Hidden, bytes):
    """Bytes that do not show their content."""

    __slots__ = ()
    __str__ = _Hidden.__repr__


def hide(value: Any, *, texts: bool = True) -> Any:
    """Return a JSON value with every object, array and text of it hidden, at any depth.

    Args:
        value: The value.
        texts: ``False`` leaves texts as they are, so that objects made of them have readable reprs.

    Raises:
        RecursionError: It is nested too deeply.
    """
    if isinstance(value, dict):
        return HiddenDict({key: hide(each, texts=texts) for key, each in value.items()})
    if isinstance(value, list):
        return HiddenList([hide(each, texts=texts) for each in value])
    return HiddenStr(value) if texts and isinstance(value, str) else value
