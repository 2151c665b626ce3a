from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import factories, services


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of services run where the services are; where they are required, a missing one is a failure, not a skip."""
    required = os.environ.get("SENDCLOUD_REQUIRE_SERVICES") == "1"
    for item in items:
        for marker in item.iter_markers("services"):
            missing = [name for name in marker.args if not services.available(name)]
            if missing and not required:
                item.add_marker(pytest.mark.skip(reason=f"not running here: {', '.join(missing)}"))


@pytest.fixture(autouse=True)
def the_settings_language() -> None:
    """A page leaves its visitor's language behind in this thread, and the next test is not in that language."""
    from django.utils import translation

    translation.deactivate()


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    """Let seconds pass on the engine's clock, both kinds of it; who sleeps lets them pass, too."""
    from django_sendcloud.clock import clock
    from django_sendcloud.sync import breaker

    passed = 0.0
    now, steady = clock.now, clock.monotonic

    def move(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(clock, "now", lambda: now() + dt.timedelta(seconds=passed))
    monkeypatch.setattr(clock, "monotonic", lambda: steady() + passed)
    monkeypatch.setattr(clock, "sleep", move)
    breaker.recent._ended.clear()
    yield move
    breaker.recent._ended.clear()


@pytest.fixture
def sandbox() -> Iterator[Any]:
    """A local Sendcloud on a real socket."""
    from django_sendcloud.sandbox import Sandbox

    with Sandbox() as server:
        yield server


@pytest.fixture
def sendcloud_settings(settings: Any, sandbox: Any) -> Any:
    """Change keys of the ``SENDCLOUD`` setting for one test; the base URL is the sandbox's."""

    def change(**keys: Any) -> None:
        settings.SENDCLOUD = {**settings.SENDCLOUD, **keys}

    change(
        BASE_URL=sandbox.base_url,
        TOKEN_URL=sandbox.token_url,
        CONNECT_TIMEOUT_SECONDS=1.0,
        READ_TIMEOUT_SECONDS=2.0,
        DEADLINE_SECONDS=3.0,
        QUARANTINE_SECONDS=0.0,
    )
    return change


@pytest.fixture
def integration(db: None, sandbox: Any, sendcloud_settings: Any) -> Any:
    """The sandbox's integration, connected."""
    return factories.integration(sandbox)
