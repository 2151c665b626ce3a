"""OAuth2 client credentials against a token endpoint on a real socket."""

from __future__ import annotations

import base64
import threading
import time
from typing import Any

import pytest

from django_sendcloud.api import MemoryTokenCache, OAuth2ClientCredentials
from django_sendcloud.exceptions import AuthenticationError, RateLimited, RequestNotSent, UnknownOutcome, WrongAddress
from tests.payloads.builders import shipment

from .conftest import answer, error


class Tokens:
    """A token endpoint and an API that takes only the newest token."""

    def __init__(self, serve: Any, *, expires_in: Any = 3600, refuse: int = 0) -> None:
        self.issued = 0
        self.refuse = refuse
        self.expires_in = expires_in
        self.server = serve(self.answer)

    @property
    def url(self) -> str:
        return f"{self.server.url}/oauth2/token/"

    def auth(self, **options: Any) -> OAuth2ClientCredentials:
        return OAuth2ClientCredentials("client-id", "cl:ient secret", token_url=self.url, **options)

    def answer(self, request: Any, connection: Any) -> bytes:
        if request.path == "/oauth2/token/":
            self.issued += 1
            token = {"access_token": f"ory_at_{self.issued}", "token_type": "bearer", "scope": "api"}
            return answer(token | ({} if self.expires_in is None else {"expires_in": self.expires_in}))
        if self.refuse > 0 or request.headers["authorization"] != f"Bearer ory_at_{self.issued}":
            self.refuse -= 1
            return error("401 Unauthorized", "token expired")
        return answer([])

    def asked(self) -> list[str]:
        return [request.path for request in self.server.requests]


def test_token_is_requested_once_and_reused(serve, connect) -> None:
    """The client requests one token and sends it with each request."""
    tokens = Tokens(serve)
    client = connect(tokens.server, auth=tokens.auth())
    for _ in range(3):
        client.v2.integrations.list()
    assert tokens.asked() == ["/oauth2/token/", *["/api/v2/integrations"] * 3]
    request = tokens.server.requests[0]
    assert request.method == "POST"
    assert request.body == b"grant_type=client_credentials&scope=api"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    scheme, _, credentials = request.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials)) == ("Basic", b"client-id:cl%3Aient+secret")
    assert tokens.server.requests[1].headers["authorization"] == "Bearer ory_at_1"


def test_token_is_renewed_shortly_before_expiry(serve, connect) -> None:
    now = [0.0]
    tokens = Tokens(serve, expires_in=3600)
    client = connect(tokens.server, auth=tokens.auth(cache=MemoryTokenCache(clock=lambda: now[0])))
    client.v2.integrations.list()
    now[0] = 3539
    client.v2.integrations.list()
    assert tokens.issued == 1
    now[0] = 3541
    client.v2.integrations.list()
    assert tokens.issued == 2


@pytest.mark.parametrize("expires_in", [None, 0, -5, 30, "soon", float("1e999"), {}])
def test_token_of_unknown_lifetime_is_not_cached(serve, connect, expires_in: Any) -> None:
    tokens = Tokens(serve, expires_in=expires_in)
    client = connect(tokens.server, auth=tokens.auth())
    if expires_in in ("soon", {}):
        tokens.expires_in = None
    client.v2.integrations.list()
    client.v2.integrations.list()
    assert tokens.issued == 2


def test_refused_token_is_renewed_and_request_repeated(serve, connect) -> None:
    """The client renews the token once, then repeats the request."""
    tokens = Tokens(serve)
    client = connect(tokens.server, auth=tokens.auth())
    client.v2.integrations.list()
    tokens.refuse = 1
    assert client.v2.shipments.upsert is not None
    client.v2.integrations.list()
    assert tokens.asked() == ["/oauth2/token/", *["/api/v2/integrations"] * 2, "/oauth2/token/", "/api/v2/integrations"]


