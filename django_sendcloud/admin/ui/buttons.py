"""Buttons and links that look like them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Button", "link_button"]


@dataclasses.dataclass(frozen=True, slots=True)
class Button:
    """A button or link.

    Args:
        label: Its text.
        url: Its URL.
        post: Whether it is a button that posts.
        name: Name of the posted field; ``""`` if none.
        value: Value of that field.
        emphasis: ``default``, ``quiet`` or ``danger``. The overview emphasizes the first of several instead.
        about: Its effect.
    """

    label: StrOrPromise
    url: str
    _: dataclasses.KW_ONLY
    post: bool = False
    name: str = ""
    value: str = ""
    emphasis: str = "quiet"
    about: StrOrPromise = ""


def link_button(label: StrOrPromise, url: str) -> tuple[Button, ...]:
    """Return the link as the buttons of a task; none without a URL."""
    return (Button(label, url),) if url else ()
