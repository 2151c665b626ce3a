"""OAuth2 tokens in a cache that may be dead."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from django_sendcloud.core import token_cache
from django_sendcloud.core.token_cache import SharedTokenCache
from tests import factories


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("redis://:password@cache.example")

    monkeypatch.setattr(cache, "get", fail)
    monkeypatch.setattr(cache, "set", fail)
    monkeypatch.setattr(token_cache, "_own", {})


def test_token_is_shared_and_encrypted(db: None) -> None:
    SharedTokenCache().set("key", "canary-token", 60)
    assert SharedTokenCache().get("key") == "canary-token"
    assert "canary" not in cache.get(SharedTokenCache.prefix + "key")
    cache.clear()
    assert SharedTokenCache().get("key") is None


def test_dead_cache_keeps_token_in_process(dead: None, caplog: pytest.LogCaptureFixture) -> None:
    assert SharedTokenCache().get("key") is None
    SharedTokenCache().set("key", "canary-token", 60)
    assert SharedTokenCache().get("key") == "canary-token"
    SharedTokenCache().set("key", "canary-token", -1)
    assert SharedTokenCache().get("key") is None, "its time is over"
    assert "canary" not in caplog.text + repr(token_cache._own)
    assert "password" not in caplog.text


def test_dead_cache_does_not_stop_oauth2(sandbox: Any, sendcloud_settings: Any, db: None, dead: None) -> None:
    """A token for each process instead of one for all."""
    there = sandbox.add_integration("With OAuth2", auth="oauth2")
    integration = factories.integration(there, auth_scheme="oauth2")
    for _ in range(3):
        integration.refresh_from_sendcloud()
    assert len([request for request in sandbox.requests if "oauth2" in request.path]) == 1
