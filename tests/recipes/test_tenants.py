"""The recipe of a shop with a schema for each tenant (django-tenants)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.databases import fresh_database

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.processes
@pytest.mark.services("postgresql")
@pytest.mark.exhaustive
def test_tenants_ship_apart(tmp_path: Path) -> None:
    """One tenant's broken schema stops no other, and a webhook reaches the tenant whose address was called."""
    pytest.importorskip("django_tenants")
    with fresh_database("postgresql", tmp_path) as url:
        done = subprocess.run(
            [sys.executable, "-m", "tests.recipes.tenants.play"],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.recipes.tenants.settings", "DATABASE_URL": url},
            capture_output=True,
            text=True,
            timeout=250,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    result = json.loads(done.stdout.splitlines()[-1])
    assert list(result["there"].values()) == [["north-0", "north-1"], ["south-0", "south-1"]]
    assert result["answers"] == {"south.example": 200, "north.example": 404}
    assert result["parcels"] == {"north": 0, "south": 1}
    assert result["said"].startswith("Failed: west (")
