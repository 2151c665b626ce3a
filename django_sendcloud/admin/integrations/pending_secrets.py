"""Secrets that were entered but not saved, kept for the next request.

The session holds them, encrypted with this app's keys, for ten minutes, one user and one form; no page, URL or log
has them. The page holds a ticket, which is worthless without the session: with it the form notices that a secret
expired.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from cryptography.fernet import InvalidToken
from django.http import HttpRequest

from ...core.crypto import keyring
from ...hidden import HiddenStr, hide

__all__ = ["KEPT_SECONDS", "field_names", "forget", "load", "store"]

KEPT_SECONDS = 600
_IN_SESSION = "django_sendcloud.entered"


def store(request: HttpRequest, form: str, entered: Mapping[str, str]) -> str:
    """Keep these secrets instead of any kept before.

    Args:
        request: Request of the operator who entered them.
        form: Form they belong to; no other one gets them.
        entered: Fields with their secrets.

    Returns:
        The ticket.
    """
    if not entered:
        forget(request)
        return ""
    ticket = f"{secrets.token_urlsafe(12)}.{'.'.join(entered)}"
    content = HiddenStr(json.dumps([_user_key(request), form, ticket, dict(entered)]))
    request.session[_IN_SESSION] = keyring().encrypt(content.encode()).decode()
    return ticket


def load(request: HttpRequest, form: str, ticket: str) -> dict[str, str]:
    """Return the secrets of this ticket; none if it expired or belongs to another user or form."""
    token = request.session.get(_IN_SESSION)
    if not ticket or not isinstance(token, str):
        return {}
    try:
        content = hide(json.loads(keyring().decrypt(token.encode(), ttl=KEPT_SECONDS)))
        who, which, issued, entered = content
    except (InvalidToken, ValueError):
        return {}
    return dict(entered) if (who, which, issued) == (_user_key(request), form, ticket) else {}


def field_names(ticket: str) -> list[str]:
    """Return the fields of a ticket."""
    return ticket.split(".")[1:]


def forget(request: HttpRequest) -> None:
    """Forget all kept secrets."""
    request.session.pop(_IN_SESSION, None)


def _user_key(request: HttpRequest) -> str:
    return str(request.user.pk)
