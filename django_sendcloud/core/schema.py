"""The state of this app's tables."""

from __future__ import annotations

from django.db import connections

from ..conf import conf

__all__ = ["RUN_MIGRATE", "unapplied_migrations"]

APP_LABEL = "django_sendcloud"
RUN_MIGRATE = "The tables of django_sendcloud are missing or older than its code: run migrate."


def unapplied_migrations() -> list[str]:
    """Return the names of this app's migrations that its database does not have yet.

    Raises:
        DatabaseError: the database cannot be asked.
    """
    # The system checks import this module at each start, and run later.
    from django.db.migrations.loader import MigrationLoader

    loader = MigrationLoader(connections[conf().DATABASE])
    return sorted(
        name
        for label, name in loader.graph.nodes
        if label == APP_LABEL and (label, name) not in (loader.applied_migrations or {})
    )
