"""Credentials of a request: Basic auth with the keys of an integration, or an OAuth2 token."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote_plus

from ..enums import AuthScheme
from .behaviour import Behaviour
from .store import SandboxIntegration, Store

__all__ = ["Authenticator", "Denied", "Token"]


class Denied(Exception):
    """Refusal of credentials. The message gives the reason."""


@dataclass(frozen=True, slots=True)
class Token:
    """An OAuth2 token.

    Attributes:
        expires: End of its life, in seconds of the monotonic clock.
        scopes: Scopes it was issued for.
    """

    value: str
    integration_id: int
    expires: float
    scopes: frozenset[str] = frozenset()


class Authenticator:
    """Checks keys and tokens.

    Attributes:
        token_lifetime: Life of a new token in seconds.
    """

    def __init__(self, store: Store, behaviour: Behaviour) -> None:
        self.token_lifetime = 3600
        self._store = store
        self._behaviour = behaviour
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def integration(self, header: str) -> SandboxIntegration:
        """Return the integration that an ``Authorization`` header belongs to.

        Raises:
            Denied: The credentials are wrong or revoked, or the integration demands another scheme.
        """
        scheme, _, value = header.partition(" ")
        match scheme.lower():
            case "basic":
                user, password = _read_basic(value)
                integration = self._by_keys(user, password)
                if integration.auth == AuthScheme.OAUTH2:
                    raise Denied("This integration uses OAuth2 authentication. Basic authentication is switched off.")
            case "bearer":
                integration = self._by_token(value.strip())
            case "":
                raise Denied("Authentication credentials were not provided.")
            case _:
                raise Denied("Invalid authentication scheme.")
        if integration.revoked:
            raise Denied("User inactive or deleted.")
        return integration

    def permits(self, header: str, scope: str) -> bool:
        """Return whether credentials permit an operation. Keys and tokens with the scope ``api`` permit all."""
        scheme, _, value = header.partition(" ")
        if not scope or scheme.lower() != "bearer":
            return True
        with self._lock:
            token = self._tokens.get(value.strip())
        return token is not None and bool(token.scopes & {"api", scope})

    def issue(self, header: str, form: str) -> Token:
        """Issue a token (OAuth2, client credentials).

        Raises:
            Denied: ``invalid_client``, ``unsupported_grant_type`` or ``invalid_scope``.
        """
        scheme, _, value = header.partition(" ")
        try:
            if scheme.lower() != "basic":
                raise Denied("no client")
            # RFC 6749, section 2.3.1: user and password are form-encoded first.
            integration = self._by_keys(*(unquote_plus(part) for part in _read_basic(value)))
        except Denied:
            raise Denied("invalid_client") from None
        if integration.revoked or integration.auth != AuthScheme.OAUTH2:
            raise Denied("invalid_client")
        fields = parse_qs(form)
        if fields.get("grant_type") != ["client_credentials"]:
            raise Denied("unsupported_grant_type")
        granted = self._behaviour.oauth_scopes
        wanted = set(" ".join(fields.get("scope", [])).split()) or granted
        if wanted - granted:
            raise Denied("invalid_scope")
        expires = time.monotonic() + self.token_lifetime
        token = Token(f"ory_at_{secrets.token_urlsafe(32)}", integration.id, expires, frozenset(wanted))
        with self._lock:
            self._tokens[token.value] = token
        return token

    def revoke_tokens(self) -> None:
        """Revoke all tokens."""
        with self._lock:
            self._tokens.clear()

    def _by_keys(self, public_key: str, secret_key: str) -> SandboxIntegration:
        integration = self._store.by_public_key(public_key)
        if integration is None or not hmac.compare_digest(integration.secret_key.encode(), secret_key.encode()):
            raise Denied("Invalid username/password.")
        return integration

    def _by_token(self, value: str) -> SandboxIntegration:
        with self._lock:
            token = self._tokens.get(value)
        if token is not None and token.expires > time.monotonic():
            integration = self._store.integrations.get(token.integration_id)
            if integration is not None and integration.auth == AuthScheme.OAUTH2:
                return integration
        raise Denied("Invalid or expired token.")


def _read_basic(value: str) -> tuple[str, str]:
    try:
        user, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise Denied("Invalid basic header. Credentials not correctly base64 encoded.") from None
    if not colon:
        raise Denied("Invalid basic header. Credentials not correctly base64 encoded.")
    return user, password
