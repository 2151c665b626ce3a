"""Pauses of an integration: their reasons, ever rarer probes while the cause lasts, and a person's decision."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.dispatch import Signal

from django_sendcloud import tasks
from django_sendcloud.conf import conf
from django_sendcloud.core.clock import clock
from django_sendcloud.models import EntryState, Integration, OutboxEntry, PauseReason
from django_sendcloud.models.integration import MAX_RELAPSES
from django_sendcloud.signals import integration_paused, integration_resumed
from django_sendcloud.sync.claim import Claim
from django_sendcloud.sync.probe import probe_paused, resume_expired
from django_sendcloud.sync.push import ledger
from django_sendcloud.sync.push.settle import Settled
from django_sendcloud.sync.worker import push_due
from tests import factories

pytestmark = pytest.mark.long


@pytest.fixture
def reasons_sent() -> Iterator[list[str]]:
    """Collect the signals the shop receives: the reason of each pause, and each resume."""
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


@contextlib.contextmanager
def listening(signal: Signal, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver)
    yield
    signal.disconnect(receiver)


def fresh() -> Integration:
    return Integration.objects.get()


def wait() -> float:
    """Return the seconds until the next probe."""
    probe_at = fresh().probe_at
    assert probe_at is not None
    return (probe_at - clock.now()).total_seconds()


def forbid(sandbox: Any, times: int = 1) -> None:
    """Reject pushes of orders and nothing else, so that probes succeed."""
    sandbox.fail_next(403, times=times, match="POST shipments")


def test_missing_permission_pauses_integration(integration: Integration, sandbox: Any, reasons_sent: list[str]) -> None:
    factories.order()
    forbid(sandbox)
    push_due()
    assert fresh().paused_reason == PauseReason.PERMISSION
    assert reasons_sent == ["permission"]
    entry = factories.outbox().get()
    assert (entry.state, entry.error_code, entry.attempts, entry.failures) == (EntryState.PENDING, "permission", 0, 0)
    before = len(sandbox.requests)
    push_due()
    assert len(sandbox.requests) == before


def relapse(later: Callable[[float], None]) -> None:
    """Let a probe succeed in its time, and the next push of the order fail as before."""
    later(wait() + 1)
    assert probe_paused() == 1
    later(2)
    push_due()
    assert fresh().is_paused


@pytest.mark.long
def test_relapse_doubles_wait_without_signal(
    integration: Integration, sandbox: Any, reasons_sent: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox, times=100)
    push_due()
    waits = [wait()]
    for _ in range(MAX_RELAPSES + 2):
        relapse(later)
        waits.append(wait())
    assert [round(seconds / conf().PROBE_SECONDS) for seconds in waits] == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    assert reasons_sent == ["permission", "resumed"], "once that it is paused, and the first time that it goes on"


def test_success_resets_relapses(
    integration: Integration, sandbox: Any, reasons_sent: list[str], later: Callable[[float], None]
) -> None:
    order = factories.order()
    forbid(sandbox, times=3)
    push_due()
    relapse(later)
    relapse(later)
    assert fresh().relapses == 2
    later(wait() + 1)
    probe_paused()
    later(2)
    push_due()
    assert sandbox.shipment(str(order.pk))
    assert (fresh().relapses, fresh().resumed_from) == (0, "")
    reasons_sent.clear()
    factories.forget_transaction()
    order.address = "Markt 1"
    order.save()
    forbid(sandbox)
    push_due()
    assert reasons_sent == ["permission"]
    assert round(wait()) == conf().PROBE_SECONDS


def test_resume_by_person_resets_relapses(
    integration: Integration, sandbox: Any, reasons_sent: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox, times=100)
    push_due()
    relapse(later)
    relapse(later)
    reasons_sent.clear()
    assert fresh().resume()
    later(2)
    push_due()
    assert reasons_sent == ["resumed", "permission"]
    assert round(wait()) == conf().PROBE_SECONDS


def test_pause_for_another_reason_starts_afresh(
    integration: Integration, sandbox: Any, reasons_sent: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox)
    push_due()
    later(wait() + 1)
    probe_paused()
    later(2)
    sandbox.fail_next(401, match="POST shipments")
    push_due()
    assert fresh().paused_reason == PauseReason.CREDENTIALS
    assert reasons_sent == ["permission", "resumed", "credentials"]
    assert round(wait()) == conf().PROBE_SECONDS


def test_failed_probe_keeps_usual_wait(
    integration: Integration, sandbox: Any, reasons_sent: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    sandbox.revoke_credentials()
    push_due()
    for _ in range(3):
        later(wait() + 1)
        before = len(sandbox.requests)
        assert probe_paused() == 0
        assert len(sandbox.requests) == before + 1
        assert round(wait()) == conf().PROBE_SECONDS
        assert probe_paused() == 0
        assert len(sandbox.requests) == before + 1, "not before its time"
    assert reasons_sent == ["credentials"]


def test_sweep_makes_entries_settled_after_resume_due(
    integration: Integration, sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = factories.order()
    forbid(sandbox)
    settle, resumed = ledger.settle, []

    def settle_too_late(claim: Claim, settled: Settled) -> None:
        if fresh().is_paused:
            resumed.append(fresh().resume())
        settle(claim, settled)

    monkeypatch.setattr(ledger, "settle", settle_too_late)
    push_due()
    assert resumed == [True]
    assert factories.outbox().get().due_at > clock.now() + dt.timedelta(hours=5)
    tasks.sweep()
    assert sandbox.shipment(str(order.pk))
    assert not factories.outbox().exists()


def test_sweep_leaves_entries_of_paused_integration(integration: Integration, sandbox: Any) -> None:
    factories.order()
    forbid(sandbox)
    push_due()
    resting = factories.outbox().get().due_at
    tasks.sweep()
    assert factories.outbox().get().due_at == resting > clock.now() + dt.timedelta(hours=5)


def test_sweep_leaves_entries_waiting_for_retry(integration: Integration, sandbox: Any) -> None:
    factories.order()
    later = clock.now() + dt.timedelta(hours=1)
    factories.outbox().update(integration=integration, error_code="server_error", failures=3, due_at=later)
    tasks.sweep()
    assert factories.outbox().get().due_at == later
    assert not sandbox.requests


def test_pause_by_person_during_probe_stands(
    integration: Integration, reasons_sent: list[str], later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    integration.pause(PauseReason.CREDENTIALS)
    later(wait() + 1)
    monkeypatch.setattr(
        Integration, "refresh_from_sendcloud", lambda self: Integration.objects.get().pause(PauseReason.PERSON)
    )
    assert probe_paused() == 0
    assert fresh().paused_reason == PauseReason.PERSON
    assert reasons_sent == ["credentials", "person"]


# -- by a person --------------------------------------------------------------------------------------


def test_pause_by_person_replaces_other_without_probes(
    integration: Integration, sandbox: Any, reasons_sent: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    forbid(sandbox)
    push_due()
    fresh().pause(PauseReason.PERSON, "stocktaking")
    paused = fresh()
    assert (paused.paused_reason, paused.paused_detail, paused.probe_at) == ("person", "stocktaking", None)
    before = len(sandbox.requests)
    for _ in range(3):
        later(86_400)
        assert probe_paused() == 0
        push_due()
    assert len(sandbox.requests) == before
    assert fresh().resume()
    push_due()
    assert len(sandbox.shipments()) == 1
    assert reasons_sent == ["permission", "person", "resumed"]


def test_pause_by_person_ignores_leftover_probe_time(
    integration: Integration, sandbox: Any, later: Callable[[float], None]
) -> None:
    integration.pause(PauseReason.PERSON)
    Integration.objects.update(probe_at=clock.now())
    later(60)
    assert probe_paused() == 0
    assert not sandbox.requests


def test_pause_by_person_is_never_replaced(integration: Integration, reasons_sent: list[str]) -> None:
    integration.pause(PauseReason.PERSON)
    for reason in PauseReason:
        if reason != PauseReason.PERSON:
            assert not Integration.objects.get().pause(reason)
    assert fresh().paused_reason == PauseReason.PERSON
    assert fresh().probe_at is None
    assert reasons_sent == ["person"]


def test_timed_pause_ends_with_its_time(
    integration: Integration, sandbox: Any, reasons_sent: list[str], later: Callable[[float], None]
) -> None:
    factories.order()
    integration.pause(PauseReason.PERSON, "stocktaking", by="admin", until=clock.now() + dt.timedelta(hours=1))
    paused = fresh()
    assert (paused.paused_by, paused.paused_detail) == ("admin", "stocktaking")
    tasks.sweep()
    assert not sandbox.shipments()
    later(3_601)
    tasks.sweep()
    resumed = fresh()
    assert (resumed.is_paused, resumed.paused_by, resumed.paused_until) == (False, "", None)
    assert len(sandbox.shipments()) == 1
    assert reasons_sent == ["person", "resumed"]


def test_timed_pause_of_unused_integration_stays(integration: Integration, later: Callable[[float], None]) -> None:
    integration.pause(PauseReason.PERSON, until=clock.now() + dt.timedelta(hours=1))
    Integration.objects.update(is_active=False)
    later(3_601)
    assert resume_expired() == 0
    assert fresh().is_paused


def test_pause_without_end_replaces_timed_one(integration: Integration, later: Callable[[float], None]) -> None:
    integration.pause(PauseReason.PERSON, until=clock.now() + dt.timedelta(hours=1))
    fresh().pause(PauseReason.PERSON)
    later(3_601)
    assert resume_expired() == 0
    assert fresh().paused_until is None


def test_first_automatic_pause_stands(integration: Integration, reasons_sent: list[str]) -> None:
    assert integration.pause(PauseReason.CREDENTIALS)
    assert not fresh().pause(PauseReason.GONE)
    assert fresh().paused_reason == PauseReason.CREDENTIALS
    assert reasons_sent == ["credentials"]


def test_resumed_integration_pushes_waiting_orders_immediately(integration: Integration, sandbox: Any) -> None:
    for _ in range(3):
        factories.order()
    forbid(sandbox)
    push_due()
    in_an_hour = clock.now() + dt.timedelta(hours=1)
    assert OutboxEntry.objects.filter(due_at__gt=in_an_hour).count() == 3
    assert fresh().resume()
    push_due()
    assert len(sandbox.shipments()) == 3


def test_failing_receiver_is_named_and_stops_nothing(
    integration: Integration, reasons_sent: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**kwargs: Any) -> None:
        raise LookupError("Jane Canary")

    with listening(integration_paused, fail), listening(integration_resumed, fail):
        assert integration.pause(PauseReason.PERSON)
        assert integration.resume()
    assert reasons_sent == ["person", "resumed"]
    said = [record.getMessage() for record in caplog.records if record.name == "django_sendcloud.shop"]
    assert len(said) == 2
    assert all("LookupError" in line and "Canary" not in line for line in said)


def test_pause_lets_an_interruption_pass(integration: Integration) -> None:
    def interrupt(**kwargs: Any) -> None:
        raise SoftTimeLimitExceeded

    with listening(integration_paused, interrupt), pytest.raises(SoftTimeLimitExceeded):
        integration.pause(PauseReason.PERSON)
    assert fresh().is_paused
