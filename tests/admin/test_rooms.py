"""Rooms of the admin bear the names of the menu, and their templates stand in folders of the same names."""

from __future__ import annotations

import re
from pathlib import Path

from django.contrib import admin
from django.utils.translation import override

PACKAGE = Path(__file__).resolve().parents[2] / "django_sendcloud"
TEMPLATES = PACKAGE / "templates/admin/django_sendcloud"
# Django finds these by their names: for all our pages, and for those of one model.
DJANGOS = {"change_form.html", "change_list.html", "integration/change_form.html", "integration/submit_line.html"}
# The path to it, and the name.
USED = re.compile(r"admin/django_sendcloud/((?:\w+/)*\w+\.html)")


def names() -> set[str]:
    return {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")}


def users() -> dict[str, set[str]]:
    """Return the names that files use, each with the files."""
    found: dict[str, set[str]] = {}
    for path in [*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html")]:
        for name in USED.findall(path.read_text()):
            found.setdefault(name, set()).add(path.relative_to(PACKAGE).as_posix())
    return found


def test_used_templates_exist_and_existing_are_used() -> None:
    assert set(users()) | DJANGOS == names()


def test_folders_are_rooms_of_the_admin() -> None:
    rooms = {path.parent.name for path in (PACKAGE / "admin").glob("*/__init__.py")}
    folders = {path.name for path in TEMPLATES.iterdir() if path.is_dir()}
    assert folders - {"includes", "integration"} <= rooms


def test_room_alone_uses_its_page() -> None:
    """A module of one room does not render the page of another."""
    modules = {name: {path for path in paths if path.startswith("admin/")} for name, paths in users().items()}
    strangers = {
        (path, name)
        for name, paths in modules.items()
        for path in paths
        if name.count("/") and name.split("/")[0] not in ("includes", path.split("/")[1])
    }
    assert strangers == set()


def test_menu_entry_has_a_room() -> None:
    """A newcomer finds the code of a page by the page's name."""
    with override("en"):
        names = {
            str(page.opts.verbose_name_plural).strip().lower(): page.__class__.__module__
            for page in [*admin.site._registry.values()]
            if page.opts.app_label == "django_sendcloud"
        }
    assert len(names) == 7
    assert names == {name: f"django_sendcloud.admin.{name}.admin" for name in names}
