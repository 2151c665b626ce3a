"""Label printing, for parcels and for what they belong to: one document, fetched by the server."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _

from ...enums import ParcelPhase
from ...models import Parcel, Preference
from ...models.preference import PRINTING
from ...parcels.labels import MAX_LABELS, MergingNotInstalled, fetch
from ..actions.action import Action, Question, Rows, action, confirmed_criteria
from ..actions.history import log
from ..explanations.labels import explain_conflict, summary
from ..ui.humanize import clock_time, format_number

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["fitting", "is_printable", "label_action", "printable", "ready_to_print"]

LABEL_PRINTER = "a6"
PLACES = {
    "a4_1": _("A4, four on a sheet, beginning at the upper left"),
    "a4_2": _("A4, four on a sheet, beginning at the upper right"),
    "a4_3": _("A4, four on a sheet, beginning at the lower left"),
    "a4_4": _("A4, four on a sheet, beginning at the lower right"),
}
AS_LISTED = "list"
SORTINGS: dict[str, Any] = {
    AS_LISTED: _("As on the list"),
    "number": _("By order number"),
    "carrier": _("By carrier, then by order number"),
}
# Parcels of a selection that are looked at, in the order of its list.
MAX_SELECTED = 5000
# Criterion of the question: how many of the labels were printed before it.
PRINTED = "printed:"
gettext_noop("It has no label.")  # message of labels.fetch()


class PrintForm(forms.Form):
    """Form of a printout. Initially the operator's last choice; on A4, the place after the last label.

    Args:
        request: Request of the operator.
        printed: How many of the labels were printed before.
        number: How many labels there are.
        answered: Whether a confirmation counts as the answer.
    """

    layout = forms.ChoiceField(
        label=_("Paper"),
        choices=[(LABEL_PRINTER, _("Label printer, one label a page")), *PLACES.items()],
        widget=forms.RadioSelect,
    )
    sorting = forms.ChoiceField(
        label=_("Sorting"), choices=[*SORTINGS.items()], widget=forms.RadioSelect, required=False, initial=AS_LISTED
    )

    def __init__(self, request: HttpRequest, printed: int = 0, number: int = 0, *, answered: bool = True) -> None:
        initial = {"layout": LABEL_PRINTER, "sorting": AS_LISTED, "again": "no"} | _last_choice(request)
        answered = answered and request.POST.get("confirmed") == "yes"
        given = {name: request.POST.get(name, value) for name, value in initial.items()}
        super().__init__(given if answered else None, initial=initial)
        if 0 < printed < number:
            fresh = number - printed
            only = ngettext(
                "Print %(number)d that was not printed before", "Print %(number)d that were not printed before", fresh
            ) % {"number": fresh}
            again = ngettext("Print all %(number)d again", "Print all %(number)d again", number) % {"number": number}
            self.fields["again"] = forms.ChoiceField(
                label=_("Printed before"), choices=[("no", only), ("yes", again)], widget=forms.RadioSelect
            )
        if number < 2:
            del self.fields["sorting"]


def _last_choice(request: HttpRequest) -> dict[str, str]:
    return Preference.of(request.user, PRINTING) or {}


def is_printable(parcel: Parcel) -> bool:
    """Return whether the parcel has a label for a box to the buyer."""
    return bool(parcel.labels) and not parcel.is_return and parcel.phase != ParcelPhase.CANCELLED.value


def printable(parcels: QuerySet[Parcel]) -> QuerySet[Parcel]:
    """Return the printable parcels, in SQL."""
    return fitting(parcels.filter(is_return=False).exclude(labels={}).exclude(phase=ParcelPhase.CANCELLED.value))


def fitting(parcels: QuerySet[Parcel]) -> QuerySet[Parcel]:
    """Return the parcels whose labels fit their orders: without a change or a cancellation after the label."""
    return parcels.filter(Q(shipment=None) | Q(shipment__label_conflict=""))


def ready_to_print(parcels: QuerySet[Parcel]) -> QuerySet[Parcel]:
    """Return the parcels whose labels wait to be printed: not printed here, and not on their way yet."""
    return printable(parcels.filter(phase=ParcelPhase.ANNOUNCED.value, printed_at__isnull=True))


def label_action(
    name: str,
    label: Any,
    parcels_of: Callable[[Any, Rows], Sequence[int]],
    *,
    belongs_to: str,
    owners: Callable[[Any, HttpRequest, list[Parcel]], Iterable[Any]] = lambda model_admin, request, parcels: [],
    permission: str = "print",
    offered: Callable[[Any], bool],
    left_out: Callable[[Rows], tuple[int, str]] = lambda rows: (0, ""),
) -> Action:
    """Return an action that prints the labels of rows. On a list it asks for the paper first.

    Args:
        name: Name of the action.
        label: Label of the button.
        parcels_of: Keys of the parcels of an admin's rows, in the order of its list.
        belongs_to: Field of a parcel that names its row.
        owners: Objects whose histories record it, too.
        permission: Suffix of the admin's ``has_<permission>_permission`` that is required.
        offered: Whether the page of an object shows the button.
        left_out: Returns how many rows are left out for a reason of their own, with a sentence on them.
    """

    def ask(model_admin: Any, request: HttpRequest, rows: Rows) -> Question:
        found = parcels_of(model_admin, rows)
        total = found.count() if isinstance(found, QuerySet) else len(found)
        keys = list(found[:MAX_SELECTED])
        vars(request)["sendcloud_labels"] = keys
        parcels = Parcel.objects.filter(pk__in=keys)
        number, before = len(keys), _printed_before(parcels)
        printed = before.number if before else 0
        others, other = left_out(rows)
        bare = rows.count() - others - parcels.order_by().values(belongs_to).distinct().count()
        if total > number:
            # Rows beyond these may have labels.
            bare = 0
        # Only a label of its own, never one of several, is printed although it does not fit.
        unfit = _unfit(parcels.get()) if number == 1 else ""
        sentence = ngettext(
            "%(number)d label opens as a document, to be printed.",
            "%(number)d labels open as one document, to be printed.",
            min(number, MAX_LABELS),
        )
        title = ngettext("Print %(number)d label", "Print %(number)d labels", total)
        warnings: list[StrOrPromise] = [
            *([_left_out(bare)] if bare > 0 else []),
            *([other] if others else []),
            *([unfit] if unfit else []),
            *([_first_of(total)] if total > MAX_LABELS else []),
            *([_before(before)] if before else []),
        ]
        return Question(
            [sentence % {"number": min(number, MAX_LABELS)}] if number else [],
            warnings,
            rows=parcels.order_by("pk"),
            title=title % {"number": total} if number else gettext("There is no label"),
            button=_("Print again") if before and before.number == number else _("Print"),
            criteria=[f"{PRINTED}{printed}"],
            form=PrintForm(request, printed, number, answered=printed <= _printed_then(request)),
            always_asks=before is not None or bool(unfit) or not number,
        )

    def run(model_admin: Any, request: HttpRequest, parcels: Rows) -> HttpResponse | None:
        rows = list(parcels.select_related("integration__account"))
        before = sum(parcel.printed_at is not None for parcel in rows)
        form = PrintForm(request, before, len(rows))
        chosen = form.cleaned_data if form.is_valid() else {}
        if chosen.get("again") == "no":
            rows = [parcel for parcel in rows if parcel.printed_at is None]
        keys: list[int] = vars(request)["sendcloud_labels"]
        rows.sort(key=_sorting(chosen.get("sorting") or AS_LISTED, keys))
        found = rows[:MAX_LABELS]
        answer, printed = _document(request, found, form)
        if answer is not None:
            user = request.user.get_username()[:255]
            Parcel.objects.filter(pk__in=[parcel.pk for parcel in printed]).update(
                printed_at=timezone.now(), printed_by=user
            )
            log(request, printed, _("Printed the label."))
            if mine := list(owners(model_admin, request, printed)):
                log(request, mine, _("Printed the labels."))
        return answer

    run.__name__ = name
    return action(label, permission=permission, ask=ask, asks_for_one=False, offered=offered, opens=True)(run)


def _unfit(parcel: Parcel) -> str:
    """Return why a label should not be on a parcel; ``""`` if it may."""
    if parcel.phase == ParcelPhase.CANCELLED.value:
        return gettext("The label is cancelled. A parcel that is handed over with it may get lost.")
    if parcel.shipment is not None and parcel.shipment.label_conflict:
        title = explain_conflict(parcel.shipment, [parcel]).title
        return f"{title}. {summary(parcel.shipment)}."
    return ""


@dataclasses.dataclass(frozen=True, slots=True)
class _Printed:
    """Labels that were printed before: their number, and the last time, with the operator."""

    number: int
    at: dt.datetime
    by: str


def _printed_before(parcels: QuerySet[Parcel]) -> _Printed | None:
    printed = parcels.filter(printed_at__isnull=False)
    last = printed.order_by("-printed_at").values_list("printed_at", "printed_by").first()
    return _Printed(printed.count(), last[0], last[1]) if last and last[0] else None


def _printed_then(request: HttpRequest) -> int:
    """Return how many of the labels were printed when the operator was asked."""
    found = [each.removeprefix(PRINTED) for each in confirmed_criteria(request) if each.startswith(PRINTED)]
    return int(found[0]) if found and found[0].isdecimal() else 0


def _before(before: _Printed) -> str:
    sentence = ngettext(
        "%(number)d of them was printed before: %(time)s, by %(user)s. Two parcels with the same label get lost.",
        "%(number)d of them were printed before, the last %(time)s, by %(user)s. Two parcels with the same label get "
        "lost.",
        before.number,
    )
    return sentence % {"number": before.number, "time": clock_time(before.at), "user": before.by}


def _left_out(number: int) -> str:
    sentence = ngettext(
        "%(number)d is left out: it has no label, its label is cancelled, or its order was changed or cancelled after "
        "the label was made.",
        "%(number)d are left out: they have no label, their labels are cancelled, or their orders were changed or "
        "cancelled after the labels were made.",
        number,
    )
    return sentence % {"number": number}


def _first_of(number: int) -> str:
    text = gettext("The first %(most)s of %(number)s are printed now. The others stay in the queue “Ready to print”.")
    return text % {"most": format_number(MAX_LABELS), "number": format_number(number)}


def _sorting(sorting: str, keys: Sequence[int]) -> Callable[[Parcel], Any]:
    place = {key: number for number, key in enumerate(keys)}
    match sorting:
        case "number":
            return lambda parcel: (parcel.order_number, place[parcel.pk])
        case "carrier":
            return lambda parcel: (parcel.carrier, parcel.order_number, place[parcel.pk])
    return lambda parcel: place[parcel.pk]


def _document(request: HttpRequest, parcels: list[Parcel], form: PrintForm) -> tuple[HttpResponse | None, list[Parcel]]:
    """Return the document with the parcels in it, or report why there is none."""
    if not parcels:
        messages.warning(request, gettext("There is no label yet: they are made in Sendcloud."))
        return None, []
    labels = fetch(parcels)
    for parcel, why in labels.failed:
        text = gettext("No label for %(parcel)s: %(why)s")
        messages.warning(request, text % {"parcel": parcel, "why": gettext(why)})
    if not labels.pdfs:
        return None, []
    chosen = form.cleaned_data if form.is_valid() else {}
    layout = chosen.get("layout") or LABEL_PRINTER
    place = 0 if layout == LABEL_PRINTER else int(layout.removeprefix("a4_"))
    try:
        document = labels.a4(place) if place else labels.a6()
    except MergingNotInstalled as error:
        messages.error(request, gettext("Several labels cannot be merged here. %(how)s") % {"how": error})
        return None, []
    if form.is_bound:
        after = f"a4_{(place - 1 + labels.number) % 4 + 1}" if place else LABEL_PRINTER
        sorting = chosen.get("sorting") or _last_choice(request).get("sorting", AS_LISTED)
        Preference.keep(request.user, PRINTING, {"layout": after, "sorting": sorting})
    answer = HttpResponse(document, content_type="application/pdf")
    answer["Content-Disposition"] = 'inline; filename="labels.pdf"'
    answer["Cache-Control"] = "private, no-store"
    answer["X-Content-Type-Options"] = "nosniff"
    failed = {parcel.pk for parcel, _why in labels.failed}
    return answer, [parcel for parcel in parcels if parcel.pk not in failed]
