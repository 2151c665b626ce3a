"""Sphinx's configuration of the documentation site: ``make docs``.

The pages are the Markdown files of this folder. The pages of ``reference/python/`` are written at each build, one for
each public module that ``reference/api.md`` names, from the docstrings of the names it lists.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

import django  # noqa: E402 - the path and the settings come first

django.setup()

import django_sendcloud  # noqa: E402 - likewise

project = "django-sendcloud"
author = "The django-sendcloud developers"
copyright = f"2026, {author}"
version = release = django_sendcloud.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
]
exclude_patterns = ["_build"]
# Classes of both generations, and of models and payloads, share names; a reference to such a name leads to the first.
suppress_warnings = ["ref.python"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Addresses of other projects' inventories are asked for only where a build may use the network.
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "django": ("https://docs.djangoproject.com/en/stable/", "https://docs.djangoproject.com/en/stable/_objects/"),
    }
    if os.environ.get("READTHEDOCS")
    else {}
)

html_theme = "furo"
html_title = f"django-sendcloud {version}"
html_theme_options = {
    "source_repository": "https://github.com/django-sendcloud/django-sendcloud/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_prompt_text = r"^\$ "
copybutton_prompt_is_regexp = True


def write_python_pages() -> None:
    """Write a page of docstrings for each public module of ``reference/api.md``."""
    folder = HERE / "reference" / "python"
    folder.mkdir(exist_ok=True)
    for page in folder.glob("*.md"):
        page.unlink()
    text = (HERE / "reference" / "api.md").read_text(encoding="utf-8")
    parts = re.split(r"^## `([\w.]+)`$", re.split(r"^## Internal$", text, flags=re.MULTILINE)[0], flags=re.MULTILINE)
    public = {
        module: re.findall(r"`(\w+)`[,.]", section) for module, section in zip(parts[1::2], parts[2::2], strict=True)
    }
    for module, names in public.items():
        lent = [name for name in names if _described_below(module, name, public)]
        lines = [
            f"# `{module}`",
            "",
            "```{eval-rst}",
            f".. automodule:: {module}",
            f"   :members: {', '.join(name for name in names if name not in lent)}",
            f"   :exclude-members: {', '.join(lent)}",
            "```",
            "",
        ]
        (folder / f"{module}.md").write_text("\n".join(lines), encoding="utf-8")


def _described_below(module: str, name: str, public: dict[str, list[str]]) -> bool:
    """Return whether a module inside this one exports the same object."""
    return any(
        getattr(importlib.import_module(other), name) is getattr(importlib.import_module(module), name)
        for other, names in public.items()
        if other.startswith(f"{module}.") and name in names
    )


write_python_pages()
