"""The recipe of a shop with Wagtail, in a process with settings of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHOP = Path(__file__).resolve().parent / "wagtail"


@pytest.mark.processes
def test_wagtail_shop_passes_its_tests() -> None:
    pytest.importorskip("wagtail")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TEST_DATABASE"))},
        "DJANGO_SETTINGS_MODULE": "tests.recipes.wagtail.settings",
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--no-migrations", "-o", "filterwarnings="]
    done = subprocess.run(
        [*command, "--confcutdir", str(SHOP), str(SHOP)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
