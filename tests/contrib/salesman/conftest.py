"""Fixtures of the shop with Salesman. Its tests run in a process of their own: see ``tests/contrib/test_salesman.py``."""

from __future__ import annotations

import os

if os.environ.get("DJANGO_SETTINGS_MODULE") != "tests.contrib.salesman.settings":
    collect_ignore_glob = ["test_*.py"]
else:
    pytest_plugins = ["django_sendcloud.testing"]
