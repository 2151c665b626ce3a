"""Task of the overview: one open problem with its buttons."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from django.utils.translation import ngettext

from ...models import Integration
from ..ui.buttons import Button, link_button

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["Task", "show"]


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


def show(number: int, url: str) -> tuple[Button, ...]:
    """Return the link to the list of a task's rows."""
    return link_button(ngettext("Show it", "Show them", number), url)
