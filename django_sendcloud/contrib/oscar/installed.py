"""Check of ``INSTALLED_APPS``, also for a shop that has forgotten this app there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks

from ...checks import TAG, error_message

__all__ = ["APP", "check_installed", "register"]

APP = "django_sendcloud.contrib.oscar"


def register() -> None:
    """Register the check."""
    checks.register(check_installed, TAG)


def check_installed(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check for E080, an app that is missing in ``INSTALLED_APPS`` or has its place behind Oscar's."""
    names = [config.name for config in apps.get_app_configs()]
    if "oscar" not in names:
        # The adapter is imported, for instance by a tool that reads its documentation.
        problem = "" if APP not in names else "is in INSTALLED_APPS, and oscar is not"
    elif APP not in names:
        problem = "is not in INSTALLED_APPS: the dashboard has no panel, and buyers see no tracking"
    elif names.index(APP) > names.index("oscar"):
        problem = "comes behind oscar in INSTALLED_APPS: its templates are not used, nor its panel and its tracking"
    else:
        problem = ""
    if not problem:
        return []
    return [error_message(80, f"{APP} {problem}.", f'Write "{APP}" in front of "oscar.config.Shop".')]
