from __future__ import annotations

import contextlib
import datetime as dt
import gc
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from tests import factories, services
from tests.databases import Templates, copy_permissions_after_flush
from tests.project import Project, project_on

# Left out by `make test FAST=1`.
SLOW = ("browser", "processes", "long")

# The same examples in every run; SENDCLOUD_EXPLORE=1 looks for new ones, SENDCLOUD_FUZZ for more of them.
hypothesis_settings.register_profile(
    "suite",
    derandomize="SENDCLOUD_EXPLORE" not in os.environ,
    database=None,
    deadline=None,
    max_examples=int(os.environ.get("SENDCLOUD_FUZZ", "40")),
)
hypothesis_settings.load_profile("suite")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Keep the garbage collector from the modules and the tests, which stay until the end, and let it come less often."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(10_000)
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their fixtures, skip what needs a service that does not run here, and put the slow tests first.

    Where services are required, a missing one is a failure instead.
    """
    required = os.environ.get("SENDCLOUD_REQUIRE_SERVICES") == "1"
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "make_project" in fixtures:
            item.add_marker("processes")
        if "browser" in fixtures:
            item.add_marker("browser")
        for marker in item.iter_markers("services"):
            missing = [name for name in marker.args if not services.available(name)]
            if missing and not required:
                item.add_marker(pytest.mark.skip(reason=f"not running here: {', '.join(missing)}"))
    # No worker is left alone with a slow test in the end.
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, float]:
    """Return the sorting key of a test: slow ones first, and of these the ones with the highest timeout."""
    timeout = item.get_closest_marker("timeout")
    is_slow = any(item.get_closest_marker(name) for name in SLOW)
    return not is_slow, -timeout.args[0] if timeout and is_slow else 0.0


@pytest.fixture(autouse=True)
def fresh_process() -> None:
    """Forget what an earlier test left behind in this process."""
    from django.utils import translation

    from django_sendcloud.core.clock import clock
    from django_sendcloud.sync import worker
    from django_sendcloud.sync.backends import v3

    # A page leaves its visitor's language behind in this thread.
    translation.deactivate()
    # The pages of another test's Sendcloud: its orders have the same ids.
    v3._readings.clear()
    # A worker begins with an upsert, whatever the tests before have sent.
    worker._shares.clear()
    # Every random delay is as long as it may be: one of no length would let a retry run within the same push.
    vars(clock)["jitter"] = lambda upper: upper


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Prepare the test database, and end what is left of other threads' sessions after the tests.

    PostgreSQL drops no database in use.
    """
    from django.db import connection

    with django_db_blocker.unblock():
        copy_permissions_after_flush()
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(scope="session")
def live_server(django_db_setup: None, live_server: Any) -> Any:
    """Start pytest-django's server after the test database is chosen: earlier, it would share the tests' connection."""
    return live_server


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass on the engine's clock, both kinds of it; who sleeps lets them pass, too."""
    from django_sendcloud.core.clock import clock

    passed = 0.0
    now, steady = clock.now, clock.monotonic

    def move(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    monkeypatch.setattr(clock, "now", lambda: now() + dt.timedelta(seconds=passed))
    monkeypatch.setattr(clock, "monotonic", lambda: steady() + passed)
    monkeypatch.setattr(clock, "sleep", move)
    return move


@pytest.fixture
def sandbox() -> Iterator[Any]:
    """Run a local Sendcloud on a real socket."""
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
        CONFIRM_SECONDS=0.0,
    )
    return change


@pytest.fixture
def generation(request: pytest.FixtureRequest) -> str:
    """Return the API generation of the integration: v2, unless the test is parametrised over both."""
    return str(getattr(request, "param", "v2"))


@pytest.fixture
def integration(db: None, sandbox: Any, sendcloud_settings: Any, generation: str) -> Any:
    """Connect the sandbox's integration."""
    return factories.integration(sandbox, api_generation=generation)


@pytest.fixture
def log_in(db: None) -> Callable[..., Any]:
    """Return a function that gives a client logged in with a role of the admin's tests, and more permissions."""
    from tests.admin.conftest import client_of

    return client_of


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    """Keep one migrated database of each kind, to be copied."""
    made = Templates(tmp_path_factory.mktemp("templates"))
    yield made
    made.close()


@pytest.fixture
def make_project(
    sandbox: Any, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Project]]:
    """Make projects with a connected integration: ``make_project("postgresql", "redis", LEASE_SECONDS=300.0)``.

    A ``url`` names a database that has the tables already.
    """
    with contextlib.ExitStack() as stack:

        def make(database: str, broker: str = "", *, url: str = "", api: str = "v2", **settings: Any) -> Project:
            folder: Path = tmp_path_factory.mktemp("project")
            url = url or stack.enter_context(templates.copy(database, folder))
            return stack.enter_context(project_on(url, broker, sandbox, folder, api, **settings))

        yield make
