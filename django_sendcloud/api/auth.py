"""Credentials for Sendcloud: API keys (Basic) or OAuth2 client credentials."""

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
from ..exceptions import APIError, AuthenticationError, RequestNotSent, UnknownOutcome, WrongAddress
from ..hidden import HiddenStr
from .errors import error_for, wrong_address
from .transport import Response, Transport
from .urls import check_url, host_of

__all__ = ["SCOPE", "TOKEN_URL", "Auth", "BasicAuth", "MemoryTokenCache", "OAuth2ClientCredentials", "TokenCache"]

#: Sendcloud's token endpoint, with its slash (contract: ``OAuth2ClientCreds.flows.clientCredentials.tokenUrl``).
TOKEN_URL: Final = "https://account.sendcloud.com/oauth2/token/"  # noqa: S105  # an address

#: The scope of all of Sendcloud's API (contract: ``OAuth2ClientCreds``).
SCOPE: Final = "api"

_OPERATION = "get an access token"
_WHERE_BASIC = "find it in Sendcloud's panel under Settings > Integrations, in the settings of your API integration"
_WHERE_OAUTH2 = f"{_WHERE_BASIC} with OAuth2 authentication switched on"


class Auth(Protocol):
    """Gives each request its ``Authorization`` header."""

    scheme: AuthScheme

    def header(self, transport: Transport) -> str:
        """Return the header's value, asking for a token by ``transport`` where needed.

        Raises:
            APIError: no token could be obtained. Never an :class:`UnknownOutcome`.
        """

    def renew(self, rejected: str, transport: Transport) -> bool:
        """Return whether there is another header to try, now that ``rejected`` was answered 401."""


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

    def renew(self, rejected: str, transport: Transport) -> bool:
        """Return ``False``: the keys stay what they are."""
        return False

    def __repr__(self) -> str:
        return f"BasicAuth(public_key={_masked(self.public_key)})"


class TokenCache(Protocol):
    """Storage of tokens. Django's cache fits behind it in a few lines."""

    def get(self, key: str) -> str | None:
        """Return the value that was set, ``None`` where there is none or its time is over."""

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
    """OAuth2 client credentials: a token, renewed shortly before it expires.

    Args:
        client_id: The client's id.
        client_secret: The client's secret.
        token_url: The token endpoint, used exactly as it is given: a slash at its end matters.
        scope: The scopes to ask for, separated by blanks; ``""`` for none, which grants all the client has. Where
            the endpoint does not know the scope (``invalid_scope``), the token is asked for once without it.
        cache: Keeps the token; by default in memory, for this object alone.
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
        scope: str = SCOPE,
        cache: TokenCache | None = None,
        leeway: float = 60.0,
    ) -> None:
        _check_key("client_id", client_id, _WHERE_OAUTH2)
        _check_key("client_secret", client_secret, _WHERE_OAUTH2)
        self.client_id = client_id
        self.token_url = check_url("token_url", token_url)
        self._scope = scope
        self._cache = cache if cache is not None else MemoryTokenCache()
        self._leeway = leeway
        # RFC 6749, section 2.3.1: both are form-encoded before they become user and password.
        self._basic = _basic(urllib.parse.quote_plus(client_id), urllib.parse.quote_plus(client_secret))
        # Credentials are part of the key, so that no token outlives the secret it was given for.
        digest = hashlib.sha256(f"{self.token_url}\n{self._basic}\n{scope}".encode()).hexdigest()
        self._key = f"django-sendcloud-token-{digest[:40]}"
        self._lock = threading.Lock()

    def header(self, transport: Transport) -> str:
        """Return the header's value, with a token from the cache or a fresh one.

        Raises:
            AuthenticationError: the client's id or secret is rejected.
            APIError: no token could be had. Nothing has been sent to the API then.
        """
        token = self._cache.get(self._key)
        if token is None:
            with self._lock:  # one fetches, the other threads find it
                token = self._cache.get(self._key) or self._fetch(transport)
        return HiddenStr(f"Bearer {token}")

    def renew(self, rejected: str, transport: Transport) -> bool:
        """Fetch another token, unless another thread already has. Always ``True``."""
        with self._lock:
            token = self._cache.get(self._key)
            if token is None or f"Bearer {token}" == rejected:
                self._fetch(transport)
        return True

    def _fetch(self, transport: Transport) -> str:
        try:
            response = self._ask(transport, self._scope)
            if self._scope and response.status == 400 and _error_code(response.body) == "invalid_scope":
                self._scope = ""  # for this object's lifetime: the answer would be the same
                response = self._ask(transport, "")
            if not response.ok:
                raise self._rejection(response) or error_for(response, operation=_OPERATION)
        except UnknownOutcome as error:
            failure: APIError = RequestNotSent(f"no access token: {error.message}", operation=_OPERATION)
            failure.retry_after = error.retry_after
        else:
            token, ttl = _token(response.body)
            if token:
                if ttl > self._leeway:
                    self._cache.set(self._key, token, ttl - self._leeway)
                return token
            host = host_of(self.token_url)
            failure = RequestNotSent(f"no access token: the answer of {host} holds none", operation=_OPERATION)
        raise failure

    def _ask(self, transport: Transport, scope: str) -> Response:
        form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
        return transport.send(
            "POST",
            self.token_url,
            headers={
                "Authorization": self._basic,
                "Accept": "application/json",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            body=urllib.parse.urlencode(form).encode(),
            operation=_OPERATION,
        )

    def _rejection(self, response: Response) -> APIError | None:
        if elsewhere := wrong_address(response, self.token_url, "the address of OAuth2 tokens"):
            return elsewhere
        status = response.status
        if status in {404, 405, 410}:
            text = f"{self.token_url} is not the address of OAuth2 tokens; correct this address"
            return WrongAddress(text, operation=_OPERATION, status=status)
        if status not in {400, 401, 403}:
            return None
        return AuthenticationError(
            "the OAuth2 client id or secret is rejected, or OAuth2 is not switched on for the integration",
            operation=_OPERATION,
            status=status,
        )

    def __repr__(self) -> str:
        return f"OAuth2ClientCredentials(client_id={_masked(self.client_id)}, token_url={self.token_url!r})"


def _error_code(body: bytes) -> str:
    """Return the ``error`` of a token endpoint's rejection (RFC 6749, section 5.2)."""
    try:
        content: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    code = content.get("error") if isinstance(content, dict) else None
    return code if isinstance(code, str) else ""


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
    return HiddenStr(token), ttl if 0 < ttl < float("inf") else 0.0


def _check_key(name: str, value: str, where: str) -> None:
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, got {type(value).__name__}; {where}.")
    if not value.strip():
        raise ValueError(f"{name} is missing; {where}.")
    if value != value.strip() or not value.isprintable():
        raise ValueError(f"{name} has white space or control characters in or around it; copy it again ({where}).")


def _basic(user: str, password: str) -> HiddenStr:
    return HiddenStr(f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")


def _masked(key: str) -> str:
    return f"'{key[:4]}…'" if len(key) > 8 else "'…'"
