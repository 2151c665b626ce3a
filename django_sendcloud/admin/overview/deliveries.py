"""Tasks of the overview for orders that are not on their way, and for labels that do not fit their orders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...models import Parcel, Shipment
from ...parcels.delivery_tasks import DeliveryTask, days_of
from ..lists.filters import LABEL_CONFLICT
from ..ui.buttons import Button
from ..ui.humanize import format_number
from .snapshot import Snapshot
from .task import Task, show

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["delivery_tasks"]

# After everything that keeps orders from Sendcloud, before the webhooks' tasks.
URGENCY = {
    DeliveryTask.PROBLEM: 32,
    DeliveryTask.PICKUP: 33,
    DeliveryTask.UNSCANNED: 34,
    DeliveryTask.UNLABELLED: 36,
    DeliveryTask.RETURNED: 37,
}
_TEXTS: dict[DeliveryTask, StrOrPromise] = {
    DeliveryTask.UNLABELLED: _("Make their labels in Sendcloud, or cancel the orders in the shop."),
    DeliveryTask.UNSCANNED: _(
        "The carrier has not scanned them, and their labels are billed. Find the parcels, or cancel the labels."
    ),
    DeliveryTask.PICKUP: _("Remind the buyers: the carrier sends back parcels that are not collected."),
    DeliveryTask.PROBLEM: _("The carrier could not deliver. See each parcel's timeline, and contact buyer or carrier."),
    DeliveryTask.RETURNED: _("These parcels came back. Refund the orders or send them again."),
}


def delivery_tasks(snapshot: Snapshot) -> Iterator[Task]:
    """Yield a task for each reason why orders are not on their way."""
    if number := snapshot.label_conflicts:
        sentence = ngettext(
            "%(number)s label does not fit its order any more",
            "%(number)s labels do not fit their orders any more",
            number,
        )
        text = _(
            "The orders were changed or cancelled after their labels were made. Cancel each label or keep it; until "
            "then it is left out of printing in bulk."
        )
        yield Task(31, sentence % {"number": format_number(number)}, text, _show(snapshot, LABEL_CONFLICT, number))
    if number := snapshot.ready_to_print:
        sentence = ngettext("%(number)s label is ready to print", "%(number)s labels are ready to print", number)
        buttons = show(number, snapshot.list(Parcel, printing="ready"))
        text = _("Made in Sendcloud, not printed here, and not on their way yet.")
        yield Task(80, sentence % {"number": format_number(number)}, text, buttons)
    for task, number in snapshot.deliveries.items():
        if number:
            yield Task(URGENCY[task], _title(task, number), _TEXTS[task], _show(snapshot, task.value, number))


def _show(snapshot: Snapshot, delivery: str, number: int) -> tuple[Button, ...]:
    return show(number, snapshot.list(Shipment, delivery=delivery))


def _title(task: DeliveryTask, number: int) -> str:
    days = int(days_of(task))
    match task:
        case DeliveryTask.UNLABELLED:
            sentence = ngettext(
                "%(number)s shipment has been at Sendcloud without a parcel for %(time)s",
                "%(number)s shipments have been at Sendcloud without a parcel for %(time)s",
                number,
            )
        case DeliveryTask.UNSCANNED:
            sentence = ngettext(
                "%(number)s shipment has a label that has not been scanned for %(time)s",
                "%(number)s shipments have labels that have not been scanned for %(time)s",
                number,
            )
        case DeliveryTask.PICKUP:
            sentence = ngettext(
                "%(number)s shipment has been ready for pickup for %(time)s",
                "%(number)s shipments have been ready for pickup for %(time)s",
                number,
            )
        case DeliveryTask.PROBLEM:
            sentence = ngettext(
                "%(number)s shipment with a delivery problem", "%(number)s shipments with a delivery problem", number
            )
        case _:
            sentence = ngettext("%(number)s shipment was returned", "%(number)s shipments were returned", number)
    period = (
        ngettext("%(days)s day", "%(days)s days", days) % {"days": format_number(days)}
        if days
        else gettext("some hours")
    )
    return sentence % {"number": format_number(number), "time": period}
