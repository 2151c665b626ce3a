"""Pauses: each cause its reason, tried again ever more seldom while it stays, and a person's word stands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from django_sendcloud import tasks
from django_sendcloud.clock import clock
from django_sendcloud.conf import conf
from django_sendcloud.models import EntryState, Integration, OutboxEntry, PauseReason
from django_sendcloud.models.integration import MOST_RELAPSES
from django_sendcloud.signals import integration_paused, integration_resumed
from django_sendcloud.sync import push as push_module
from django_sendcloud.sync.claim import Claim
from django_sendcloud.sync.probe import probe_paused
from django_sendcloud.sync.pump import pump
from django_sendcloud.sync.settle import Settled
from tests import factories


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What the shop is told: the reasons of pauses, and that it goes on."""
    heard: list[str] = []

    def paused(reason: str, **kwargs: Any) -> None:
        heard.append(reason)

    def resumed(**kwargs: Any) -> None:
        heard.append("resumed")

    integration_paused.connect(paused)
    integration_resumed.connect(resumed)
    yield heard
    integration_paused.disconnect(paused)
    integration_resumed.disconnect(resumed)


def fresh() -> Integration:
    return Integration.objects.get()


def wait() -> float:
    """Seconds until the next probe."""
    probe_at = fresh().probe_at
    assert probe_at is not None
    return (probe_at - clock.now()).total_seconds()


def forbid(sandbox: Any, times: int = 1) -> None:
    """Orders are not allowed, all else is: so a probe succeeds."""
    sandbox.fail_next(403, times=times, match="POST shipments")


def test_what_these_keys_may_not_do_pauses_with_its_reason(
    integration: Integration, sandbox: Any, told: list[str]
) -> None:
    factories.order()
    forbid(sandbox)
    pump()
    assert fresh().paused_reason == PauseReason.PERMISSION
    assert told == ["permission"]
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code, entry.attempts, entry.failures) == (EntryState.PENDING, "permission", 0, 0)
    before = len(sandbox.requests)
    pump()
    assert len(sandbox.requests) == before


def relapse(later: Callable[[float], None]) -> None:
    """The time of the probe comes, it succeeds, and the order fails as before."""
    later(wait() + 1)
    assert probe_paused() == 1
    later(2)
    pump()
    assert fresh().is_paused


def test_each_relapse_doubles_the_wait_and_is_told_to_nobody(
    integration: Integration, sandbox: Any, told: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox, times=100)
    pump()
    waits = [wait()]
    for _ in range(MOST_RELAPSES + 2):
        relapse(later)
        waits.append(wait())
    assert [round(seconds / conf().PROBE_SECONDS) for seconds in waits] == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert told == ["permission", "resumed"], "once that it is paused, and the first time that it goes on"


def test_a_success_makes_the_next_one_the_first(
    integration: Integration, sandbox: Any, told: list[str], later: Callable[[float], None]
) -> None:
    order = factories.order()
    forbid(sandbox, times=3)
    pump()
    relapse(later)
    relapse(later)
    assert fresh().relapses == 2
    later(wait() + 1)
    probe_paused()
    later(2)
    pump()
    assert sandbox.shipment(str(order.pk))
    assert (fresh().relapses, fresh().resumed_from) == (0, "")
    told.clear()
    factories.forget_transaction()
    order.address = "Markt 1"
    order.save()
    forbid(sandbox)
    pump()
    assert told == ["permission"]
    assert round(wait()) == conf().PROBE_SECONDS


def test_when_a_person_resumes_it_all_begins_anew(
    integration: Integration, sandbox: Any, told: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox, times=100)
    pump()
    relapse(later)
    relapse(later)
    told.clear()
    assert fresh().resume()
    later(2)
    pump()
    assert told == ["resumed", "permission"]
    assert round(wait()) == conf().PROBE_SECONDS


def test_another_reason_is_no_relapse(
    integration: Integration, sandbox: Any, told: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox)
    pump()
    later(wait() + 1)
    probe_paused()
    later(2)
    sandbox.fail_next(401, match="POST shipments")
    pump()
    assert fresh().paused_reason == PauseReason.CREDENTIALS
    assert told == ["permission", "resumed", "credentials"]
    assert round(wait()) == conf().PROBE_SECONDS


