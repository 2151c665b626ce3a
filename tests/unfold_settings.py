"""The test project with a theme that many shops use, django-unfold, in front of Django's admin."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as PLAIN

INSTALLED_APPS = ["unfold", "unfold.contrib.filters", *PLAIN]
ROOT_URLCONF = "tests.unfold_urls"
