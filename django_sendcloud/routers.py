"""Database routers: one for this app's tables, and one that keeps replicas out of translations."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from django.db import models, router

from .conf import lenient_conf

__all__ = ["SendcloudRouter", "primary_reads"]

APP_LABEL = "django_sendcloud"


class SendcloudRouter:
    """Sends this app's models to ``SENDCLOUD["DATABASE"]``, and nothing else there or elsewhere.

    ::

        DATABASE_ROUTERS = ["django_sendcloud.routers.SendcloudRouter"]
    """

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return lenient_conf().DATABASE if model._meta.app_label == APP_LABEL else None

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return self.db_for_read(model)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == lenient_conf().DATABASE if app_label == APP_LABEL else None


class _PrimaryReads:
    """Within ``primary_reads``: sends reads of every model to the database that its writes go to."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return router.db_for_write(model, **hints) if _active.get() else None


_active: ContextVar[bool] = ContextVar("django_sendcloud.primary_reads", default=False)
_router = _PrimaryReads()


@contextlib.contextmanager
def primary_reads() -> Iterator[None]:
    """Read from primary databases within the block, in this thread or task, whatever the shop's routers say.

    For everything that an order is translated from: its row, its prefetched rows, and whatever an adapter follows
    lazily. A replica may lag behind the change that is to be pushed.
    """
    if _router not in router.routers:
        # First, because the first router that answers decides. Before any of the shop's, and again after its tests
        # have exchanged them.
        router.routers = [_router, *router.routers]
    with _set(True):
        yield


@contextlib.contextmanager
def shop_reads() -> Iterator[None]:
    """Read from the databases that the shop's routers name within the block, also within ``primary_reads``."""
    with _set(False):
        yield


@contextlib.contextmanager
def _set(is_active: bool) -> Iterator[None]:
    before = _active.set(is_active)
    try:
        yield
    finally:
        _active.reset(before)
