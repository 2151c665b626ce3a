"""The engine over thousands of histories, and proof that each of its rules is needed."""

from __future__ import annotations

import dataclasses
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

from .machine import KEYS, QUARANTINE, Histories, RemoteV2, RemoteV3

# On SQLite, and half as many on PostgreSQL.
HISTORIES = int(os.environ.get("SENDCLOUD_HISTORIES", "100"))
SECONDS = max(600, HISTORIES)

pytestmark = [pytest.mark.long, pytest.mark.timeout(SECONDS)]


@pytest.fixture(autouse=True)
def engine_settings(db: None, settings: Any) -> Iterator[None]:
    settings.SENDCLOUD = {**settings.SENDCLOUD, "LEASE_SECONDS": 120.0, "QUARANTINE_SECONDS": 60.0}
    # The log of thousands of histories fills the memory.
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(params=[RemoteV2, RemoteV3], ids=["v2", "v3"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[RemoteV2 | RemoteV3]:
    """Play the histories with a Sendcloud of either API generation."""
    monkeypatch.setattr(Histories, "kind", request.param)
    return Histories.kind


def histories(count: int) -> None:
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=count,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.usefixtures("kind")
def test_sides_agree_after_any_history() -> None:
    histories(HISTORIES)


@pytest.mark.exhaustive
@pytest.mark.services("postgresql")
def test_sides_agree_on_postgresql() -> None:
    """The same test in a process of its own, whose database is PostgreSQL."""
    if os.environ.get("TEST_DATABASE_URL"):
        pytest.skip("All tests run on another database here.")
    environment = os.environ | {
        "TEST_DATABASE_URL": services.URLS["postgresql"],
        "SENDCLOUD_HISTORIES": str(HISTORIES // 2),
    }
    command = [sys.executable, "-W", "ignore", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--create-db"]
    done = subprocess.run(
        [*command, f"{__file__}::{test_sides_agree_after_any_history.__name__}"],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert "2 passed" in done.stdout


def settles_whatever_was_pushed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the rule "settle only what you pushed"."""
    from django_sendcloud.sync.push import settle

    original = settle._write

    def write(claim: Any, verdicts: Any, *rest: Any) -> Any:
        from django_sendcloud.models import OutboxEntry

        for verdict in verdicts:
            row = OutboxEntry.objects.filter(pk=verdict.plan.entry.pk).values_list("version", flat=True).first()
            verdict.plan.entry.version = row or verdict.plan.entry.version
        return original(claim, verdicts, *rest)

    monkeypatch.setattr(settle, "_write", write)


def stamps_with_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the rule "a strictly growing stamp": send the time of the worker's clock."""
    from django_sendcloud.core.clock import clock
    from django_sendcloud.payloads import ShipmentPayload

    original = ShipmentPayload.stamped
    monkeypatch.setattr(ShipmentPayload, "stamped", lambda self, moment: original(self, clock.now()))


def forgets_what_was_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the rule "a delete is a record": do not retry a deletion that failed once."""
    from django_sendcloud.sync.push.ledger import Ledger

    original = Ledger._add

    def add(self: Any, verdict: Any) -> None:
        if verdict.plan.deletes and not verdict.plan.upserts:
            verdict.state, verdict.unknown = "done", False
        original(self, verdict)

    monkeypatch.setattr(Ledger, "_add", add)


def sends_without_quarantine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the rule "quarantine what is unknown"."""
    from django.conf import settings

    from django_sendcloud.conf import conf

    monkeypatch.setattr(settings, "SENDCLOUD", {**settings.SENDCLOUD, "QUARANTINE_SECONDS": 0.0})
    conf.cache_clear()


def takes_accepted_for_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the rule "201 is accepted, not saved"."""
    from django_sendcloud.sync.backends import ItemResult, Outcome
    from django_sendcloud.sync.push.ledger import Ledger

    original = Ledger.upserted

    def upserted(self: Any, plan: Any, upsert: Any, result: ItemResult) -> None:
        if result.outcome is Outcome.ACCEPTED:
            result = dataclasses.replace(result, outcome=Outcome.UPDATED)
        original(self, plan, upsert, result)

    monkeypatch.setattr(Ledger, "upserted", upserted)


def takes_not_found_for_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the rule "no match is gone only once nothing accepted can still appear"."""
    monkeypatch.setattr("django_sendcloud.sync.backends.v3.V3Backend._seconds_to_appear", lambda self, shipment: 0.0)


ONE = KEYS[0]


def go_on(history: Histories) -> None:
    """Let API v3 save what it has accepted, and the worker see it."""
    history.advance(5.0)
    history.push("ok")


def changed_while_it_is_pushed(history: Histories) -> None:
    history.save(ONE)
    history.changed_in_flight(ONE, is_deletion=False, folded=True)
    # API v3 settles an order when it is seen saved: it changes during the confirmation, too.
    go_on(history)
    history.advance(5.0)
    history.changed_in_flight(ONE, is_deletion=False, folded=True)


def changed_twice_within_a_moment(history: Histories) -> None:
    history.save(ONE)
    history.push("ok")
    go_on(history)
    history.clock_steps_back(5.0)
    history.save(ONE)
    history.push("ok")


def a_deletion_that_is_not_heard(history: Histories) -> None:
    history.save(ONE)
    history.push("ok")
    go_on(history)
    history.delete(ONE)
    history.push("lost before")


def a_request_that_lands_after_its_successor(history: Histories) -> None:
    history.save(ONE)
    history.push("ok")
    go_on(history)
    history.save(ONE)
    history.push("late")
    history.save(ONE)
    history.advance(QUARANTINE / 2)
    history.push("ok")
    go_on(history)
    history.a_late_request_lands_if_there_is_one()


def an_order_that_is_never_saved(history: Histories) -> None:
    history.save(ONE)
    history.push("never saved")


def an_order_that_appears_after_its_deletion(history: Histories) -> None:
    """Let the request land at the end of the quarantine, and delete the order before it is saved."""
    history.save(ONE)
    history.push("late")
    history.delete(ONE)
    history.advance(QUARANTINE - 0.5)
    history.remote.land(0)
    history.advance(1.0)
    history.push("ok")


NEEDED = [
    (settles_whatever_was_pushed, changed_while_it_is_pushed),
    (stamps_with_the_clock, changed_twice_within_a_moment),
    (forgets_what_was_deleted, a_deletion_that_is_not_heard),
    (sends_without_quarantine, a_request_that_lands_after_its_successor),
]
NEEDED_BY_V3 = [
    (takes_accepted_for_saved, an_order_that_is_never_saved),
    (takes_not_found_for_deleted, an_order_that_appears_after_its_deletion),
]
CASES = [
    *(
        pytest.param(kind, *case, id=f"{kind.api}-{case[0].__name__}")
        for kind in (RemoteV2, RemoteV3)
        for case in NEEDED
    ),
    *(pytest.param(RemoteV3, *case, id=f"v3-{case[0].__name__}") for case in NEEDED_BY_V3),
]


def live_through(kind: type[RemoteV2 | RemoteV3], story: Callable[[Histories], None]) -> None:
    history = Histories()
    history.kind = kind
    history.begin()
    try:
        story(history)
    except BaseException:
        history.stack.close()
        raise
    history.teardown()


@pytest.mark.parametrize(("kind", "rule", "story"), CASES)
def test_story_with_all_rules_ends_well(
    kind: type[RemoteV2 | RemoteV3], rule: object, story: Callable[[Histories], None]
) -> None:
    live_through(kind, story)


@pytest.mark.parametrize(("kind", "rule", "story"), CASES)
def test_story_without_its_rule_fails(
    kind: type[RemoteV2 | RemoteV3],
    rule: Callable[[pytest.MonkeyPatch], None],
    story: Callable[[Histories], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rule(monkeypatch)
    with pytest.raises(AssertionError):
        live_through(kind, story)
