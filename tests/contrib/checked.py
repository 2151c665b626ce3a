"""The system checks of a shop, run in a process of its own with other settings than the tests'."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["block", "check_pasted", "errors_without_app"]

ROOT = Path(__file__).resolve().parents[2]
KEY = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ="
FORGOTTEN = """
import django
from django.conf import settings
from tests.contrib.{shop} import settings as ours
values = {{name: value for name, value in vars(ours).items() if name.isupper()}}
values["INSTALLED_APPS"] = [app for app in ours.INSTALLED_APPS if app != "django_sendcloud.contrib.{shop}"]
settings.configure(**values)
django.setup()
from django.core import checks
print([each.id for each in checks.run_checks() if each.level >= checks.ERROR])
"""


def errors_without_app(shop: str) -> subprocess.CompletedProcess[str]:
    """Print the ids of the errors in a shop that has forgotten the app for its package."""
    code = FORGOTTEN.format(shop=shop)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )


def block(page: str, name: str) -> str:
    """Return the block of a page that begins with the name of a file."""
    found = re.search(rf"^```python\n# {name}.*?\n(.*?)^```$", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def check_pasted(folder: Path, settings: list[str]) -> subprocess.CompletedProcess[str]:
    """Run the checks with these pieces of settings, one after the other in one file."""
    (folder / "pasted.py").write_text("\n".join(settings))
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "django", "check", "--settings", "pasted"],
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{folder}", "SENDCLOUD_ENCRYPTION_KEY": KEY},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
