"""How far periodic work has got."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Position(models.Model):
    """Until when something has been looked at, so that the next round goes on from there, whatever was restarted."""

    name = models.CharField(max_length=200, unique=True)
    until = models.DateTimeField()

    objects = models.Manager["Position"]()

    class Meta:
        verbose_name = _("position")
        verbose_name_plural = _("positions")
        default_permissions = ()

    def __str__(self) -> str:
        return self.name