def test_token_refused_after_renewal_raises_error(serve, connect) -> None:
    """Sendcloud rejects the renewed token as well, so the client stops."""
    tokens = Tokens(serve, refuse=99)
    with pytest.raises(AuthenticationError, match="does not accept the access token"):
        connect(tokens.server, auth=tokens.auth(), retries=3).v2.integrations.list()
    assert tokens.asked() == ["/oauth2/token/", "/api/v2/integrations"] * 2


def test_clients_share_tokens_through_their_cache(serve, connect) -> None:
    tokens, cache = Tokens(serve), MemoryTokenCache()
    for _ in range(3):
        connect(tokens.server, auth=tokens.auth(cache=cache)).v2.integrations.list()
    assert tokens.issued == 1
    other = OAuth2ClientCredentials("client-id", "another secret", token_url=tokens.url, cache=cache)
    connect(tokens.server, auth=other).v2.integrations.list()
    assert tokens.issued == 2  # no token outlives the secret it was given for


def test_token_renewed_by_another_process_is_used(serve, connect) -> None:
    """The cache already holds a newer token than the refused one."""
    tokens, cache = Tokens(serve), MemoryTokenCache()
    mine, other = (connect(tokens.server, auth=tokens.auth(cache=cache)) for _ in range(2))
    mine.v2.integrations.list()
    auth = tokens.auth(cache=cache)
    stale = "Bearer ory_at_0"
    assert auth.renew(stale, other._transport) is True
    assert tokens.issued == 1


