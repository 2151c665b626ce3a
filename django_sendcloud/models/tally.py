"""How much Sendcloud was told in each hour."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from django.db import connections, models
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from .integration import Integration


class Tally(models.Model):
    """What one integration was told within one hour. Shipments know only when they were told last."""

    integration = models.ForeignKey(
        Integration,
        on_delete=models.CASCADE,
        related_name="tallies",
        verbose_name=_("integration"),
        db_index=False,  # the unique constraint begins with it
    )
    hour = models.DateTimeField(_("hour"))
    pushed = models.PositiveIntegerField(_("shipments pushed"), default=0)
    deleted = models.PositiveIntegerField(_("shipments deleted"), default=0)

    objects = models.Manager["Tally"]()

    class Meta:
        verbose_name = _("tally")
        verbose_name_plural = _("tallies")
        constraints = [
            models.UniqueConstraint(fields=["integration", "hour"], name="sendcloud_tally_hour"),
        ]
        indexes = [
            models.Index(fields=["hour"], name="sendcloud_tally_at"),
        ]

    def __str__(self) -> str:
        return f"{self.integration} {self.hour:%Y-%m-%d %H:00}"

    @classmethod
    def add(cls, now: dt.datetime, counts: Mapping[int, tuple[int, int]]) -> None:
        """Count what was just told. One statement.

        Args:
            now: When.
            counts: How many shipments were pushed and deleted, by the integration's primary key.
        """
        connection = connections[conf().DATABASE]
        hour = connection.ops.adapt_datetimefield_value(now.replace(minute=0, second=0, microsecond=0))
        table = cls._meta.db_table
        # In a fixed order, so that two workers that count several never wait for each other in a circle.
        rows = [(pk, hour, *numbers) for pk, numbers in sorted(counts.items())]
        mysql = connection.vendor == "mysql"
        conflict = "ON DUPLICATE KEY UPDATE" if mysql else "ON CONFLICT (integration_id, hour) DO UPDATE SET"
        new = "VALUES({0})".format if mysql else "EXCLUDED.{0}".format
        sums = ", ".join(f"{name} = {table}.{name} + {new(name)}" for name in ("pushed", "deleted"))
        sql = (
            f"INSERT INTO {table} (integration_id, hour, pushed, deleted) "  # noqa: S608
            f"VALUES {', '.join(['(%s, %s, %s, %s)'] * len(rows))} {conflict} {sums}"
        )
        with connection.cursor() as cursor:
            cursor.execute(sql, [value for row in rows for value in row])
