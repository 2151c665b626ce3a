"""The shop with Oscar: its tests, with its own settings, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ["-q", "-p", "no:cacheprovider", "--confcutdir=tests/contrib/oscar", "--nomigrations"]


@pytest.mark.processes
@pytest.mark.exhaustive
def test_oscar_shop_passes() -> None:
    """Oscar's models, templates and settings must not be those of the other tests."""
    pytest.importorskip("oscar", reason="django-oscar is not installed here")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TEST_DATABASE"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, "-o", "filterwarnings=", "tests/contrib/oscar"],
        cwd=ROOT,
        env=environment | {"DJANGO_SETTINGS_MODULE": "tests.contrib.oscar.settings"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
