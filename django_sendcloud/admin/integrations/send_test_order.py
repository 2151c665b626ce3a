"""Test order: the last step of connecting an integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...exceptions import RateLimited
from ...models import Integration
from ...sync.send_test_order import send_test_order
from ..actions.action import Question, Rows, action
from ..actions.history import log
from ..explanations.errors import fields_of
from ..explanations.failures import FAILURES, RATE_LIMIT_REACHED
from .copies import may_be_copy
from .failures import report_failure
from .webhook import has_usable_keys

if TYPE_CHECKING:
    from ..base import SendcloudAdmin

__all__ = ["test_order"]


def _ask(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> Question:
    return Question(
        [
            _("An order whose number begins with TEST appears at Sendcloud, and is deleted there some seconds later."),
            _("No label is made, and nothing is stored in the shop."),
        ]
    )


@action(
    _("Send a test order…"),
    permission="push",
    ask=_ask,
    offered=lambda integration: has_usable_keys(integration) and integration.is_active and not may_be_copy(integration),
    emphasis="quiet",
)
def test_order(model_admin: SendcloudAdmin[Integration], request: HttpRequest, rows: Rows) -> None:
    """Make an order at Sendcloud, see it there, and delete it."""
    integration = rows.get()
    try:
        sent = send_test_order(integration)
    except RateLimited:
        messages.warning(request, RATE_LIMIT_REACHED)
        return
    except FAILURES as error:
        report_failure(model_admin, request, integration, error, _("Send a test order"))
        return
    values = {"number": sent.number}
    if sent.rejected:
        fields = "; ".join(f"{field.label}: {' '.join(field.messages)}" for field in fields_of(sent.rejected))
        text = gettext("Sendcloud rejected the test order: %(fields)s")
        messages.error(request, text % {"fields": fields})
        log(request, [integration], _("Sent a test order: Sendcloud rejected it."))
    elif sent.works:
        text = gettext("The test order %(number)s was made at Sendcloud, seen there and deleted again: orders arrive.")
        messages.success(request, text % values)
        log(request, [integration], _("Sent a test order: it works."))
    elif sent.was_deleted:
        text = gettext(
            "Sendcloud accepted the test order %(number)s, and did not show it in time. It is deleted again."
        )
        messages.warning(request, text % values)
        log(request, [integration], _("Sent a test order: Sendcloud did not show it."))
    else:
        text = gettext("The test order %(number)s could not be deleted: delete it in Sendcloud's panel.")
        messages.warning(request, text % values)
        log(request, [integration], _("Sent a test order: it was not deleted."))
