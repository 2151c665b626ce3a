"""Rate limits."""

from __future__ import annotations

import pytest

from django_sendcloud.sandbox import Sandbox

from .conftest import Shop


@pytest.mark.long
def test_limits_belong_to_account(shop: Shop, sandbox: Sandbox) -> None:
    other, foreign = sandbox.add_integration(), sandbox.add_integration(account="another")

    def status(method: str, keys: tuple[str, str] = shop.keys) -> int:
        return shop.ask(method, "/integrations/1", auth=keys).status_code

    assert {status("DELETE") for _ in range(110)} == {404}
    sandbox.rate_limits = True
    assert {status("DELETE") for _ in range(100)} == {404}
    # All methods that change something, and all keys of the account, count together …
    assert status("PATCH") == status("DELETE", (other.public_key, other.secret_key)) == 429
    # … reading and other accounts do not.
    assert status("GET") == status("DELETE", (foreign.public_key, foreign.secret_key)) == 404
    sandbox.rate_limits = False
    assert status("DELETE") == 404


def test_limit_response_is_empty(shop: Shop, sandbox: Sandbox) -> None:
    sandbox.set_rate_limits(unsafe=0, safe=1)
    assert shop.ask("GET", "/integrations").status_code == 200
    refused = shop.ask("GET", "/integrations")
    assert (refused.status_code, refused.content, refused.headers.get("Retry-After")) == (429, b"", None)
    for value in (30, "Wed, 21 Oct 2026 07:28:00 GMT"):
        sandbox.retry_after = value
        assert shop.ask("GET", "/integrations").headers["Retry-After"] == str(value)


def test_refused_requests_do_not_count(shop: Shop, sandbox: Sandbox) -> None:
    def statuses(number: int) -> list[int]:
        return [shop.ask("GET", "/integrations").status_code for _ in range(number)]

    sandbox.set_rate_limits(safe=1, window=3600)
    assert statuses(3) == [200, 429, 429]
    sandbox.set_rate_limits(safe=2, window=3600)
    assert statuses(2) == [200, 429]
    # As if the time had passed.
    sandbox.set_rate_limits(safe=2, window=0)
    assert statuses(1) == [200]
    sandbox.set_rate_limits(safe=2, window=3600)
    assert statuses(2) == [200, 429]
