"""The example shop and its story, as ``make demo ONCE=1`` plays it: on embedded defaults, with real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.timeout(600)
def test_every_step_of_the_story_is_seen_to_work(tmp_path: Path) -> None:
    command = [sys.executable, "example_project/demo.py", "--once", "--orders", "120", "--data", str(tmp_path / "shop")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO_", "SENDCLOUD_"))}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=570, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every step was seen to work" in done.stdout


def test_the_story_fails_where_a_step_does_not_work(tmp_path: Path) -> None:
    """A sandbox that loses its shipments must not pass for a success."""
    program = (
        "import sys; sys.argv = ['demo', '--once', '--orders', '5', '--data', sys.argv[1]]\n"
        "import demo\n"
        "demo.PATIENCE = 8\n"
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
