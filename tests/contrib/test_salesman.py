"""The tests of the shop with Salesman, each in a process with settings of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SHOP = Path(__file__).resolve().parent / "salesman"


@pytest.mark.processes
@pytest.mark.parametrize("swapped", ["0", "1"], ids=["own-orders", "swapped-orders"])
@pytest.mark.exhaustive
def test_salesman_shop_passes_its_tests(swapped: str) -> None:
    pytest.importorskip("salesman")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DJANGO_SETTINGS"))},
        "DJANGO_SETTINGS_MODULE": "tests.contrib.salesman.settings",
        "SHOP_SWAPS_ORDERS": swapped,
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--no-migrations"]
    done = subprocess.run(
        [*command, "--confcutdir", str(SHOP), str(SHOP)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
