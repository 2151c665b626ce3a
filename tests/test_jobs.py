"""The jobs without Celery: ``sendcloud_work`` pushes, applies, and runs each periodic job once a period."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.core.management import CommandError, call_command
from django.db import OperationalError

from django_sendcloud import broker, jobs
from django_sendcloud.conf import conf
from django_sendcloud.models import Checkpoint, Integration, Parcel, Shipment
from django_sendcloud.schedule import PERIODS, beat_schedule
from django_sendcloud.webhooks import inbox
from tests import factories
from tests.webhooks.messages import parcel, raw

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Count the runs of the periodic jobs, without doing their work."""
    found: list[str] = []

    def counter(name: str) -> Callable[[], object]:
        return lambda: found.append(name)

    for name in jobs.PERIODIC:
        monkeypatch.setitem(jobs.PERIODIC, name, counter(name))
    return found


def once() -> int:
    return jobs.work(threading.Event(), once=True)


@pytest.mark.long
def test_work_pushes_orders_and_applies_webhooks(integration: Integration, sandbox: Any) -> None:
    order = factories.order()
    call_command("sendcloud_work", "--once", stdout=io.StringIO())
    assert sandbox.shipment(str(order.pk)) is not None
    inbox.store(integration, raw(parcel(id=1, shipment_uuid=str(Shipment.objects.get().uuid))))
    call_command("sendcloud_work", "--once", stdout=io.StringIO())
    assert Parcel.objects.get(remote_id=1).shipment == Shipment.objects.get()


def test_periodic_job_runs_once_a_period(runs: list[str], later: Callable[[float], None]) -> None:
    once()
    assert runs == list(jobs.PERIODIC), "each is due in a new shop"
    once()
    assert len(runs) == len(jobs.PERIODIC)
    later(conf().SWEEP_SECONDS + 1)
    once()
    assert runs[len(jobs.PERIODIC) :] == ["sweep"]
    later(conf().RECONCILE_SECONDS)
    once()
    assert sorted(runs[len(jobs.PERIODIC) + 1 :]) == sorted(jobs.PERIODIC)


def test_failed_job_is_due_after_a_minute(
    runs: list[str], monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        runs.append("reconcile")
        raise ValueError("canary")

    monkeypatch.setitem(jobs.PERIODIC, "reconcile", fail)
    assert once() == 1
    assert set(runs) == set(jobs.PERIODIC), "the others run all the same"
    assert "ValueError" in caplog.text
    assert "canary" not in caplog.text
    later(59)
    once()
    assert runs.count("reconcile") == 1
    later(2)
    once()
    assert runs.count("reconcile") == 2


def test_failed_job_exits_with_an_error(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ValueError

    monkeypatch.setitem(jobs.PERIODIC, "drift", fail)
    with pytest.raises(CommandError, match="1 jobs failed"):
        call_command("sendcloud_work", "--once", stdout=io.StringIO())


def test_lost_connection_ends_no_work(
    runs: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the question fails which jobs are due."""
    stop = threading.Event()
    take, failures = Checkpoint.take, [OperationalError("the database restarts")] * 3

    def fail_first(*args: Any) -> bool:
        if failures:
            raise failures.pop()
        stop.set()
        return take(*args)

    monkeypatch.setattr(Checkpoint, "take", fail_first)
    assert jobs.work(stop, idle_seconds=0.01) == 3
    assert "The job schedule failed: OperationalError." in caplog.text


def test_idle_below_zero_is_refused() -> None:
    with pytest.raises(CommandError, match="--idle -1"):
        call_command("sendcloud_work", "--idle", "-1")


@pytest.mark.long
def test_schedule_needs_no_django_setup() -> None:
    """``celery beat`` and ``worker -B`` configure the app before Celery sets Django up."""
    code = "from tests.celery_app import app; print(*app.conf.beat_schedule)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert set(done.stdout.split()) == {f"sendcloud-{name}" for name in jobs.PERIODIC}, done.stderr


def test_beat_schedules_every_periodic_job() -> None:
    assert set(PERIODS) == set(jobs.PERIODIC)
    assert {entry["task"] for entry in beat_schedule().values()} == {
        f"django_sendcloud.{name}" for name in jobs.PERIODIC
    }
    app = broker.celery_app()
    # As a worker does at its start.
    app.loader.import_default_modules()
    assert {f"django_sendcloud.{name}" for name in jobs.PERIODIC} <= set(app.tasks)


def test_shop_without_celery_notifies_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CELERY_BROKER_URL", raising=False)
    monkeypatch.setattr(broker, "celery_app", lambda: Celery("default", set_as_current=False))
    monkeypatch.setattr(broker.outbox_notifier, "notify", lambda: pytest.fail("no broker is configured"))
    broker.notify_workers(queue="outbox")


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_process_ends_on_sigterm(tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE_URL": f"sqlite:///{tmp_path / 'work.sqlite3'}?transaction_mode=IMMEDIATE&timeout=30",
    }
    manage = [sys.executable, "-W", "ignore", "-m", "django"]
    subprocess.run([*manage, "migrate", "-v0"], env=environment, cwd=ROOT, check=True)
    with subprocess.Popen([*manage, "sendcloud_work", "--idle", "0.1"], env=environment, cwd=ROOT) as process:
        deadline = time.monotonic() + 60
        import sqlite3

        while time.monotonic() < deadline:
            with sqlite3.connect(tmp_path / "work.sqlite3") as database:
                if database.execute("SELECT count(*) FROM django_sendcloud_checkpoint").fetchone()[0] == len(
                    jobs.PERIODIC
                ):
                    break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
