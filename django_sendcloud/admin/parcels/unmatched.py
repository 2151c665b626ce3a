"""Parcels without an order: dismissed with a note, taken back, or assigned to a suggested shipment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ...models import Parcel
from ..actions.action import Question, Rows, action, in_chunks, report_count
from ..actions.history import log
from ..actions.notes import NoteForm, log_with_note, name_of

if TYPE_CHECKING:
    from ..base import SendcloudAdmin

__all__ = ["dismiss_parcels", "needs_assignment", "reopen_parcels"]


def needs_assignment(parcel: Parcel) -> bool:
    """Return whether an operator still has to assign or dismiss a parcel."""
    return parcel.shipment_id is None and parcel.dismissed_at is None


def _ask_dismiss(model_admin: SendcloudAdmin[Parcel], request: HttpRequest, rows: Rows) -> Question:
    unmatched: QuerySet[Parcel] = rows.needing_assignment()  # type: ignore[attr-defined]  # ParcelQuerySet
    number = unmatched.count()
    left = rows.count() - number
    title = ngettext("Dismiss %(number)d parcel", "Dismiss %(number)d parcels", number)
    left_out = ngettext(
        "%(number)d is left out: it belongs to an order, or is dismissed already.",
        "%(number)d are left out: they belong to an order, or are dismissed already.",
        left,
    )
    return Question(
        [
            _("They are not counted as tasks any more. Their updates are still kept."),
            _("If their order becomes known, they are linked to it all the same. You can take this back."),
        ]
        if number
        else [],
        [left_out % {"number": left}] if left else [],
        rows=unmatched,
        title=title % {"number": number} if number else "",
        button=_("Dismiss"),
        form=NoteForm(request),
    )


@action(_("Dismiss…"), permission="assign", ask=_ask_dismiss, offered=needs_assignment, emphasis="quiet")
def dismiss_parcels(model_admin: SendcloudAdmin[Parcel], request: HttpRequest, rows: Rows) -> None:
    """Take these parcels off the list of tasks, with a note."""
    note, number = NoteForm(request).text, 0
    values: dict[str, Any] = {"dismissed_by": name_of(request)[:150], "dismissed_note": note}
    for chunk in in_chunks(rows):
        # A colleague or an update may have dealt with some meanwhile.
        parcels = list(chunk.needing_assignment())  # type: ignore[attr-defined]  # ParcelQuerySet
        number += Parcel.objects.filter(pk__in=[parcel.pk for parcel in parcels]).update(
            dismissed_at=timezone.now(), **values
        )
        log_with_note(request, parcels, _("Dismissed."), note)
    sentence = ngettext("%(number)d parcel is dismissed.", "%(number)d parcels are dismissed.", number)
    report_count(request, number, sentence % {"number": number})


@action(
    _("Take back the dismissal"),
    permission="assign",
    offered=lambda parcel: parcel.dismissed_at is not None and parcel.shipment_id is None,
    emphasis="quiet",
)
def reopen_parcels(model_admin: SendcloudAdmin[Parcel], request: HttpRequest, rows: Rows) -> None:
    """Count these parcels as a task again."""
    number = 0
    for chunk in in_chunks(rows):
        parcels = list(chunk.filter(dismissed_at__isnull=False))
        number += Parcel.objects.filter(pk__in=[parcel.pk for parcel in parcels]).update(
            dismissed_at=None, dismissed_by="", dismissed_note=""
        )
        log(request, parcels, _("Dismissal taken back."))
    sentence = ngettext("%(number)d parcel is a task again.", "%(number)d parcels are tasks again.", number)
    report_count(request, number, sentence % {"number": number})
