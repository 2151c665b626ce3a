"""Explanations of labels that do not fit their orders."""

from __future__ import annotations

from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from ...models import LabelConflict, Parcel, Shipment
from ...parcels.cancel import is_cancellable
from .errors import Explanation, FieldProblem, field_label

__all__ = ["changed_fields", "explain_conflict", "summary"]

_WHY = {
    LabelConflict.CANCELLED: _(
        "The order was cancelled, or is not to be shipped any more, after its label was made. Sendcloud still has it."
    ),
    LabelConflict.CHANGED: _("The order was changed after its label was made. The label shows the former data:"),
    LabelConflict.REPLACED: _("The order was divided in another way after its label was made."),
}


def explain_conflict(shipment: Shipment, parcels: list[Parcel]) -> Explanation:
    """Explain the open conflict of a shipment's label.

    Args:
        shipment: The shipment.
        parcels: Its parcels.
    """
    if any(is_cancellable(parcel) for parcel in parcels):
        advice = _(
            "Cancel the label, and the order goes to Sendcloud as it is now. Or keep the label, if the parcel may go "
            "as it is."
        )
    else:
        advice = _(
            "The carrier has the parcel already, so the label cannot be cancelled. Press “Keep the label” to close "
            "this task."
        )
    return Explanation(_("The label does not fit the order any more"), _WHY[_kind(shipment)], advice)


def changed_fields(shipment: Shipment) -> list[FieldProblem]:
    """Return the fields in which the order differs from its label; their values are stored nowhere."""
    return [FieldProblem(field_label(name), name, [], []) for name in shipment.label_differences]


def summary(shipment: Shipment) -> str:
    """Return a conflict in one line: its kind, and the fields that differ."""
    kind = capfirst(str(shipment.get_label_conflict_display()))
    fields = ", ".join(field_label(name) for name in shipment.label_differences)
    return f"{kind}: {fields}" if fields else kind


def _kind(shipment: Shipment) -> LabelConflict:
    return LabelConflict(shipment.label_conflict)
