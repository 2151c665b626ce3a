"""Task of the overview: one open problem with its buttons."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from django.utils.translation import ngettext

from ...models import Integration
from .snapshot import Button

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Task", "link", "show"]


@dataclasses.dataclass(frozen=True, slots=True)
class Task:
    """Open task of an operator.

    Args:
        urgency: The smaller, the sooner.
        title: Problem.
        text: Reason and instruction.
        buttons: Buttons and links; the first one solves it.
        orders: Number of orders it stops.
        integration: Integration it stops.
        stops: Whether it stops orders.
    """

    urgency: int
    title: StrOrPromise
    text: StrOrPromise
    buttons: tuple[Button, ...] = ()
    orders: int = 0
    integration: Integration | None = None
    stops: bool = False


def link(label: StrOrPromise, url: str) -> tuple[Button, ...]:
    """Return the link as a task's buttons; none without a URL."""
    return (Button(label, url),) if url else ()


def show(number: int, url: str) -> tuple[Button, ...]:
    """Return the link to the list of a task's rows."""
    return link(ngettext("Show it", "Show them", number), url)
