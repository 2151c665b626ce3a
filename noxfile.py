"""The version matrix: ``make matrix`` runs every cell for which this machine has the interpreter and the database.

A cell runs the tests of ``make test FAST=1``, and records its result in ``docs/reference/versions.md``.
``SENDCLOUD_EXHAUSTIVE=1`` adds every other test that needs no browser and no processes.
``make matrix ARGS="-s 'tests(3.11-5.2-sqlite)'"`` runs one of them.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import socket
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import nox

nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"

EXHAUSTIVE = bool(os.environ.get("SENDCLOUD_EXHAUSTIVE"))
TESTS = (
    *("-m", "not browser and not processes" + ("" if EXHAUSTIVE else " and not long")),
    *("--ignore-glob=*_fuzzed.py", "-p", "no:schemathesis"),
)
PAGE = Path("docs/reference/versions.md")


class Cell(NamedTuple):
    """One combination of versions."""

    python: str
    django: str
    database: str


# The LTS release on every Python, the others on their first and their last; other databases on the oldest and the
# newest pair. Django 6.0 needs Python 3.12.
CELLS = [
    Cell("3.11", "5.2", "sqlite"),
    Cell("3.12", "5.2", "sqlite"),
    Cell("3.13", "5.2", "sqlite"),
    Cell("3.14", "5.2", "sqlite"),
    Cell("3.12", "6.0", "sqlite"),
    Cell("3.14", "6.0", "sqlite"),
    Cell("3.12", "6.1", "sqlite"),
    Cell("3.13", "6.1", "sqlite"),
    Cell("3.14", "6.1", "sqlite"),
    Cell("3.11", "5.2", "postgresql"),
    Cell("3.13", "6.1", "postgresql"),
    Cell("3.11", "5.2", "mariadb"),
    Cell("3.13", "6.1", "mariadb"),
]
URLS = {
    "sqlite": "",
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "mariadb": os.environ.get("TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
}
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}


@nox.session
@nox.parametrize("python, django, database", [nox.param(*cell, id="-".join(cell)) for cell in CELLS])
def tests(session: nox.Session, django: str, database: str) -> None:
    """Run the tests on one combination."""
    cell = Cell(str(session.python), django, database)
    if not _answers(URLS[database]):
        session.skip(f"{NAMES[database]} does not answer at {urlsplit(URLS[database]).netloc.rpartition('@')[2]}")
    session.install("pip>=25.1")
    session.install("-e", ".", "--group", "test", f"Django~={django}.0")
    report = Path(session.create_tmp()) / "report.xml"
    session.run(
        *("python", "-m", "pytest", "-q", "-n", "auto", "--dist", "worksteal", *TESTS, f"--junitxml={report}"),
        *session.posargs,
        env={"TEST_DATABASE_URL": URLS[database], "PYTHONDONTWRITEBYTECODE": ""},
        success_codes=[0, 1],
    )
    said = session.run("python", "-c", "import django; print(django.__version__)", silent=True)
    version = str(said).strip()
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    counts = {name: int(suite.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    failed = counts["failures"] + counts["errors"]
    if not session.posargs and not os.environ.get("CI"):
        _record(cell, version, counts["tests"] - failed - counts["skipped"], failed)
    if failed:
        session.error(f"{failed} tests failed")


def _answers(url: str) -> bool:
    """Return whether a service listens at the address; nothing has to for SQLite."""
    if not url:
        return True
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=1).close()
    except OSError:
        return False
    return True


def _record(cell: Cell, django: str, passed: int, failed: int) -> None:
    """Write a cell's result into its row of the page."""
    today = dt.datetime.now(dt.UTC).date().isoformat()
    result = f"{passed} passed" + (f", **{failed} failed**" if failed else "")
    begin = f"| {cell.python} | {cell.django} | {NAMES[cell.database]} |"
    text = PAGE.read_text(encoding="utf-8")
    row = re.compile(rf"^{re.escape(begin)}.*$", re.MULTILINE)
    assert row.search(text), f"{PAGE} has no row for {cell}"
    PAGE.write_text(row.sub(f"{begin} {today} | Django {django}: {result} |", text), encoding="utf-8")


@nox.session
def package(session: nox.Session) -> None:
    """Build sdist and wheel, check both, walk through the wheel, and run the fast tests from the unpacked sdist."""
    session.install("pip>=25.1")
    session.install("--group", "release")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", silent=True)
    session.run("python", "-m", "twine", "check", "--strict", *map(str, Path("dist").iterdir()))
    # By its path, because the package of the tests needs what only they install.
    session.run("python", "tests/package.py", "dist")
