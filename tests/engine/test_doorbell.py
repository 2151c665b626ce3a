"""Ringing costs the caller nothing, whatever the broker does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from django_sendcloud.doorbell import Doorbell


def test_one_notification_serves_all_rings_of_a_window() -> None:
    notified: list[float] = []
    bell = Doorbell(lambda delay: notified.append(time.monotonic()), lambda: 0.2)
    for _ in range(100):
        bell.ring()
    assert notified == []
    assert bell.wait_until_passed_on(5)
    assert len(notified) == 1


def test_a_later_ring_notifies_again() -> None:
    notified: list[int] = []
    bell = Doorbell(lambda delay: notified.append(1), lambda: 0.0)
    for _ in range(3):
        bell.ring()
        assert bell.wait_until_passed_on(5)
    assert len(notified) == 3


def test_f04_a_broker_that_hangs_blocks_nobody() -> None:
    release = threading.Event()
    bell = Doorbell(lambda delay: release.wait(), lambda: 0.0)
    bell.ring()
    for _ in range(1000):
        bell.ring()
    assert not bell.wait_until_passed_on(0.05)
    release.set()
    assert bell.wait_until_passed_on(5)


def test_f03_a_broker_that_refuses_is_survived_and_says_no_secret(caplog: object) -> None:
    import logging

    calls: list[int] = []

    def refuse(delay: float) -> None:
        calls.append(1)
        raise ConnectionError("amqp://user:password@broker refused")

    bell = Doorbell(refuse, lambda: 0.0)
    bell.ring()
    assert bell.wait_until_passed_on(5)
    bell.ring()
    assert bell.wait_until_passed_on(5)
    assert len(calls) == 2
    assert "password" not in caplog.text  # type: ignore[attr-defined]
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2  # type: ignore[attr-defined]


def test_a_child_process_has_a_bell_of_its_own() -> None:
    reader, writer = os.pipe()
    bell = Doorbell(lambda delay: os.write(writer, b"x"), lambda: 0.0)
    bell.ring()
    assert bell.wait_until_passed_on(5)
    pid = os.fork()
    if pid == 0:
        bell.ring()
        bell.wait_until_passed_on(5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 10) == b"xx"
    os.close(reader)
    os.close(writer)


def test_a_process_that_ends_rings_at_once_and_lets_the_worker_wait() -> None:
    program = (
        "from django_sendcloud.doorbell import Doorbell\n"
        "bell = Doorbell(lambda delay: print(f'{delay:.0f}', flush=True), lambda: 3600.0)\n"
        "bell.ring()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "3600"


def test_without_a_thread_to_be_had_ringing_raises_nothing_and_the_next_ring_tries_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notified: list[int] = []
    bell = Doorbell(lambda delay: notified.append(1), lambda: 0.0)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            bell.ring()
    assert not bell.wait_until_passed_on(0.05)
    assert "the sweep will" in caplog.text
    bell.ring()
    assert bell.wait_until_passed_on(5)
    assert notified == [1]


def test_a_window_that_cannot_be_read_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    """As where the settings cannot work: the bell rings again once they are corrected."""
    notified: list[int] = []
    windows = iter([ZeroDivisionError("canary"), 0.0])

    def window() -> float:
        found = next(windows)
        if isinstance(found, Exception):
            raise found
        return found

    bell = Doorbell(lambda delay: notified.append(1), window)
    bell.ring()
    assert bell.wait_until_passed_on(5)
    assert notified == []
    assert "canary" not in caplog.text
    bell.ring()
    assert bell.wait_until_passed_on(5)
    assert notified == [1]
