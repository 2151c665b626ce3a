"""OAuth2 client credentials against a token endpoint on a real socket."""

from __future__ import annotations

import base64
import threading
import time
from typing import Any

import pytest

from django_sendcloud.api import MemoryTokenCache, OAuth2ClientCredentials
from django_sendcloud.exceptions import AuthenticationError, RateLimited, RequestNotSent, UnknownOutcome
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
        return self.server.url.replace("/api/v2", "/oauth2/token")

    def auth(self, **options: Any) -> OAuth2ClientCredentials:
        return OAuth2ClientCredentials("client-id", "cl:ient secret", token_url=self.url, **options)

    def answer(self, request: Any, connection: Any) -> bytes:
        if request.path == "/oauth2/token":
            self.issued += 1
            token = {"access_token": f"ory_at_{self.issued}", "token_type": "bearer", "scope": "api"}
            return answer(token | ({} if self.expires_in is None else {"expires_in": self.expires_in}))
        if self.refuse > 0 or request.headers["authorization"] != f"Bearer ory_at_{self.issued}":
            self.refuse -= 1
            return error("401 Unauthorized", "token expired")
        return answer([])

    def asked(self) -> list[str]:
        return [request.path for request in self.server.requests]


def test_a_token_is_asked_for_once_and_sent_with_each_request(serve, connect) -> None:
    tokens = Tokens(serve)
    client = connect(tokens.server, auth=tokens.auth())
    for _ in range(3):
        client.integrations.list()
    assert tokens.asked() == ["/oauth2/token", *["/api/v2/integrations"] * 3]
    request = tokens.server.requests[0]
    assert request.method == "POST"
    assert request.body == b"grant_type=client_credentials&scope=api"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    scheme, _, credentials = request.headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(credentials)) == ("Basic", b"client-id:cl%3Aient+secret")
    assert tokens.server.requests[1].headers["authorization"] == "Bearer ory_at_1"


def test_a_token_is_renewed_shortly_before_it_expires(serve, connect) -> None:
    now = [0.0]
    tokens = Tokens(serve, expires_in=3600)
    client = connect(tokens.server, auth=tokens.auth(cache=MemoryTokenCache(clock=lambda: now[0])))
    client.integrations.list()
    now[0] = 3539
    client.integrations.list()
    assert tokens.issued == 1
    now[0] = 3541
    client.integrations.list()
    assert tokens.issued == 2


@pytest.mark.parametrize("expires_in", [None, 0, -5, 30, "soon", float("1e999"), {}])
def test_a_token_of_unknown_or_short_life_is_not_kept(serve, connect, expires_in: Any) -> None:
    tokens = Tokens(serve, expires_in=expires_in)
    client = connect(tokens.server, auth=tokens.auth())
    if expires_in in ("soon", {}):
        tokens.expires_in = None
    client.integrations.list()
    client.integrations.list()
    assert tokens.issued == 2


def test_a_refused_token_is_renewed_once_and_the_request_repeated(serve, connect) -> None:
    tokens = Tokens(serve)
    client = connect(tokens.server, auth=tokens.auth())
    client.integrations.list()
    tokens.refuse = 1
    assert client.shipments(7).upsert is not None
    client.integrations.list()
    assert tokens.asked() == ["/oauth2/token", *["/api/v2/integrations"] * 2, "/oauth2/token", "/api/v2/integrations"]


def test_a_token_that_is_refused_for_good_is_an_error(serve, connect) -> None:
    tokens = Tokens(serve, refuse=99)
    with pytest.raises(AuthenticationError, match="does not accept the access token"):
        connect(tokens.server, auth=tokens.auth(), retries=3).integrations.list()
    assert tokens.asked() == ["/oauth2/token", "/api/v2/integrations"] * 2


def test_clients_share_tokens_through_their_cache(serve, connect) -> None:
    tokens, cache = Tokens(serve), MemoryTokenCache()
    for _ in range(3):
        connect(tokens.server, auth=tokens.auth(cache=cache)).integrations.list()
    assert tokens.issued == 1
    other = OAuth2ClientCredentials("client-id", "another secret", token_url=tokens.url, cache=cache)
    connect(tokens.server, auth=other).integrations.list()
    assert tokens.issued == 2  # no token outlives the secret it was given for


def test_a_token_renewed_by_another_process_is_taken_over(serve, connect) -> None:
    tokens, cache = Tokens(serve), MemoryTokenCache()
    mine, other = (connect(tokens.server, auth=tokens.auth(cache=cache)) for _ in range(2))
    mine.integrations.list()
    auth = tokens.auth(cache=cache)
    stale = "Bearer ory_at_0"
    assert auth.renew(stale, other._transport) is True
    assert tokens.issued == 1


def test_threads_ask_for_one_token_together(serve, connect) -> None:
    tokens = Tokens(serve)
    original = tokens.answer

    def slow(request: Any, connection: Any) -> bytes:
        if request.path == "/oauth2/token":
            time.sleep(0.1)
        return original(request, connection)

    tokens.server.script = slow
    client = connect(tokens.server, auth=tokens.auth())
    threads = [threading.Thread(target=client.integrations.list) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens.issued == 1


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden"])
def test_refused_client_credentials_are_an_authentication_error(serve, connect, status: str) -> None:
    server = serve(answer({"error": "invalid_client"}, status))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token")
    with pytest.raises(AuthenticationError, match=r"get an access token .*client id or secret is refused"):
        connect(server, auth=auth).shipments(7).upsert([shipment()])


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
def test_without_a_token_nothing_has_been_sent(serve, connect, reply: bytes) -> None:
    server = serve(lambda request, connection: connection.sendall(reply))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token")
    with pytest.raises(RequestNotSent, match="no access token") as caught:
        connect(server, auth=auth, read_timeout=0.5).shipments(7).upsert([shipment()])
    assert not isinstance(caught.value, UnknownOutcome)
    assert [request.path for request in server.requests] == ["/api/v2/token"]


def test_a_token_endpoint_that_is_busy_says_how_long(serve, connect) -> None:
    server = serve(answer(b"", "429 Slow", {"Retry-After": "5"}))
    auth = OAuth2ClientCredentials("id", "secret", token_url=f"{server.url}/token")
    with pytest.raises(RateLimited) as caught:
        connect(server, auth=auth).integrations.list()
    assert caught.value.retry_after == 5.0


def test_what_is_missing_or_unsafe_is_refused(serve) -> None:
    with pytest.raises(ValueError, match=r"client_secret is missing; find it .* with OAuth2 authentication"):
        OAuth2ClientCredentials("id", "")
    with pytest.raises(ValueError, match="token_url must be https"):
        OAuth2ClientCredentials("id", "secret", token_url="http://account.sendcloud.com/oauth2/token")


def test_a_repr_shows_no_secret() -> None:
    auth = OAuth2ClientCredentials("0123456789", "very secret value")
    assert (
        repr(auth)
        == "OAuth2ClientCredentials(client_id='0123…', token_url='https://account.sendcloud.com/oauth2/token')"
    )
    assert "very secret" not in repr(vars(auth))


def test_keys_and_auth_exclude_each_other(connect, serve) -> None:
    with pytest.raises(ValueError, match="not both"):
        connect(serve(b""), auth=OAuth2ClientCredentials("id", "secret"), public_key="x")
