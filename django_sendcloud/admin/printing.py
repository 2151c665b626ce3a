"""Printing labels: of parcels, or of what they belong to. One document, fetched by the server."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _

from ..enums import ParcelPhase
from ..labels import MOST, MergingNotInstalled, fetch
from ..models import Parcel
from .actions import Action, Question, Rows, action, log

__all__ = ["is_printable", "label_action", "printable"]

# Where it is kept how the person printed last.
SESSION = "sendcloud_labels"
LABEL_PRINTER = "a6"
PLACES = {
    "a4_1": _("A4, four on a sheet, beginning at the upper left"),
    "a4_2": _("A4, four on a sheet, beginning at the upper right"),
    "a4_3": _("A4, four on a sheet, beginning at the lower left"),
    "a4_4": _("A4, four on a sheet, beginning at the lower right"),
}
gettext_noop("It has no label.")  # what labels.fetch() says


class LayoutForm(forms.Form):
    """How labels are laid out. What was chosen last is chosen beforehand: on A4, the place after the last label."""

    layout = forms.ChoiceField(
        label=_("Paper"),
        choices=[(LABEL_PRINTER, _("Label printer, one label a page")), *PLACES.items()],
        widget=forms.RadioSelect,
    )

    def __init__(self, request: HttpRequest) -> None:
        before = request.session.get(SESSION, LABEL_PRINTER)
        answered = request.POST.get("confirmed") == "yes"
        super().__init__(
            {"layout": request.POST.get("layout", before)} if answered else None, initial={"layout": before}
        )


def is_printable(parcel: Parcel) -> bool:
    """Whether a label of it goes on a box to the buyer."""
    return bool(parcel.labels) and not parcel.is_return and parcel.phase != ParcelPhase.CANCELLED.value


def printable(parcels: QuerySet[Parcel]) -> QuerySet[Parcel]:
    """The same, in SQL."""
    return parcels.exclude(labels={}).exclude(phase=ParcelPhase.CANCELLED.value).filter(is_return=False)


def label_action(
    name: str,
    label: Any,
    parcels_of: Callable[[Any, Rows], QuerySet[Parcel]],
    *,
    belongs_to: str,
    owners: Callable[[Any, HttpRequest, list[Parcel]], Iterable[Any]] = lambda model_admin, request, parcels: [],
    permission: str = "print",
    offered: Callable[[Any], bool],
) -> Action:
    """What prints the labels of rows: on a list it says how many there are and asks for the paper.

    Args:
        name: Of the action.
        label: What the button says.
        parcels_of: The parcels of rows of an admin whose labels are meant.
        belongs_to: The field of a parcel that tells whose it is.
        owners: What the parcels belong to, to have it in its history too.
        permission: The ``has_<permission>_permission`` of the admin that is required.
        offered: Whether there is a button on the page of an object.
    """

    def ask(model_admin: Any, request: HttpRequest, rows: Rows) -> Question:
        parcels = parcels_of(model_admin, rows)
        number = parcels.count()
        bare = rows.count() - parcels.order_by().values(belongs_to).distinct().count()
        sentence = ngettext(
            "%(number)d label opens as a document, to be printed.",
            "%(number)d labels open as one document, to be printed.",
            number,
        )
        left_out = ngettext(
            "%(number)d is left out: it has no label. Labels are made in Sendcloud.",
            "%(number)d are left out: they have no label. Labels are made in Sendcloud.",
            bare,
        )
        title = ngettext("Print %(number)d label", "Print %(number)d labels", number)
        return Question(
            [sentence % {"number": number}] if number else [],
            [left_out % {"number": bare}] if bare else [],
            rows=parcels,
            title=title % {"number": number} if number else gettext("There is no label"),
            button=_("Print"),
            form=LayoutForm(request),
        )

    def run(model_admin: Any, request: HttpRequest, parcels: Rows) -> HttpResponse | None:
        found = list(parcels.select_related("integration__account").order_by("pk"))
        answer = _document(request, found)
        if answer is not None:
            log(request, found, _("Opened the label."))
            if mine := list(owners(model_admin, request, found)):
                log(request, mine, _("Opened the labels."))
        return answer

    run.__name__ = name
    made = action(label, permission=permission, ask=ask, asks_for_one=False, offered=offered, most=MOST, opens=True)
    return made(run)


def _document(request: HttpRequest, parcels: list[Parcel]) -> HttpResponse | None:
    """Answer with a document, or say why there is none."""
    if not parcels:
        messages.warning(request, gettext("There is no label yet: they are made in Sendcloud."))
        return None
    labels = fetch(parcels)
    for parcel, why in labels.failed:
        text = gettext("No label for %(parcel)s: %(why)s")
        messages.warning(request, text % {"parcel": parcel, "why": gettext(why)})
    if not labels.pdfs:
        return None
    form = LayoutForm(request)
    layout = form.cleaned_data["layout"] if form.is_valid() else LABEL_PRINTER
    place = 0 if layout == LABEL_PRINTER else int(layout.removeprefix("a4_"))
    try:
        document = labels.a4(place) if place else labels.a6()
    except MergingNotInstalled as error:
        messages.error(request, gettext("Several labels cannot be merged here. %(how)s") % {"how": error})
        return None
    if form.is_bound:
        request.session[SESSION] = f"a4_{(place - 1 + len(labels.pdfs)) % 4 + 1}" if place else LABEL_PRINTER
    answer = HttpResponse(document, content_type="application/pdf")
    answer["Content-Disposition"] = 'inline; filename="labels.pdf"'
    answer["Cache-Control"] = "private, no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
