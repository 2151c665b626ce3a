"""A secret that was entered and is not stored yet, kept from one request to the next so that nobody enters it twice.

It lies in the session, encrypted with the keys of this app, for ten minutes, for one user and one form; it is never in
a page, an address or a log. The page has a ticket instead, which is worth nothing without the session: with it a page
that promised to have kept something finds out when that is gone, rather than going on silently without.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from cryptography.fernet import InvalidToken
from django.http import HttpRequest

from ..crypto import keyring

__all__ = ["KEPT_SECONDS", "forget", "keep", "kept", "promised"]

KEPT_SECONDS = 600
_IN_SESSION = "django_sendcloud.entered"


def keep(request: HttpRequest, form: str, entered: Mapping[str, str]) -> str:
    """Keep what was entered, instead of anything kept before.

    Args:
        request: Of the person who entered it.
        form: Which form it belongs to; no other one gets it.
        entered: The fields and what was entered into them.

    Returns:
        The ticket.
    """
    if not entered:
        forget(request)
        return ""
    ticket = f"{secrets.token_urlsafe(12)}.{'.'.join(entered)}"
    content = json.dumps([_who(request), form, ticket, dict(entered)])
    request.session[_IN_SESSION] = keyring().encrypt(content.encode()).decode()
    return ticket


def kept(request: HttpRequest, form: str, ticket: str) -> dict[str, str]:
    """What was kept against this ticket; nothing where it is over, somebody else's, or of another form."""
    token = request.session.get(_IN_SESSION)
    if not ticket or not isinstance(token, str):
        return {}
    try:
        who, which, issued, entered = json.loads(keyring().decrypt(token.encode(), ttl=KEPT_SECONDS))
    except (InvalidToken, ValueError):
        return {}
    return dict(entered) if (who, which, issued) == (_who(request), form, ticket) else {}


def promised(ticket: str) -> list[str]:
    """The fields whose content a ticket stands for."""
    return ticket.split(".")[1:]


def forget(request: HttpRequest) -> None:
    """Keep nothing any more."""
    request.session.pop(_IN_SESSION, None)


def _who(request: HttpRequest) -> str:
    return str(request.user.pk)
