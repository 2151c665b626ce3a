"""The demo that ``make demo ONCE=1`` runs, on embedded defaults and with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = pytest.mark.processes


@pytest.mark.timeout(600)
@pytest.mark.parametrize("api", ["v2", "v3"])
@pytest.mark.exhaustive
def test_demo_completes_every_step(tmp_path: Path, api: str) -> None:
    program = "example_project/demo.py"
    command = [sys.executable, program, "--once", "--api", api, "--orders", "120", "--data", str(tmp_path / "shop")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO_", "SENDCLOUD_"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=570, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step was seen to work" in done.stdout


@pytest.mark.exhaustive
def test_demo_fails_when_a_step_fails(tmp_path: Path) -> None:
    """The demo fails with a sandbox that loses its shipments."""
    program = (
        "import sys; sys.argv = ['demo', '--once', '--orders', '5', '--data', sys.argv[1]]\n"
        "import demo\n"
        "demo.WAIT_SECONDS = 8\n"
        "demo.wait_until.__defaults__ = (8.0,)\n"
        "demo.Sandbox.shipment = lambda *args, **kwargs: None\n"
        "demo.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "shop")],
        cwd=ROOT / "example_project",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 1
    assert "was not seen" in done.stderr
