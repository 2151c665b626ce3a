"""The progress of periodic work."""

from __future__ import annotations

import datetime as dt

from django.db import models

from ..core.clock import clock
from .base import DatabaseManager, SendcloudModel


class Checkpoint(SendcloudModel):
    """The time up to which a periodic job is done, so that the next run continues there, also after a restart."""

    name = models.CharField(max_length=200, unique=True)
    until = models.DateTimeField()

    objects = DatabaseManager["Checkpoint"]()

    class Meta(SendcloudModel.Meta):
        default_permissions = ()

    @classmethod
    def take(cls, name: str, period: dt.timedelta) -> bool:
        """Claim the next period of a job. Return whether this process got it."""
        now, rows = clock.now(), cls.objects.filter(name=name)
        if rows.filter(until__lte=now - period).update(until=now):
            return True
        if rows.exists():
            return False
        return cls.objects.get_or_create(name=name, defaults={"until": now})[1]

    def __str__(self) -> str:
        return self.name
