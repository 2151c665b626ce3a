"""Credentials: keys, partner ids and OAuth2 tokens."""

from __future__ import annotations

import base64
from typing import Any

import requests

from django_sendcloud.sandbox import Sandbox

from .conftest import Shop


def test_wrong_credentials_are_refused(shop: Shop, sandbox: Sandbox) -> None:
    def says(authorization: str | None) -> str:
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = requests.get(f"{sandbox.v2_url}/integrations", headers=headers, timeout=10)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == 'Basic realm="api"'
        assert answer.json()["error"].keys() == {"code", "request", "message"}
        return answer.json()["error"]["message"]

    def basic(user: str, password: str) -> str:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    wrong = "Invalid username/password."
    assert says(None) == "Authentication credentials were not provided."
    assert says(basic(sandbox.public_key, "wrong")) == wrong
    assert says(basic("wrong", sandbox.secret_key)) == wrong
    assert says(basic("", "")) == wrong
    assert says(basic("é", "é")) == wrong
    for broken in ("Basic", "Basic !", "Basic bm9jb2xvbg==", "Basic /w=="):
        assert "Invalid basic header" in says(broken)
    assert says("Digest abc") == "Invalid authentication scheme."
    assert says("Bearer abc") == "Invalid or expired token."
    sandbox.revoke_credentials()
    assert says(basic(*shop.keys)) == "User inactive or deleted."
    sandbox.restore_credentials()
    assert shop.get("/integrations")


def test_keys_reach_whole_account(shop: Shop, sandbox: Sandbox) -> None:
    other, foreign = sandbox.add_integration(), sandbox.add_integration(account="another")
    assert [found["id"] for found in shop.get("/integrations")] == [sandbox.integration_id, other.id]
    assert shop.get(f"/integrations/{other.id}")["id"] == other.id
    keys = foreign.public_key, foreign.secret_key
    answer = shop.ask("GET", "/integrations", auth=keys)
    assert [found["id"] for found in answer.json()] == [foreign.id]


def test_partner_id_is_checked_if_given(shop: Shop, sandbox: Sandbox) -> None:
    known, other = "6b436cb2-65a4-482c-9d25-38be7868ff00", "39874b59-2a68-4a3d-8e00-aeb9e0540d00"

    def status(partner: str) -> int:
        return shop.ask("GET", "/integrations", headers={"Sendcloud-Partner-Id": partner}).status_code

    assert (status(known), status(other), status("me")) == (200, 200, 400)
    sandbox.partner_ids = {known}
    assert (status(known), status(other)) == (200, 400)


def token_of(sandbox: Sandbox, auth: tuple[str, str] | None, status: int = 200, **form: str) -> dict[str, Any]:
    fields = {"grant_type": "client_credentials", "scope": "api"} | form
    answer = requests.post(sandbox.token_url, fields, auth=auth, timeout=10)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_token_opens_api_until_it_ends(shop: Shop, sandbox: Sandbox) -> None:
    modern = sandbox.add_integration(auth="oauth2")
    client = (modern.client_id, modern.client_secret)
    token = token_of(sandbox, client)
    assert token == {
        "access_token": token["access_token"],
        "expires_in": 3600,
        "scope": "api",
        "token_type": "bearer",
    }
    bearer = {"Authorization": f"Bearer {token['access_token']}"}

    def status(headers: dict[str, str]) -> int:
        return requests.get(f"{sandbox.v2_url}/integrations/{modern.id}", headers=headers, timeout=10).status_code

    assert status(bearer) == 200
    # An integration with OAuth2 refuses Basic auth.
    assert "OAuth2" in shop.error(401, "GET", "/integrations", auth=client)
    sandbox.revoke_tokens()
    assert status(bearer) == 401
    # The slash at the end is the contract's, and needed.
    form = {"grant_type": "client_credentials"}
    assert requests.post(sandbox.token_url.rstrip("/"), form, auth=client, timeout=10).status_code == 404
    sandbox.token_lifetime = 0
    expired = token_of(sandbox, client)
    assert expired["expires_in"] == 0
    assert status({"Authorization": f"Bearer {expired['access_token']}"}) == 401


def test_token_needs_right_client(sandbox: Sandbox) -> None:
    modern = sandbox.add_integration(auth="oauth2")
    client = (modern.client_id, modern.client_secret)
    nobody = {"error": "invalid_client", "error_description": "The request is not accepted."}
    assert token_of(sandbox, None, 401) == nobody
    assert token_of(sandbox, (modern.client_id, "wrong"), 401) == nobody
    # An integration with Basic auth has no client.
    assert token_of(sandbox, (sandbox.client_id, sandbox.client_secret), 401) == nobody
    assert token_of(sandbox, client, 400, grant_type="password")["error"] == "unsupported_grant_type"
    assert token_of(sandbox, client, 400, scope="everything")["error"] == "invalid_scope"
    sandbox.revoke_credentials(modern.id)
    assert token_of(sandbox, client, 401) == nobody


def test_metadata_identifies_keys(shop: Shop, sandbox: Sandbox) -> None:
    answer = shop.ask("GET", f"{sandbox.v3_url}/user/auth/metadata")
    assert answer.json() == {"data": {"user_id": 1, "integration_id": sandbox.integration_id}}
