"""What a person tried with Sendcloud and did not get: said in human words, and kept in Django's history.

A request that broke off may have been carried out all the same. Then the history has to know of it as well.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest
from django.utils import translation
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..conf import SendcloudConfigurationError, conf
from ..crypto import DecryptionError
from ..exceptions import APIError, AuthenticationError, NotFound, RequestNotSent, TLSError
from ..models import Integration
from ..sync.outcomes import reaction_to
from .actions import log
from .explain import Explanation, explain_error
from .health import NO_KEYS

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

    from .base import SendcloudAdmin

__all__ = ["AT_FULL_SPEED", "FAILURES", "demands_oauth2", "explain_failure", "note", "report_failure"]

#: What asking Sendcloud may raise: it went wrong, the keys cannot be read, or they cannot be keys at all.
FAILURES = (APIError, SendcloudConfigurationError, ValueError)

AT_FULL_SPEED = _(
    "Orders go out at full speed at the moment, and there is no room for anything else. Nothing was changed. Please "
    "try again in a minute."
)

OAUTH2_REQUIRED = Explanation(
    _("This integration demands OAuth2"),
    _("OAuth2 is switched on for it in Sendcloud's panel, and then it refuses plain API keys."),
    _(
        "Choose OAuth2 as authentication and enter the client id and the client secret that the panel shows, or switch "
        "OAuth2 off there."
    ),
)
UNREADABLE = Explanation(
    _("The stored keys cannot be read any more"),
    _("They are encrypted, and the key they were encrypted with is gone."),
    _(
        "Enter both keys anew. Or let the shop's developer put the former key back at the end of "
        "SENDCLOUD['ENCRYPTION_KEYS']."
    ),
)
MISCONFIGURED = Explanation(
    _("The shop's settings do not let it ask Sendcloud"),
    _("Something in them cannot work, or would not be safe. What it is stands at the end of this message."),
    _("Let the shop's developer correct it."),
)
NOWHERE = Explanation(
    _("What answered is not Sendcloud's API"),
    _("The address that the shop has for Sendcloud leads somewhere else."),
    _("Let the shop's developer check SENDCLOUD['BASE_URL']."),
)
MAYBE = _("It may have been done all the same: look in Sendcloud's panel, or simply try again.")


def demands_oauth2(error: Exception) -> bool:
    """Whether the keys were refused because the integration wants them used in another way."""
    return isinstance(error, AuthenticationError) and "demands OAuth2" in str(error)


def explain_failure(error: Exception, integration: Integration | None = None) -> Explanation:
    """What is wrong, and its cure: more exactly than the engine has to know it.

    Args:
        error: One of ``FAILURES``.
        integration: Which one was asked with its stored keys, if one was.
    """
    if integration is not None and not (integration.public_key and integration.secret_key):
        return NO_KEYS
    match error:
        case DecryptionError():
            return UNREADABLE
        case SendcloudConfigurationError():
            return MISCONFIGURED
        case AuthenticationError() if demands_oauth2(error):
            return OAUTH2_REQUIRED
        case NotFound(operation="list integrations"):
            return NOWHERE
        case TLSError():
            return explain_error(error)
        case RequestNotSent():
            cure = format_lazy(
                _(
                    "Try again in a minute. If it stays so, let whoever runs the server see to it that {host} can be "
                    "reached: network, firewall, name service."
                ),
                host=conf().host,
            )
            return dataclasses.replace(explain_error(error), cure=cure)
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
    """Tell the person what went wrong, and write it into the history.

    Args:
        model_admin: Whose message it is.
        request: Of the person.
        integration: With which one it was tried.
        error: One of ``FAILURES``.
        doing: What was tried, for the history: *Register the webhook*.
        changes: Whether it would have changed something at Sendcloud.
        **values: What ``doing`` has placeholders for.
    """
    explanation = explain_failure(error, integration)
    # What was read to confirm a change is read after it.
    unknown = changes and (reaction_to(error).unknown or getattr(error, "operation", "") == "get integration")
    cure = MAYBE if unknown else explanation.cure
    model_admin.report(request, messages.ERROR, explanation.title, explanation.why, cure, f"({error})")
    text = (
        _("%(doing)s: nobody knows whether it was done. %(problem)s.")
        if unknown
        else _("%(doing)s: it was not done. %(problem)s.")
        if changes
        else _("%(doing)s: it failed. %(problem)s.")
    )
    note(request, integration, text, doing=_Filled(doing, values), problem=explanation.title)


def note(request: HttpRequest, integration: Integration, message: StrOrPromise, **values: Any) -> None:
    """Write into the integration's history who did what, in the site's language: it is everybody's history.

    Args:
        request: Of the person.
        integration: Of which one.
        message: What was done.
        **values: What it has placeholders for; of a list, all.
    """
    with translation.override(settings.LANGUAGE_CODE):
        text = str(_Filled(message, values))
    log(request, [integration], text)


class _Filled:
    """A text and its values, put together as late as in the language it is read in."""

    def __init__(self, text: StrOrPromise, values: dict[str, Any]) -> None:
        self._text, self._values = text, values

    def __str__(self) -> str:
        shown = {
            name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            for name, value in self._values.items()
        }
        return str(self._text) % shown if shown else str(self._text)
