"""Databases that only one test uses, empty or with the test project's tables, and the content of the test's own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.apps import apps
from django.db import connection, connections
from django.db.models.signals import post_migrate

from tests import services

ROOT = Path(__file__).resolve().parent.parent
MIGRATE = (
    "import tests.celery_app, django; django.setup()\n"
    "from django.core.management import call_command; call_command('migrate', run_syncdb=True, verbosity=0)"
)


@contextlib.contextmanager
def fresh_database(kind: str, folder: Path, template: str = "") -> Iterator[str]:
    """Create a database, yield its URL, and drop it.

    Args:
        kind: ``sqlite``, ``postgresql`` or ``mariadb``.
        folder: Where SQLite keeps its file.
        template: URL of a database of this kind to copy.
    """
    name = f"test_sendcloud_{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        path = folder / f"{name}.sqlite3"
        if template:
            shutil.copy(urlsplit(template).path.removeprefix("/"), path)
        yield f"sqlite:///{path}?transaction_mode=IMMEDIATE&timeout=30"
        return
    url = urlunsplit(urlsplit(services.URLS[kind])._replace(path=f"/{name}"))
    with _administrator(kind) as cursor:
        if kind == "mariadb":
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
            if template:
                _copy_tables(cursor, urlsplit(template).path[1:], name)
        else:
            copied = f' TEMPLATE "{urlsplit(template).path[1:]}"' if template else ""
            cursor.execute(f'CREATE DATABASE "{name}"{copied}')
    try:
        yield url
    finally:
        with _administrator(kind) as cursor:
            cursor.execute(f"DROP DATABASE {name}" + (" WITH (FORCE)" if kind == "postgresql" else ""))


@contextlib.contextmanager
def _administrator(kind: str) -> Iterator[Any]:
    """Yield a cursor that may create databases."""
    connection: Any
    if kind == "postgresql":
        import psycopg

        connection = psycopg.connect(services.URLS[kind], autocommit=True)
    else:
        import pymysql

        parts = urlsplit(services.URLS[kind])
        connection = pymysql.connect(
            host=parts.hostname,
            port=parts.port or 3306,
            user=parts.username,
            password=parts.password or "",
            autocommit=True,
        )
    with contextlib.closing(connection), connection.cursor() as cursor:
        yield cursor


def _copy_tables(cursor: Any, source: str, target: str) -> None:
    """Copy a database of MariaDB, which has no statement for it."""
    cursor.execute(f"USE {target}")
    cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
    cursor.execute(f"SHOW TABLES FROM {source}")
    for (table,) in cursor.fetchall():
        cursor.execute(f"SHOW CREATE TABLE {source}.{table}")
        cursor.execute(cursor.fetchone()[1])
        cursor.execute(f"INSERT INTO {target}.{table} SELECT * FROM {source}.{table}")


class Templates:
    """Databases with all tables, one of each kind, made when the first copy is wanted.

    Args:
        folder: Where SQLite keeps its file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[str, str] = {}
        self._stack = contextlib.ExitStack()

    @contextlib.contextmanager
    def copy(self, kind: str, folder: Path) -> Iterator[str]:
        """Yield the URL of a database that has the tables and no rows."""
        if kind not in self._made:
            url = self._stack.enter_context(fresh_database(kind, self._folder))
            migrate(url)
            self._made[kind] = url
        with fresh_database(kind, folder, self._made[kind]) as url:
            yield url

    def close(self) -> None:
        """Drop the templates."""
        self._stack.close()


def migrate(url: str) -> None:
    """Create the test project's tables."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MIGRATE],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "TEST_DATABASE_URL": url,
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def copy_permissions_after_flush() -> None:
    """Write the permissions and content types that are there now again after each flush.

    Django would derive them from all models, in more time than most tests take.
    """
    from django.contrib.auth.models import Permission
    from django.contrib.contenttypes.management import create_contenttypes
    from django.contrib.contenttypes.models import ContentType

    models = (ContentType, Permission)
    rows = {
        alias: [list(model._base_manager.using(alias)) for model in models]
        for alias in connections
        # A database that no test needs has no tables.
        if ContentType._meta.db_table in connections[alias].introspection.table_names()
    }

    def copy(using: str, **kwargs: Any) -> None:
        for model, kept in zip(models, rows[using], strict=True):
            model._base_manager.using(using).bulk_create(kept)

    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.connect(copy, sender=apps.get_app_config("auth"), weak=False)


def rows_as_text() -> str:
    """Return the content of the app's tables, as a dump of the database would show it."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table.startswith("django_sendcloud"):
                cursor.execute(f"SELECT * FROM {table}")
                found += [repr(row) for row in cursor.fetchall()]
    return "\n".join(found)
