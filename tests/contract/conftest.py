"""A sandbox for generated requests: one for a module, because it takes thousands of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from django_sendcloud.sandbox import Sandbox


@pytest.fixture(scope="module")
def live() -> Iterator[Sandbox]:
    with Sandbox(max_requests=100) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def session(live: Sandbox) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.auth = live.public_key, live.secret_key
        session.trust_env = False
        yield session
