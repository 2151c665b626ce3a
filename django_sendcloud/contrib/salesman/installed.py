"""Check of ``INSTALLED_APPS``, also for a shop that has forgotten this app there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core import checks

from ...checks import TAG, error_message

__all__ = ["APP", "check_installed", "register"]

APP = "django_sendcloud.contrib.salesman"


def register() -> None:
    """Register the check."""
    checks.register(check_installed, TAG)


def check_installed(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Check for E094, an app that is missing in ``INSTALLED_APPS``."""
    names = [config.name for config in apps.get_app_configs()]
    # Without Salesman, the adapter is imported by a tool that reads its documentation.
    if "salesman.orders" not in names or APP in names:
        return []
    return [
        error_message(
            94,
            f"{APP} is not in INSTALLED_APPS: Salesman's admin has no panel, and the adapter is not checked.",
            f'Add "{APP}" to INSTALLED_APPS.',
        )
    ]