def test_a_probe_that_fails_waits_for_the_usual_time(
    integration: Integration, sandbox: Any, told: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    sandbox.revoke_credentials()
    pump()
    for _ in range(3):
        later(wait() + 1)
        before = len(sandbox.requests)
        assert probe_paused() == 0
        assert len(sandbox.requests) == before + 1
        assert round(wait()) == conf().PROBE_SECONDS
        assert probe_paused() == 0
        assert len(sandbox.requests) == before + 1, "not before its time"
    assert told == ["credentials"]


def test_the_sweep_wakes_what_was_put_to_rest_a_moment_after_it_was_resumed(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = factories.order()
    forbid(sandbox)
    settle, resumed = push_module.settle, []

    def settle_too_late(claim: Claim, settled: Settled) -> None:
        if fresh().is_paused:
            resumed.append(fresh().resume())
        settle(claim, settled)

    monkeypatch.setattr(push_module, "settle", settle_too_late)
    pump()
    assert resumed == [True]
    assert factories.outbox().get().due_at > clock.now() + dt.timedelta(hours=5)
    tasks.sweep()
    assert sandbox.shipment(str(order.pk))
    assert not factories.outbox().exists()


def test_the_sweep_lets_rest_what_waits_for_a_paused_one(integration: Integration, sandbox: Any) -> None:
    factories.order()
    forbid(sandbox)
    pump()
    resting = factories.outbox().get().due_at
    tasks.sweep()
    assert factories.outbox().get().due_at == resting > clock.now() + dt.timedelta(hours=5)


def test_the_sweep_lets_wait_what_is_to_be_tried_again_later(integration: Integration, sandbox: Any) -> None:
    factories.order()
    later = clock.now() + dt.timedelta(hours=1)
    factories.outbox().update(integration=integration, error_code="server_error", failures=3, due_at=later)
    tasks.sweep()
    assert factories.outbox().get().due_at == later
    assert not sandbox.requests


def test_what_a_person_decides_while_it_is_probed_stands(
    integration: Integration, told: list[str], later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    integration.pause(PauseReason.CREDENTIALS)
    later(wait() + 1)
    monkeypatch.setattr(
        Integration, "refresh_from_sendcloud", lambda self: Integration.objects.get().pause(PauseReason.PERSON)
    )
    assert probe_paused() == 0
    assert fresh().paused_reason == PauseReason.PERSON
    assert told == ["credentials", "person"]


# -- by a person --------------------------------------------------------------------------------------


def test_a_persons_pause_replaces_any_other_and_is_never_probed(
    integration: Integration, sandbox: Any, told: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox)
    pump()
    fresh().pause(PauseReason.PERSON, "stocktaking")
    paused = fresh()
    assert (paused.paused_reason, paused.paused_detail, paused.probe_at) == ("person", "stocktaking", None)
    before = len(sandbox.requests)
    for _ in range(3):
        later(86_400)
        assert probe_paused() == 0
        pump()
    assert len(sandbox.requests) == before
    assert fresh().resume()
    pump()
    assert len(sandbox.shipments()) == 1
    assert told == ["permission", "person", "resumed"]


def test_it_is_not_probed_though_a_time_for_it_is_left_over(
    integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    integration.pause(PauseReason.PERSON)
    Integration.objects.update(probe_at=clock.now())
    later(60)
    assert probe_paused() == 0
    assert not sandbox.requests


def test_no_other_reason_replaces_a_persons(integration: Integration, told: list[str]) -> None:
    integration.pause(PauseReason.PERSON)
    for reason in PauseReason:
        if reason != PauseReason.PERSON:
            assert not Integration.objects.get().pause(reason)
    assert fresh().paused_reason == PauseReason.PERSON
    assert fresh().probe_at is None
    assert told == ["person"]


def test_of_other_reasons_the_first_stands(integration: Integration, told: list[str]) -> None:
    assert integration.pause(PauseReason.CREDENTIALS)
    assert not fresh().pause(PauseReason.GONE)
    assert fresh().paused_reason == PauseReason.CREDENTIALS
    assert told == ["credentials"]


def test_what_waited_goes_at_once_when_it_is_resumed(integration: Integration, sandbox: Any) -> None:
    for _ in range(3):
        factories.order()
    forbid(sandbox)
    pump()
    in_an_hour = clock.now() + dt.timedelta(hours=1)
    assert OutboxEntry.objects.filter(due_at__gt=in_an_hour).count() == 3
    assert fresh().resume()
    pump()
    assert len(sandbox.shipments()) == 3
