"""Who we are to Sendcloud: API keys (Basic) or OAuth2 client credentials."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, Final, Protocol

from ..enums import AuthScheme
from ..exceptions import APIError, AuthenticationError, RequestNotSent, UnknownOutcome
from .errors import error_for
from .transport import Transport
from .urls import check_url

__all__ = ["TOKEN_URL", "Auth", "BasicAuth", "MemoryTokenCache", "OAuth2ClientCredentials", "TokenCache"]

#: Sendcloud's token endpoint (https://sendcloud.dev/docs/getting-started/authentication).
TOKEN_URL: Final = "https://account.sendcloud.com/oauth2/token"  # noqa: S105  # an address

_WHERE_BASIC = "find it in Sendcloud's panel under Settings > Integrations, in the settings of your API integration"
_WHERE_OAUTH2 = f"{_WHERE_BASIC} with OAuth2 authentication switched on"


class Auth(Protocol):
    """Gives each request its ``Authorization`` header."""

    scheme: AuthScheme

    def header(self, transport: Transport) -> str:
        """Return the header's value, asking for a token by ``transport`` where needed.

        Raises:
            APIError: a token was needed and not to be had. Never an :class:`UnknownOutcome`.
        """

    def renew(self, refused: str, transport: Transport) -> bool:
        """Return whether there is another header to try, now that ``refused`` was answered 401."""


class BasicAuth:
    """API keys, sent with each request (HTTP Basic).

    Args:
        public_key: The public key.
        secret_key: The secret key.

    Raises:
        ValueError: a key is missing or cannot be a key.
    """

    scheme = AuthScheme.BASIC

    def __init__(self, public_key: str, secret_key: str) -> None:
        _check_key("public_key", public_key, _WHERE_BASIC)
        _check_key("secret_key", secret_key, _WHERE_BASIC)
        if ":" in public_key:
            raise ValueError("public_key holds a colon, which no public key does; was it pasted with the secret key?")
        self.public_key = public_key
        self._header = _basic(public_key, secret_key)

    def header(self, transport: Transport) -> str:
        """Return the header's value."""
        return self._header

    def renew(self, refused: str, transport: Transport) -> bool:
        """Return ``False``: the keys stay what they are."""
        return False

    def __repr__(self) -> str:
        return f"BasicAuth(public_key={_masked(self.public_key)})"


class TokenCache(Protocol):
    """Where tokens are kept. Django's cache fits behind it in a few lines."""

    def get(self, key: str) -> str | None:
        """Return what was set, ``None`` where there is nothing or its time is over."""

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a value for ``ttl`` seconds."""


class MemoryTokenCache:
    """A token cache for the threads of one process.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens: dict[str, tuple[float, str]] = {}

    def get(self, key: str) -> str | None:
        """Return the token, ``None`` where there is none or its time is over."""
        expires, token = self._tokens.get(key, (float("-inf"), ""))
        return token if self._clock() < expires else None

    def set(self, key: str, value: str, ttl: float) -> None:
        """Keep a token for ``ttl`` seconds."""
        self._tokens[key] = (self._clock() + ttl, value)


class OAuth2ClientCredentials:
    """OAuth2 client credentials: a token with the scope ``api``, renewed shortly before it expires.

    Args:
        client_id: The client's id.
        client_secret: The client's secret.
        token_url: The token endpoint.
        cache: Where the token is kept; by default in memory, for this object alone.
        leeway: Seconds before its expiry at which a token is not used any more.

    Raises:
        ValueError: a key is missing, or the address is not safe.
    """

    scheme = AuthScheme.OAUTH2

    def __init__(
        self,
        client_id: str,
        client_secret: str,
        token_url: str = TOKEN_URL,
        cache: TokenCache | None = None,
        leeway: float = 60.0,
    ) -> None:
        _check_key("client_id", client_id, _WHERE_OAUTH2)
        _check_key("client_secret", client_secret, _WHERE_OAUTH2)
        self.client_id = client_id
        self.token_url = check_url("token_url", token_url)
        self._cache = cache if cache is not None else MemoryTokenCache()
        self._leeway = leeway
        # RFC 6749, section 2.3.1: both are form-encoded before they become user and password.
        self._basic = _basic(urllib.parse.quote_plus(client_id), urllib.parse.quote_plus(client_secret))
        # Credentials are part of the key, so that no token outlives the secret it was given for.
        digest = hashlib.sha256(f"{self.token_url}\n{self._basic}".encode()).hexdigest()
        self._key = f"django-sendcloud-token-{digest[:40]}"
        self._lock = threading.Lock()

    def header(self, transport: Transport) -> str:
        """Return the header's value, with a token from the cache or a fresh one.

        Raises:
            AuthenticationError: the client's id or secret is refused.
            APIError: no token could be had. Nothing has been sent to the API then.
        """
        token = self._cache.get(self._key)
        if token is None:
            with self._lock:  # one fetches, the other threads find it
                token = self._cache.get(self._key) or self._fetch(transport)
        return f"Bearer {token}"

    def renew(self, refused: str, transport: Transport) -> bool:
        """Fetch another token, unless somebody else already has. Always ``True``."""
        with self._lock:
            token = self._cache.get(self._key)
            if token is None or f"Bearer {token}" == refused:
                self._fetch(transport)
        return True

    def _fetch(self, transport: Transport) -> str:
        operation = "get an access token"
        try:
            answer = transport.send(
                "POST",
                self.token_url,
                headers={
                    "Authorization": self._basic,
                    "Accept": "application/json",
                    "Content-Type": "application/x-www-form-urlencoded",
                },
                body=b"grant_type=client_credentials&scope=api",
                operation=operation,
            )
            if not answer.ok:
                raise self._refusal(answer.status) or error_for(answer, operation=operation)
        except UnknownOutcome as error:
            failure: APIError = RequestNotSent(f"no access token: {error.message}", operation=operation)
            failure.retry_after = error.retry_after
        else:
            token, ttl = _token(answer.body)
            if token:
                if ttl > self._leeway:
                    self._cache.set(self._key, token, ttl - self._leeway)
                return token
            failure = RequestNotSent("no access token: the answer holds none", operation=operation)
        raise failure

    def _refusal(self, status: int) -> APIError | None:
        if status not in {400, 401, 403}:
            return None
        return AuthenticationError(
            "the OAuth2 client id or secret is refused, or OAuth2 is not switched on for the integration",
            operation="get an access token",
            status=status,
        )

    def __repr__(self) -> str:
        return f"OAuth2ClientCredentials(client_id={_masked(self.client_id)}, token_url={self.token_url!r})"


def _token(body: bytes) -> tuple[str, float]:
    """Read the token and the seconds it lives; an empty token where the answer cannot be read."""
    try:
        answer: Any = json.loads(body)
        token = answer["access_token"]
        ttl = float(answer.get("expires_in") or 0)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", 0.0
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        return "", 0.0
    return token, ttl if 0 < ttl < float("inf") else 0.0


def _check_key(name: str, value: str, where: str) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {type(value).__name__}; {where}.")
    if not value.strip():
        raise ValueError(f"{name} is missing; {where}.")
    if value != value.strip() or not value.isprintable():
        raise ValueError(f"{name} has white space or control characters in or around it; copy it again ({where}).")


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def _masked(key: str) -> str:
    return f"'{key[:4]}…'" if len(key) > 8 else "'…'"
