"""Failed requests of operators: explained, and recorded in Django's history.

Sendcloud may have carried out a request that broke off; the history says so.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ...conf import SendcloudConfigurationError, conf
from ...core.crypto import DecryptionError
from ...core.site import CopyOfShop
from ...exceptions import APIError, AuthenticationError, NotFound, RequestNotSent, TLSError, WrongAddress
from ...models import Integration, PauseReason
from ...sync.outcomes import reaction_to
from ..actions.history import Text, log
from .errors import ERRORS, PAUSES, Explanation, explain_error
from .health import NO_KEYS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from ..base import SendcloudAdmin

__all__ = ["AT_FULL_SPEED", "FAILURES", "demands_oauth2", "explain_failure", "report_failure"]

#: Errors of a request to Sendcloud: it failed, or the keys are unreadable or malformed.
FAILURES = (APIError, SendcloudConfigurationError, ValueError)

AT_FULL_SPEED = _(
    "Orders go out at full speed at the moment, which leaves no room for anything else. Nothing was changed. Please "
    "try again in a minute."
)

OAUTH2_REQUIRED = Explanation(
    _("This integration requires OAuth2"),
    _("OAuth2 is switched on for it in Sendcloud's panel, so it rejects plain API keys."),
    _(
        "Choose OAuth2 as authentication and enter the client id and the client secret that the panel shows, or switch "
        "OAuth2 off there."
    ),
)
UNREADABLE = Explanation(
    _("The stored keys cannot be read any more"),
    _("They are encrypted, and the key they were encrypted with is gone."),
    _(
        "Enter both keys again. Or ask your developer to put the former key back at the end of "
        "SENDCLOUD['ENCRYPTION_KEYS']."
    ),
)
MISCONFIGURED = Explanation(
    _("The shop's settings prevent requests to Sendcloud"),
    _("A setting cannot work, or would not be safe. The end of this message names it."),
    _("Ask your developer to fix it."),
)
NOWHERE = ERRORS["address"]
MAYBE = _("It may have been done all the same: look in Sendcloud's panel, or simply try again.")


def demands_oauth2(error: Exception) -> bool:
    """Return whether Sendcloud refused the keys because the integration demands OAuth2."""
    return isinstance(error, AuthenticationError) and error.oauth2_required


def explain_failure(error: Exception, integration: Integration | None = None) -> Explanation:
    """Explain a failed request, more exactly than the engine does.

    Args:
        error: One of ``FAILURES``.
        integration: Integration whose stored keys were used, if any.
    """
    if integration is not None and not (integration.public_key and integration.secret_key):
        return NO_KEYS
    match error:
        case DecryptionError():
            return UNREADABLE
        case CopyOfShop():
            return PAUSES[PauseReason.COPY.value]
        case WrongAddress():
            return NOWHERE
        case SendcloudConfigurationError():
            return MISCONFIGURED
        case AuthenticationError() if demands_oauth2(error):
            return OAUTH2_REQUIRED
        case NotFound(operation="list integrations"):
            return NOWHERE
        case TLSError():
            return explain_error(error)
        case RequestNotSent():
            advice = format_lazy(
                _(
                    "Try again in a minute. If the problem persists, ask your developer to make {host} reachable: "
                    "network, firewall, DNS."
                ),
                host=conf().host,
            )
            return dataclasses.replace(explain_error(error), advice=advice)
    return explain_error(error)


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
    explanation = explain_failure(error, integration)
    # The read that confirms a change follows it.
    unknown = changes and (reaction_to(error).unknown or getattr(error, "operation", "") == "get integration")
    advice = MAYBE if unknown else explanation.advice
    model_admin.report(request, messages.ERROR, explanation.title, explanation.why, advice, f"({error})")
    text = (
        _("%(doing)s: the result is unknown. %(problem)s.")
        if unknown
        else _("%(doing)s: it was not done. %(problem)s.")
        if changes
        else _("%(doing)s: it failed. %(problem)s.")
    )
    log(request, [integration], text, doing=Text(doing, **values), problem=explanation.title)
