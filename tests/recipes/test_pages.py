"""The pages of the recipes show the code that is tested, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PAGES = sorted((HERE.parent.parent / "docs/recipes").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_shows_the_tested_code(page: Path) -> None:
    tested = [path.read_text() for pattern in ("*.py", "*.html") for path in HERE.rglob(pattern)]
    blocks = re.findall(r"```(?:python|django)\n(.*?)```", page.read_text(), re.DOTALL)
    assert blocks
    assert [block for block in blocks if not any(block.strip() in text for text in tested)] == []


def test_recipe_has_a_page_and_tests() -> None:
    recipes = {page.stem.replace("-", "_") for page in PAGES}
    assert recipes == {path.stem.removeprefix("test_") for path in HERE.glob("test_*.py")} - {"pages"}
