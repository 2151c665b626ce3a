"""Fixtures of the shop with Wagtail. Its tests run in a process of their own: see ``tests/recipes/test_wagtail.py``."""

from __future__ import annotations

import os

if os.environ.get("DJANGO_SETTINGS_MODULE") != "tests.recipes.wagtail.settings":
    collect_ignore_glob = ["test_*.py"]
else:
    pytest_plugins = ["django_sendcloud.testing"]
