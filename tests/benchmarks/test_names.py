"""Names and options of the benchmarks."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from . import __main__ as main


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["black_friday"], []),
        (["black_friday", "--orders", "10", "--seconds", "9"], ["--orders", "10", "--seconds", "9"]),
    ],
)
def test_options_reach_their_benchmark(words: list[str], options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[bytes]:
        ran.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    assert main.main() == 0
    assert [command[4:] for command in ran] == [["tests.benchmarks.black_friday", *options]]


@pytest.mark.parametrize("words", [["--orders", "10"], ["engine", "latency", "--orders", "10"], ["unknown"]])
def test_odd_words_run_nothing(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *args, **how: pytest.fail("It ran."))
    monkeypatch.setattr(sys, "argv", ["benchmarks", *words])
    assert main.main() == 2
