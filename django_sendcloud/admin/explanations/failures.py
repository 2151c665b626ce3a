"""Explanations of failed requests of operators."""

from __future__ import annotations

import dataclasses

from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ...conf import SendcloudConfigurationError, conf
from ...core.crypto import DecryptionError
from ...core.deployment import CopyOfShop
from ...exceptions import APIError, AuthenticationError, NotFound, RequestNotSent, TLSError, WrongAddress
from ...models import Integration, PauseReason
from .errors import ERRORS, PAUSES, Explanation, explain_error
from .health import NO_KEYS

__all__ = ["FAILURES", "RATE_LIMIT_REACHED", "demands_oauth2", "explain_failure"]

#: Errors of a request to Sendcloud: it failed, or the keys are unreadable or malformed.
FAILURES = (APIError, SendcloudConfigurationError, ValueError)

RATE_LIMIT_REACHED = _(
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
WRONG_ADDRESS = ERRORS["wrong_address"]


def demands_oauth2(error: Exception) -> bool:
    """Return whether Sendcloud rejected the keys because the integration demands OAuth2."""
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
            return WRONG_ADDRESS
        case SendcloudConfigurationError():
            return MISCONFIGURED
        case AuthenticationError() if demands_oauth2(error):
            return OAUTH2_REQUIRED
        case NotFound(operation="list integrations"):
            return WRONG_ADDRESS
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
