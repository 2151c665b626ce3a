"""Action that moves an integration to the other API generation, after a report of its effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from ...enums import ApiGeneration
from ...models import Integration, PauseReason
from ...sync import limiter
from ...sync.move import MoveFailed, MoveReport, begin_move, survey
from ..actions.action import Question, Rows, action
from ..actions.history import log
from ..explanations.failures import FAILURES, explain_failure
from .webhook import has_usable_keys

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from ..base import SendcloudAdmin

__all__ = ["move"]


def _sentences(report: MoveReport) -> list[StrOrPromise]:
    """Say what the move would do with the orders of each kind."""
    texts = {
        "adopted": (
            ngettext("%(number)d order stays as it is.", "%(number)d orders stay as they are.", report.adopted),
            report.adopted,
        ),
        "push": (
            ngettext("%(number)d order is sent again.", "%(number)d orders are sent again.", report.to_push),
            report.to_push,
        ),
        "recreated": (
            ngettext(
                "%(number)d shipment has another id in the new API: it is deleted there and sent again.",
                "%(number)d shipments have other ids in the new API: they are deleted there and sent again.",
                report.recreated,
            ),
            report.recreated,
        ),
        "left": (
            ngettext(
                "%(number)d shipment is left as it is: it has a label, or was split in Sendcloud's panel.",
                "%(number)d shipments are left as they are: they have labels, or were split in Sendcloud's panel.",
                report.left,
            ),
            report.left,
        ),
        "foreign": (
            ngettext(
                "%(number)d order is only at Sendcloud and is left alone.",
                "%(number)d orders are only at Sendcloud and are left alone.",
                report.foreign,
            ),
            report.foreign,
        ),
    }
    return [text % {"number": number} for text, number in texts.values() if number]


def _question(integration: Integration, target: ApiGeneration) -> Question:
    try:
        report = survey(integration, target, wait_seconds=limiter.OPERATOR_WAIT_SECONDS)
    except MoveFailed as error:
        return Question([str(error)])
    except FAILURES as error:
        explanation = explain_failure(error)
        return Question([_("Sendcloud could not be asked what it has:"), explanation.title, explanation.advice])
    heading = gettext("“%(name)s” moves from API %(old)s to API %(new)s.")
    names = {"name": integration, "old": integration.api_generation, "new": target.value}
    return Question(
        [
            heading % names,
            *_sentences(report),
            _("Sending stops during the move, which takes a few minutes. New orders are kept and sent then."),
            _("If the move is interrupted, it continues automatically. Resume ends it, and the old API stays."),
        ]
    )


def _begin(request: HttpRequest, integration: Integration, target: ApiGeneration) -> None:
    try:
        begin_move(integration, target)
    except MoveFailed as error:
        messages.error(request, str(error))
        return
    log(request, [integration], _("Started the move to another API."))
    text = gettext("“%(name)s” moves to API %(generation)s. It sends again when the move has ended.")
    messages.success(request, text % {"name": integration, "generation": target.value})


def _may_move(integration: Integration) -> bool:
    return integration.paused_reason not in (PauseReason.PERSON, PauseReason.MOVE) and has_usable_keys(integration)


def _other(integration: Integration) -> ApiGeneration:
    return ApiGeneration.V2 if integration.api_generation == ApiGeneration.V3 else ApiGeneration.V3


@action(
    _("Move to another API…"),
    permission="change",
    ask=lambda model_admin, request, rows: _question(rows.get(), _other(rows.get())),
    offered=_may_move,
    emphasis="quiet",
)
def move(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Move from API v2 to v3, which is open to every account, or back."""
    for integration in rows:
        _begin(request, integration, _other(integration))
