"""Ringing costs the caller nothing, whatever the broker does."""

from __future__ import annotations

import os
import threading
import time

from django_sendcloud.doorbell import Doorbell


def test_one_notification_serves_all_rings_of_a_window() -> None:
    notified: list[float] = []
    bell = Doorbell(lambda: notified.append(time.monotonic()), lambda: 0.2)
    for _ in range(100):
        bell.ring()
    assert notified == []
    assert bell.wait_until_passed_on(5)
    assert len(notified) == 1


def test_a_later_ring_notifies_again() -> None:
    notified: list[int] = []
    bell = Doorbell(lambda: notified.append(1), lambda: 0.0)
    for _ in range(3):
        bell.ring()
        assert bell.wait_until_passed_on(5)
    assert len(notified) == 3


def test_a_broker_that_hangs_blocks_nobody() -> None:
    release = threading.Event()
    bell = Doorbell(release.wait, lambda: 0.0)
    bell.ring()
    for _ in range(1000):
        bell.ring()
    assert not bell.wait_until_passed_on(0.05)
    release.set()
    assert bell.wait_until_passed_on(5)


def test_a_broker_that_refuses_is_survived_and_says_no_secret(caplog: object) -> None:
    import logging

    calls: list[int] = []

    def refuse() -> None:
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
    bell = Doorbell(lambda: os.write(writer, b"x"), lambda: 0.0)
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
