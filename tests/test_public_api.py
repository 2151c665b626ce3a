"""The public API: the names on ``docs/reference/api.md``, and no others."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_sendcloud

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs/reference/api.md").read_text()
# Modules that have exports for other rooms of the package, too.
PARTLY_PUBLIC = {
    "django_sendcloud.models",
    "django_sendcloud.payloads.v2",
    "django_sendcloud.payloads.v3",
    "django_sendcloud.routers",
    "django_sendcloud.storefront.service_points",
    "django_sendcloud.storefront.tracking",
    "django_sendcloud.storefront.views",
    "django_sendcloud.violations",
}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHOP = [path for room in ("shop", "example") for path in sorted((ROOT / "example_project" / room).rglob("*.py"))]


def sections() -> dict[str, list[str]]:
    parts = re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:]
    return {
        title.strip("`"): re.findall(r"`(\w+)`[,.]", text) for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


PUBLIC = sections()
INTERNAL = PUBLIC.pop("Internal")


def imports(source: str) -> Iterator[tuple[str, str]]:
    """Yield module and name of what a piece of code imports from the package."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "django_sendcloud":
            # A module that is imported from its package is public where it has a section.
            yield from (
                (node.module or "", name.name) for name in node.names if f"{node.module}.{name.name}" not in PUBLIC
            )


@pytest.mark.parametrize("module", PUBLIC)
def test_page_names_the_exports(module: str) -> None:
    exports = set(importlib.import_module(module).__all__)
    assert len(PUBLIC[module]) == len(set(PUBLIC[module]))
    if module in PARTLY_PUBLIC:
        assert set(PUBLIC[module]) <= exports
    else:
        assert set(PUBLIC[module]) == exports


@pytest.mark.parametrize("module", PUBLIC)
def test_public_classes_and_functions_are_documented(module: str) -> None:
    if module == "django_sendcloud.contrib.salesman":
        pytest.importorskip("salesman")
    values = {name: getattr(importlib.import_module(module), name) for name in PUBLIC[module]}
    ours = {name: value for name, value in values.items() if inspect.isclass(value) or inspect.isfunction(value)}
    assert [name for name, value in ours.items() if not value.__doc__] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documents_import_public_names(document: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL)
    wanted = {pair for block in blocks for pair in imports(block)}
    assert [(module, name) for module, name in wanted if name not in PUBLIC.get(module, ())] == []


def test_example_shop_imports_public_names() -> None:
    wanted = {pair for path in SHOP for pair in imports(path.read_text())}
    assert wanted
    assert [(module, name) for module, name in wanted if name not in PUBLIC.get(module, ())] == []


def test_room_is_either_public_or_internal() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(django_sendcloud.__path__)}
    public = {module.split(".")[1] for module in PUBLIC if "." in module}
    assert public | set(INTERNAL) == rooms
    assert not public & set(INTERNAL)
