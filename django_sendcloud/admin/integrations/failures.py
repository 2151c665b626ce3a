"""Failed requests of operators: reported, and recorded in Django's history.

Sendcloud may have carried out a request that broke off; the history says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ...exceptions import RateLimited
from ...models import Integration
from ...sync.outcomes import reaction_to
from ..actions.history import Text, log
from ..base import SendcloudAdmin
from ..explanations.failures import RATE_LIMIT_REACHED, explain_failure

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ["report_failure"]

MAYBE_DONE = _("It may have been done all the same: look in Sendcloud's panel, or simply try again.")


def report_failure(
    model_admin: SendcloudAdmin[Any],
    request: HttpRequest,
    integration: Integration,
    error: Exception,
    doing: StrOrPromise,
    *,
    changes: bool = True,
    **values: Any,
) -> None:
    """Report a failed request to the operator and record it in the history.

    Args:
        model_admin: Admin that shows the message.
        request: Request of the operator.
        integration: Integration of the request.
        error: One of ``FAILURES``.
        doing: What was tried, for the history: *Register the webhook*.
        changes: Whether the request would have changed something at Sendcloud.
        **values: What ``doing`` has placeholders for.
    """
    if isinstance(error, RateLimited) and error.status is None:
        # Our own limit: nothing was sent.
        messages.warning(request, RATE_LIMIT_REACHED)
        return
    explanation = explain_failure(error, integration)
    # The read that confirms a change follows it.
    unknown = changes and (reaction_to(error).unknown or getattr(error, "operation", "") == "get integration")
    advice = MAYBE_DONE if unknown else explanation.advice
    model_admin.report(request, messages.ERROR, explanation.title, explanation.why, advice, f"({error})")
    text = (
        _("%(doing)s: the result is unknown. %(problem)s.")
        if unknown
        else _("%(doing)s: it was not done. %(problem)s.")
        if changes
        else _("%(doing)s: it failed. %(problem)s.")
    )
    log(request, [integration], text, doing=Text(doing, **values), problem=explanation.title)
