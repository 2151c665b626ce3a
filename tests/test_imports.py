"""Imports within the package, annotations included. Those between siblings are held by contracts of import-linter."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "django_sendcloud"
IMPORT = re.compile(r"^ *from (\.+)([\w.]*) import (\([^)]*\)|.*)$", re.MULTILINE)


def names_from_own_package(module: Path) -> Iterator[str]:
    """Yield the names that a module imports from a package that it is part of, other than modules."""
    for dots, path, names in IMPORT.findall(module.read_text()):
        package = module.parents[len(dots) - 1].joinpath(*filter(None, path.split(".")))
        if package in module.parents:
            modules = {each.stem for each in package.iterdir()}
            yield from set(re.findall(r"(\w+)(?: as \w+)?(?:,|\)|$)", names)) - modules


def test_module_imports_nothing_from_own_package() -> None:
    """A package imports what it hands on, so a module that imports from the package itself forms a circle with it."""
    found = {str(path.relative_to(PACKAGE)): set(names_from_own_package(path)) for path in PACKAGE.rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}
