"""Notifying costs the caller nothing, whatever the broker does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from django_sendcloud.core.notifier import Notifier


def test_notifier_sends_first_immediately_and_bursts_once() -> None:
    sent: list[float] = []
    notifier = Notifier(lambda: sent.append(time.monotonic()), 0.3)
    begin = time.monotonic()
    notifier.notify()
    assert notifier.wait_until_sent(5)
    for _ in range(100):
        notifier.notify()
    assert notifier.wait_until_sent(5)
    assert len(sent) == 2
    assert sent[1] - sent[0] >= 0.3
    assert sent[0] - begin < 0.3


def test_notifier_continues_while_broker_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client without timeouts may never return: later messages are sent by another thread."""
    monkeypatch.setattr("django_sendcloud.core.notifier.HUNG_SECONDS", 0.05)
    release, sent = threading.Event(), threading.Event()
    calls: list[int] = []

    def send() -> None:
        calls.append(1)
        if len(calls) == 1:
            release.wait()
        else:
            sent.set()

    notifier = Notifier(send, 0.0)
    notifier.notify()
    time.sleep(0.1)
    notifier.notify()
    assert sent.wait(5)
    assert notifier.wait_until_sent(5)
    release.set()
    notifier.notify()
    assert notifier.wait_until_sent(5)
    assert len(calls) == 3, "the thread that hung has ended"


def test_notifier_limits_threads_that_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_sendcloud.core.notifier.HUNG_SECONDS", 0.0)
    release = threading.Event()
    started: list[int] = []

    def send() -> None:
        started.append(1)
        release.wait()

    notifier = Notifier(send, 0.0)
    for _ in range(50):
        notifier.notify()
        time.sleep(0.01)
    assert 1 < len(started) <= 5
    release.set()


def test_later_notify_sends_again() -> None:
    notified: list[int] = []
    notifier = Notifier(lambda: notified.append(1), 0.0)
    for _ in range(3):
        notifier.notify()
        assert notifier.wait_until_sent(5)
    assert len(notified) == 3


def test_f04_hanging_broker_never_blocks_the_caller() -> None:
    release = threading.Event()
    notifier = Notifier(lambda: release.wait(), 0.0)
    notifier.notify()
    for _ in range(1000):
        notifier.notify()
    assert not notifier.wait_until_sent(0.05)
    release.set()
    assert notifier.wait_until_sent(5)


def test_f03_refusing_broker_is_logged_without_secrets(caplog: object) -> None:
    import logging

    calls: list[int] = []

    def refuse() -> None:
        calls.append(1)
        raise ConnectionError("amqp://user:password@broker refused")

    notifier = Notifier(refuse, 0.0)
    notifier.notify()
    assert notifier.wait_until_sent(5)
    notifier.notify()
    assert notifier.wait_until_sent(5)
    assert len(calls) == 2
    assert "password" not in caplog.text  # type: ignore[attr-defined]
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2  # type: ignore[attr-defined]


def test_notifier_works_in_a_child_process() -> None:
    reader, writer = os.pipe()
    notifier = Notifier(lambda: os.write(writer, b"x"), 0.0)
    notifier.notify()
    assert notifier.wait_until_sent(5)
    pid = os.fork()
    if pid == 0:
        notifier.notify()
        notifier.wait_until_sent(5)
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reader, 10) == b"xx"
    os.close(reader)
    os.close(writer)


def test_notifier_process_that_ends_sends_immediately() -> None:
    program = (
        "from django_sendcloud.core.notifier import Notifier\n"
        "notifier = Notifier(lambda: print('sent', flush=True), 3600.0)\n"
        "notifier.notify()\n"
        "notifier.wait_until_sent(5)\n"
        "notifier.notify()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["sent", "sent"]


def test_notifier_without_threads_logs_and_retries(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    notified: list[int] = []
    notifier = Notifier(lambda: notified.append(1), 0.0)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for _ in range(2):
            notifier.notify()
    assert not notifier.wait_until_sent(0.05)
    assert "the sweep finds the work" in caplog.text
    notifier.notify()
    assert notifier.wait_until_sent(5)
    assert notified == [1]
