"""Who asks: Basic auth with the keys of an integration, or a token got for them."""

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
from .state import SandboxIntegration, State

__all__ = ["Authenticator", "Denied", "Token"]


class Denied(Exception):
    """The credentials are not accepted. The message says why."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token of OAuth2."""

    value: str
    integration_id: int
    expires: float


class Authenticator:
    """Knows the keys and the tokens.

    Attributes:
        token_lifetime: Seconds a new token is good for.
    """

    def __init__(self, state: State) -> None:
        self.token_lifetime = 3600
        self._state = state
        self._tokens: dict[str, Token] = {}
        self._lock = threading.Lock()

    def integration(self, header: str) -> SandboxIntegration:
        """Return the integration an ``Authorization`` header belongs to.

        Raises:
            Denied: there is none, or it does not let in who comes this way.
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

    def issue(self, header: str, form: str) -> Token:
        """Give out a token (OAuth2, client credentials).

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
        if set(" ".join(fields.get("scope", [])).split()) - {"api"}:
            raise Denied("invalid_scope")
        token = Token(f"ory_at_{secrets.token_urlsafe(32)}", integration.id, time.monotonic() + self.token_lifetime)
        with self._lock:
            self._tokens[token.value] = token
        return token

    def revoke_tokens(self) -> None:
        """Let no token be good any more."""
        with self._lock:
            self._tokens.clear()

    def _by_keys(self, public_key: str, secret_key: str) -> SandboxIntegration:
        integration = self._state.by_public_key(public_key)
        if integration is None or not hmac.compare_digest(integration.secret_key.encode(), secret_key.encode()):
            raise Denied("Invalid username/password.")
        return integration

    def _by_token(self, value: str) -> SandboxIntegration:
        with self._lock:
            token = self._tokens.get(value)
        if token is not None and token.expires > time.monotonic():
            integration = self._state.integrations.get(token.integration_id)
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