def test_threads_ask_for_one_token_together(serve, connect) -> None:
    tokens = Tokens(serve)
    original = tokens.answer

    def slow(request: Any, connection: Any) -> bytes:
        if request.path == "/oauth2/token/":
            time.sleep(0.1)
        return original(request, connection)

    tokens.server.script = slow
    client = connect(tokens.server, auth=tokens.auth())
    threads = [threading.Thread(target=client.v2.integrations.list) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens.issued == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden"])
def test_refused_client_credentials_raise_authentication_error(serve, connect, status: str) -> None:
    server = serve(answer({"error": "invalid_client"}, status))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token")
    with pytest.raises(AuthenticationError, match=r"get an access token .*client id or secret is rejected"):
        connect(server, auth=auth).v2.shipments.upsert(7, [shipment()])


@pytest.mark.parametrize(
    "reply",
    [
        answer(b"<html>", "500 Oops"),
        answer(b"<html>"),
        answer({"access_token": ""}),
        answer({"access_token": "a\r\nX: y"}),
        answer({"access_token": 3}),
        answer([]),
        answer(b"", "200 OK", {"Content-Length": "50"}, length=False),
    ],
    ids=["500", "html", "empty", "injection", "number", "list", "truncated"],
)
def test_missing_token_prevents_sending_request(serve, connect, reply: bytes) -> None:
    server = serve(lambda request, connection: connection.sendall(reply))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token")
    with pytest.raises(RequestNotSent, match="no access token") as caught:
        connect(server, auth=auth, read_timeout=0.5).v2.shipments.upsert(7, [shipment()])
    assert not isinstance(caught.value, UnknownOutcome)
    assert [request.path for request in server.requests] == ["/token"]


def test_busy_token_endpoint_raises_rate_limited(serve, connect) -> None:
    """The error carries the wait that the token endpoint asked for."""
    server = serve(answer(b"", "429 Slow", {"Retry-After": "5"}))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token")
    with pytest.raises(RateLimited) as caught:
        connect(server, auth=auth).v2.integrations.list()
    assert caught.value.retry_after == 5.0


def test_missing_secret_or_unsafe_url_is_refused(serve) -> None:
    with pytest.raises(ValueError, match=r"client_secret is missing; find it .* with OAuth2 authentication"):
        OAuth2ClientCredentials("id", "")
    with pytest.raises(ValueError, match="token_url must be https"):
        OAuth2ClientCredentials("id", "secret", token_url="http://account.sendcloud.com/oauth2/token")


def test_repr_shows_no_secret() -> None:
    auth = OAuth2ClientCredentials("0123456789", "very secret value")
    assert (
        repr(auth)
        == "OAuth2ClientCredentials(client_id='0123…', token_url='https://account.sendcloud.com/oauth2/token/')"
    )
    assert "very secret" not in repr(vars(auth))


def test_keys_and_auth_exclude_each_other(connect, serve) -> None:
    with pytest.raises(ValueError, match="not both"):
        connect(serve(b""), auth=OAuth2ClientCredentials("id", "secret"), public_key="x")


# Scope and address


@pytest.mark.parametrize(
    ("scope", "form"),
    [
        ("api", b"grant_type=client_credentials&scope=api"),
        ("read:order write:order", b"grant_type=client_credentials&scope=read%3Aorder+write%3Aorder"),
        ("", b"grant_type=client_credentials"),
    ],
)
def test_scope_is_asked_for_as_set(serve, connect, scope: str, form: bytes) -> None:
    tokens = Tokens(serve)
    connect(tokens.server, auth=tokens.auth(scope=scope)).v2.integrations.list()
    assert tokens.server.requests[0].body == form


def test_unknown_scope_is_left_out_once(serve, connect) -> None:
    """The answer would be the same each time, so that the object remembers it."""
    forms = []

    def script(request: Any, connection: Any) -> bytes:
        if request.path != "/token/":
            return answer([])
        forms.append(request.body)
        if b"scope" in request.body:
            return answer({"error": "invalid_scope"}, "400 Bad Request")
        return answer({"access_token": "ory_at", "expires_in": 0})

    server = serve(script)
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token/")
    client = connect(server, auth=auth)
    client.v2.integrations.list()
    client.v2.integrations.list()
    assert forms == [
        b"grant_type=client_credentials&scope=api",
        b"grant_type=client_credentials",
        b"grant_type=client_credentials",
    ]


@pytest.mark.parametrize("error_code", ["invalid_client", "unauthorized_client", None, 3, ["invalid_scope"]])
def test_other_rejection_is_not_retried_without_scope(serve, connect, error_code: Any) -> None:
    server = serve(answer({"error": error_code}, "400 Bad Request"))
    with pytest.raises(AuthenticationError):
        connect(
            server, auth=OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/t")
        ).v2.integrations.list()
    assert len(server.requests) == 1


def test_invalid_scope_twice_is_rejection(serve, connect) -> None:
    server = serve(answer({"error": "invalid_scope"}, "400 Bad Request"))
    with pytest.raises(AuthenticationError):
        connect(
            server, auth=OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/t")
        ).v2.integrations.list()
    assert len(server.requests) == 2


@pytest.mark.parametrize("path", ["/oauth2/token/", "/oauth2/token", "/x//"])
def test_token_address_is_used_exactly_as_given(serve, connect, path: str) -> None:
    """A strict server answers 404 at the other one, and a redirected POST would lose its body."""

    def script(request: Any, connection: Any) -> bytes:
        if request.path == path:
            return answer({"access_token": "ory_at", "expires_in": 3600})
        return answer([]) if request.path == "/api/v2/integrations" else error("404 Not Found", "Not found.")

    server = serve(script)
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}{path}")
    assert connect(server, auth=auth).v2.integrations.list() == []
    assert server.requests[0].target == path


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("404 Not Found", {}),
        ("405 Not Allowed", {}),
        *((s, {"Content-Type": "text/html"}) for s in ("401 No", "403 No")),
    ],
)
def test_wrong_token_address_is_named(serve, connect, status: str, headers: dict[str, str]) -> None:
    """It says nothing of the keys."""
    server = serve(answer(b"<html>" if headers else {"detail": "x"}, status, headers))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token")
    with pytest.raises(WrongAddress, match=f"{server.url}/token is not the address of OAuth2 tokens"):
        connect(server, auth=auth).v2.integrations.list()


def test_default_token_address_is_the_contracts() -> None:
    from django_sendcloud.api.auth import SCOPE, TOKEN_URL

    from . import contracts

    flow = contracts.document("orders-v3")["components"]["securitySchemes"]["OAuth2ClientCreds"]["flows"]
    assert flow["clientCredentials"]["tokenUrl"] == TOKEN_URL
    assert set(flow["clientCredentials"]["scopes"]) == {SCOPE}
