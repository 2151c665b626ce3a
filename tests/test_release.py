"""The files that release the package: the matrix, the workflows, and what pyproject.toml promises."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
NAMES = {"SQLite": "sqlite", "PostgreSQL": "postgresql", "MariaDB": "mariadb"}


def workflow(path: Path) -> dict[Any, Any]:
    return yaml.safe_load(path.read_text())


def cells() -> list[tuple[str, str, str]]:
    """Return the matrix of ``noxfile.py``, which cannot be imported without nox."""
    tree = ast.parse((ROOT / "noxfile.py").read_text())
    (found,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CELLS"
    )
    return [tuple(ast.literal_eval(argument) for argument in call.args) for call in found.elts]


def test_matrix_covers_every_promised_version() -> None:
    promised = re.findall(r"(Python|Django) :: (\d+\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert {("Python", python) for python, _, _ in cells()} | {("Django", django) for _, django, _ in cells()} == set(
        promised
    )


def test_versions_page_has_every_cell() -> None:
    page = (ROOT / "docs/reference/versions.md").read_text()
    rows = re.findall(r"^\| (\d\.\d+) \| (\d\.\d+) \| (\w+) \|", page, re.MULTILINE)
    assert [(python, django, NAMES[database]) for python, django, database in rows] == cells()


def test_hosted_matrix_equals_the_local_one() -> None:
    include = workflow(ROOT / ".github/workflows/ci.yml")["jobs"]["matrix"]["strategy"]["matrix"]["include"]
    assert [(cell["python"], cell["django"], cell["database"]) for cell in include] == cells()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_grants_nothing_by_default(path: Path) -> None:
    assert workflow(path)["permissions"] == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_pins_actions_by_commit(path: Path) -> None:
    uses = re.findall(r"uses: (\S+)", path.read_text())
    assert uses
    assert [action for action in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_calls_existing_targets(path: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", path.read_text())) <= targets


def test_publishing_alone_gets_a_token() -> None:
    jobs = workflow(ROOT / ".github/workflows/release.yml")["jobs"]
    assert {name: job["permissions"] for name, job in jobs.items() if "permissions" in job} == {
        "publish": {"id-token": "write"}
    }
