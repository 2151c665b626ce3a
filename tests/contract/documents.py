"""Sendcloud's API documents, as it publishes them."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent

# Of libyaml, where PyYAML has it: the documents are large, and each worker reads them while it collects the tests.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@functools.cache
def document(name: str) -> dict[str, Any]:
    """Return a document by its file's name, such as ``orders-v3``; it is not to be changed."""
    content: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(), Loader=_LOADER)
    return content
