"""Actions on labels: cancel them at Sendcloud, or keep them for orders that changed afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...enums import ParcelPhase
from ...exceptions import NotFound, RateLimited, RequestRejected
from ...models import Parcel, Shipment
from ...models.statuses import ANNOUNCEMENT_FAILED
from ...parcels.cancel import MAX_LABELS, cancel_labels
from ...sync.outcomes import reaction_to
from ...sync.push.frozen import keep_label
from ..actions.action import Action, Question, Rows, action, confirmed_criteria, notify, report_count
from ..actions.history import log
from ..explanations.errors import explain_error
from ..explanations.failures import RATE_LIMIT_REACHED
from ..explanations.labels import summary

__all__ = ["cancel_action", "cancellable", "keep_action"]


def cancellable(parcels: QuerySet[Parcel]) -> QuerySet[Parcel]:
    """Return the parcels whose labels Sendcloud may still cancel, in SQL."""
    announced = Q(phase=ParcelPhase.ANNOUNCED.value) | Q(status_id=ANNOUNCEMENT_FAILED)
    return parcels.filter(announced, is_return=False)


def cancel_action(
    name: str,
    parcels_of: Callable[[Any, Rows], QuerySet[Parcel]],
    *,
    owners: Callable[[Any, HttpRequest, list[Parcel]], Iterable[Any]] = lambda model_admin, request, parcels: [],
    permission: str = "cancel_label",
    offered: Callable[[Any], bool],
) -> Action:
    """Return an action that cancels the labels of rows at Sendcloud. It always asks.

    Args:
        name: Name of the action.
        parcels_of: Parcels of an admin's rows that can be cancelled.
        owners: Objects whose histories record it, too.
        permission: Suffix of the admin's ``has_<permission>_permission`` that is required.
        offered: Whether the page of an object shows the button.
    """

    def ask(model_admin: Any, request: HttpRequest, rows: Rows) -> Question:
        parcels = parcels_of(model_admin, rows)
        number = parcels.count()
        title = ngettext("Cancel %(number)d label", "Cancel %(number)d labels", number) % {"number": number}
        consequences = [
            _("Sendcloud cancels them, with all labels that were requested together with them."),
            _("Sendcloud refunds labels that the carrier has not scanned."),
            _("A parcel that is handed over anyway may get lost."),
            _("The orders go to Sendcloud as they are now: changed, or removed if they are not to be shipped."),
        ]
        too_late = _("None of them can be cancelled: the carrier has the parcels already, or they are cancelled.")
        return Question(
            list(consequences) if number else [],
            [] if number else [too_late],
            rows=parcels,
            title=title if number else gettext("There is no label to cancel"),
            button=ngettext("Cancel the label", "Cancel the labels", number),
        )

    def run(model_admin: Any, request: HttpRequest, parcels: Rows) -> None:
        found = cancel_labels(list(parcels.select_related("integration__account").order_by("pk")))
        for done, said in (
            (found.cancelled, _("Cancelled the label.")),
            (found.queued, _("Asked for a cancellation.")),
        ):
            log(request, done, said)
            if mine := list(owners(model_admin, request, done)) if done else []:
                log(request, mine, said)
        if number := len(found.cancelled):
            sentence = ngettext("%(number)d label is cancelled.", "%(number)d labels are cancelled.", number)
            messages.success(request, sentence % {"number": number})
        if number := len(found.queued):
            sentence = ngettext(
                "Sendcloud asks the carrier to cancel %(number)d label. The answer may take 14 days.",
                "Sendcloud asks the carrier to cancel %(number)d labels. The answers may take 14 days.",
                number,
            )
            messages.warning(request, sentence % {"number": number})
        for parcel, error in found.failed:
            messages.error(request, f"{parcel}: {_why_not(error)}")
            unknown = _("Cancelling the label was interrupted: Sendcloud may have received it.")
            log(request, [parcel], unknown if _is_unknown(error) else _("Cancelling the label failed."))
        notify("inbox")

    run.__name__ = name
    made = action(
        _("Cancel the label…"),
        permission=permission,
        ask=ask,
        offered=offered,
        emphasis="danger",
        most=MAX_LABELS,
    )
    return made(run)


def _is_unknown(error: Exception) -> bool:
    return reaction_to(error).unknown


def _why_not(error: Exception) -> str:
    if isinstance(error, NotFound):
        return gettext("Sendcloud does not know this parcel.")
    if isinstance(error, RequestRejected):
        rejected = gettext(
            "Sendcloud does not cancel it: it is shipped, cancelled already, or older than 42 days. (%(detail)s)"
        )
        return rejected % {"detail": error}
    if isinstance(error, RateLimited):
        return str(RATE_LIMIT_REACHED)
    explanation = explain_error(error)
    return f"{explanation.title}. {explanation.advice} ({error})"


def keep_action(
    name: str,
    shipments_of: Callable[[Any, Rows], QuerySet[Shipment]],
    *,
    owners: Callable[[Any, HttpRequest, list[Shipment]], Iterable[Any]] = lambda model_admin, request, shipments: [],
    permission: str = "cancel_label",
    offered: Callable[[Any], bool],
) -> Action:
    """Return an action that accepts the conflicts of labels. It always asks, and names what is accepted.

    Args:
        name: Name of the action.
        shipments_of: Shipments with a conflict of an admin's rows.
        owners: Objects whose histories record it, too.
        permission: Suffix of the admin's ``has_<permission>_permission`` that is required.
        offered: Whether the page of an object shows the button.
    """

    def ask(model_admin: Any, request: HttpRequest, rows: Rows) -> Question:
        shipments = shipments_of(model_admin, rows).order_by("pk")
        found = list(shipments)
        number = len(found)
        title = ngettext("Keep %(number)d label as it is", "Keep %(number)d labels as they are", number)
        settled = _("No label is in conflict with its order: another operator or a change has settled it.")
        return Question(
            [
                *(f"{shipment}: {summary(shipment)}." for shipment in found[:MAX_NAMED]),
                _("The parcels go as their labels say, and the labels can be printed in bulk again."),
                _("You are asked again if an order changes later."),
            ]
            if found
            else [],
            [] if found else [settled],
            rows=shipments,
            title=title % {"number": number} if number else gettext("There is nothing to keep"),
            button=ngettext("Keep the label", "Keep the labels", number),
            criteria=[_criterion(shipment) for shipment in found],
        )

    def run(model_admin: Any, request: HttpRequest, rows: Rows) -> None:
        confirmed = set(confirmed_criteria(request))
        kept = [shipment for shipment in rows if _criterion(shipment) in confirmed and keep_label(shipment)]
        changed = rows.model._default_manager.with_label_conflict().filter(pk__in=[row.pk for row in rows]).count()
        log(request, kept, _("Kept the label for the order as it is now."))
        if mine := list(owners(model_admin, request, kept)) if kept else []:
            log(request, mine, _("Kept the label for the order as it is now."))
        if changed:
            sentence = ngettext(
                "%(number)d order changed again meanwhile, so its label conflict stays open.",
                "%(number)d orders changed again meanwhile, so their label conflicts stay open.",
                changed,
            )
            messages.warning(request, sentence % {"number": changed})
        if kept or not changed:
            sentence = ngettext("%(number)d label is kept.", "%(number)d labels are kept.", len(kept))
            report_count(request, len(kept), sentence % {"number": len(kept)})

    run.__name__ = name
    return action(_("Keep the label…"), permission=permission, ask=ask, offered=offered)(run)


# Conflicts that the question names; the others are counted.
MAX_NAMED = 20


def _criterion(shipment: Shipment) -> str:
    """Return the conflict that the operator saw."""
    return f"{shipment.pk}:{shipment.label_conflict}:{shipment.label_wanted}"
