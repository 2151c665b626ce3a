"""Calling the shop's receivers: each is called, failures are named without their texts, interruptions pass."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from django.dispatch import Signal

from django_sendcloud.core import interruption
from django_sendcloud.core.dispatch import ReceiverFailed, dispatch, innermost_frame


class Interrupted(Exception):
    pass


def fail(**kwargs: Any) -> None:
    raise RuntimeError("Jane Canary lives at Markt 1")


@pytest.fixture
def signal() -> Signal:
    return Signal()


def test_dispatch_failing_receiver_stops_no_other(signal: Signal) -> None:
    heard: list[Any] = []
    signal.connect(fail)
    signal.connect(receive := lambda **kwargs: heard.append(kwargs["number"]))
    with pytest.raises(ReceiverFailed):
        dispatch(signal, object, number=7)
    assert heard == [7]
    signal.disconnect(receive)


def test_dispatch_failure_names_receiver_and_line(signal: Signal, caplog: pytest.LogCaptureFixture) -> None:
    signal.connect(fail)
    with caplog.at_level(logging.ERROR, "django_sendcloud.shop"), pytest.raises(ReceiverFailed) as caught:
        dispatch(signal, object)
    ((receiver, error, frame),) = caught.value.failures
    assert (receiver, error) == (f"{__name__}.fail", "RuntimeError")
    path, line = frame.rsplit(":", 1)
    assert path == __file__
    assert int(line) == fail.__code__.co_firstlineno + 1
    (record,) = [record for record in caplog.records if record.name == "django_sendcloud.shop"]
    assert frame in record.getMessage()
    assert "Canary" not in str(caught.value) + record.getMessage()


def test_dispatch_interruption_passes(signal: Signal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's time limit within a receiver is no failure of the receiver."""
    monkeypatch.setattr(interruption, "_kinds", [Interrupted])

    def interrupt(**kwargs: Any) -> None:
        raise Interrupted

    signal.connect(interrupt)
    with pytest.raises(Interrupted):
        dispatch(signal, object)


def test_innermost_frame_prefers_shop_code() -> None:
    """The line of the shop that called the library, not the library's own line."""
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")
    assert innermost_frame(caught.value).startswith(f"{__file__}:")
