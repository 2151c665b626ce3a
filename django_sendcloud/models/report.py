"""Which of our own failures were reported to Sendcloud's connection log, so that none is repeated within the hour."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .integration import Integration


class ExceptionReport(models.Model):
    """One cause of failure per integration, with the time it was last reported."""

    integration = models.ForeignKey(Integration, on_delete=models.CASCADE, related_name="reports")
    cause = models.CharField(max_length=64)
    reported_at = models.DateTimeField(default=timezone.now)
    occurrences = models.PositiveIntegerField(default=1)

    objects = models.Manager["ExceptionReport"]()

    class Meta:
        verbose_name = _("exception report")
        verbose_name_plural = _("exception reports")
        constraints = [
            models.UniqueConstraint(fields=["integration", "cause"], name="sendcloud_report_cause"),
        ]

    def __str__(self) -> str:
        return self.cause
