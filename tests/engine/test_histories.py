"""The engine over thousands of histories, and proof that each of its rules is needed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests import services

from .machine import KEYS, QUARANTINE, Histories

# On SQLite, and half as many on PostgreSQL.
HISTORIES = int(os.environ.get("SENDCLOUD_HISTORIES", "200"))
SECONDS = max(600, HISTORIES)

pytestmark = pytest.mark.timeout(SECONDS)


@pytest.fixture(autouse=True)
def engine_settings(db: None, settings: Any) -> Iterator[None]:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "LEASE_SECONDS": 120.0, "QUARANTINE_SECONDS": 60.0}
    # What would be said in thousands of histories fills the memory.
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


def histories(count: int) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=count,
            stateful_step_count=30,
            deadline=None,
            database=None,
            # Where their number is given, as in CI, the same ones each time; otherwise always others.
            derandomize="SENDCLOUD_HISTORIES" in os.environ,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.fixture(scope="module")
def on_postgresql() -> Iterator[subprocess.Popen[str] | None]:
    """The same test on PostgreSQL, in a process of its own, while this one goes on."""
    if not services.available("postgresql") or os.environ.get("TEST_DATABASE_URL"):
        yield None
        return
    environment = os.environ | {
        "TEST_DATABASE_URL": services.URLS["postgresql"],
        "SENDCLOUD_HISTORIES": str(HISTORIES // 2),
    }
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db"]
    test = f"{__file__}::{test_both_sides_are_equal_after_any_history.__name__}"
    root = Path(__file__).resolve().parents[2]
    child = subprocess.Popen(
        [*command, test], cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    yield child
    child.kill()
    child.wait()


def test_both_sides_are_equal_after_any_history(on_postgresql: object) -> None:
    histories(HISTORIES)


@pytest.mark.services("postgresql")
def test_and_so_they_are_on_postgresql(on_postgresql: subprocess.Popen[str] | None) -> None:
    if on_postgresql is None:
        pytest.skip("All tests run on another database here.")
    said, _ = on_postgresql.communicate(timeout=SECONDS)
    assert on_postgresql.returncode == 0, said[-8000:]
    assert "1 passed" in said


def settles_whatever_was_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rule "settle only what you pushed"."""
    from django_sendcloud.sync import settle

    original = settle._write

    def write(claim: Any, verdicts: Any, told: Any) -> Any:
        from django_sendcloud.models import OutboxEntry

        for verdict in verdicts:
            row = OutboxEntry.objects.filter(pk=verdict.plan.entry.pk).values_list("version", flat=True).first()
            verdict.plan.entry.version = row or verdict.plan.entry.version
        return original(claim, verdicts, told)

    monkeypatch.setattr(settle, "_write", write)


def stamps_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rule "a strictly growing stamp": what is sent is the time of the worker's clock."""
    from django_sendcloud.clock import clock
    from django_sendcloud.payloads import ShipmentPayload

    original = ShipmentPayload.stamped
    monkeypatch.setattr(ShipmentPayload, "stamped", lambda self, moment: original(self, clock.now()))


def forgets_what_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rule "a delete is a record": a deletion that failed once is not tried again."""
    from django_sendcloud.sync import push

    original = push._Round.verdict

    def verdict(self: Any, plan: Any, reaction: Any) -> Any:
        found = original(self, plan, reaction)
        if plan.deletes and not plan.upserts:
            found.state, found.unknown = "done", False
        return found

    monkeypatch.setattr(push._Round, "verdict", verdict)


def sends_without_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without rule "quarantine what is unknown"."""
    from django.conf import settings

    from django_sendcloud.conf import conf

    monkeypatch.setattr(settings, "SENDCLOUD", {**settings.SENDCLOUD, "QUARANTINE_SECONDS": 0.0})
    conf.cache_clear()


ONE = KEYS[0]


def changed_while_it_is_pushed(history: Histories) -> None:
    history.save(ONE)
    history.changed_in_flight(ONE, gone=False, folded=True)


def changed_twice_within_a_moment(history: Histories) -> None:
    history.save(ONE)
    history.push("ok")
    history.save(ONE)
    history.push("ok")


def a_deletion_that_is_not_heard(history: Histories) -> None:
    history.save(ONE)
    history.push("ok")
    history.delete(ONE)
    history.push("lost before")


def a_request_that_lands_after_its_successor(history: Histories) -> None:
    history.save(ONE)
    history.push("ok")
    history.save(ONE)
    history.push("late")
    history.save(ONE)
    history.advance(QUARANTINE / 2)
    history.push("ok")
    history.a_late_request_lands_if_there_is_one()


NEEDED = [
    (settles_whatever_was_pushed, changed_while_it_is_pushed),
    (stamps_with_the_clock, changed_twice_within_a_moment),
    (forgets_what_was_deleted, a_deletion_that_is_not_heard),
    (sends_without_quarantine, a_request_that_lands_after_its_successor),
]


def live_through(story: Callable[[Histories], None]) -> None:
    history = Histories()
    history.begin()
    try:
        story(history)
    except BaseException:
        history.stack.close()
        raise
    history.teardown()


@pytest.mark.parametrize("story", [story for _, story in NEEDED])
def test_with_all_rules_the_story_ends_well(story: Callable[[Histories], None]) -> None:
    live_through(story)


@pytest.mark.parametrize(("rule", "story"), NEEDED)
def test_without_the_rule_it_does_not(
    rule: Callable[[pytest.MonkeyPatch], None],
    story: Callable[[Histories], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rule(monkeypatch)
    with pytest.raises(AssertionError):
        live_through(story)
