"""Fixtures of the diagnosis."""

from __future__ import annotations

import pytest

from django_sendcloud.diagnostics import doctor


@pytest.fixture(autouse=True)
def brief_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait briefly for a worker's answer: no worker of another process hears this broker."""
    monkeypatch.setattr(doctor, "BROKER_TIMEOUT", 0.1)
