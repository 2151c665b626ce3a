from __future__ import annotations

import importlib
import pkgutil

import pytest

import django_sendcloud.api
import django_sendcloud.payloads

MODULES = [
    module.name
    for package in (django_sendcloud.api, django_sendcloud.payloads)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
]


@pytest.mark.parametrize("name", [*MODULES, "django_sendcloud.api", "django_sendcloud.payloads"])
def test_module_exports_exist_without_duplicates(name: str) -> None:
    module = importlib.import_module(name)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
    assert len(set(module.__all__)) == len(module.__all__)


@pytest.mark.parametrize("package", [django_sendcloud.api, django_sendcloud.payloads])
def test_exported_classes_have_docstrings(package) -> None:
    undocumented = [
        name
        for name in package.__all__
        if isinstance(getattr(package, name), type) and not getattr(package, name).__doc__
    ]
    assert undocumented == []
