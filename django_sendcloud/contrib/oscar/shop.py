"""The shop's own models and classes: Oscar's, or those of an app that the shop has forked."""

from __future__ import annotations

import importlib
from typing import Any

from django.apps import apps

__all__ = ["get_class", "get_model"]


def get_model(label: str) -> Any:
    """Return a model by its label. A forked app keeps the label of Oscar's."""
    return apps.get_model(label)


def get_class(module: str, name: str) -> Any:
    """Return a class of Oscar's, or the shop's in its place."""
    return importlib.import_module("oscar.core.loading").get_class(module, name)
