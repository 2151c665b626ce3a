"""Commands that need this app's tables."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, ProgrammingError

from ..core.schema import RUN_MIGRATE, unapplied_migrations

__all__ = ["TablesCommand"]


class TablesCommand(BaseCommand):
    """A command that says *run migrate* where a table, or a column of one, is missing."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except (OperationalError, ProgrammingError):
            if not unapplied_migrations():
                raise
            raise CommandError(RUN_MIGRATE, returncode=2) from None
