"""A short run of the chaos package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.processes
@pytest.mark.timeout(240)
@pytest.mark.services("postgresql", "redis")
@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.exhaustive
def test_storm_leaves_both_sides_equal(api: str) -> None:
    options = ["--api", api, "--seed", "1729", "--seconds", "12", "--writers", "2", "--workers", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=230,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All rules hold." in done.stdout
    # The fixed seed has faults of each kind, and they were played.
    for fault in ("worker-1: stop", "worker-2: kill", "writer-1: kill", "broker: ", "database: ", "network: ", "late"):
        assert fault in done.stdout
