"""A database router, for shops that keep this app's tables in another database than the default one."""

from __future__ import annotations

from typing import Any

from django.db import models

from .conf import conf_while_selling

__all__ = ["SendcloudRouter"]

APP_LABEL = "django_sendcloud"


class SendcloudRouter:
    """Sends this app's models to ``SENDCLOUD["DATABASE"]``, and nothing else there or elsewhere.

    ::

        DATABASE_ROUTERS = ["django_sendcloud.routers.SendcloudRouter"]
    """

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str | None:
        return conf_while_selling().DATABASE if model._meta.app_label == APP_LABEL else None

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str | None:
        return self.db_for_read(model)

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == conf_while_selling().DATABASE if app_label == APP_LABEL else None
