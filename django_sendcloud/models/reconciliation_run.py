"""A comparison of both sides, page by page, that survives being interrupted."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..core.dates import date_and_time
from .base import DatabaseManager, SendcloudModel
from .integration import Integration


class ReconciliationRun(SendcloudModel):
    """One pass over everything an integration has at Sendcloud, with where it stands and what it found."""

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, related_name="runs", verbose_name=_("integration")
    )
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    # The worker that reads, and the end of its lease: two concurrent runs would not be two in a row.
    lease = models.CharField(max_length=32, default="", blank=True, editable=False)
    leased_until = models.DateTimeField(null=True, blank=True, editable=False)
    cursor = models.TextField(blank=True, default="")
    pages = models.PositiveIntegerField(_("pages"), default=0)
    seen = models.PositiveBigIntegerField(_("shipments there"), default=0)
    unknown = models.PositiveBigIntegerField(_("only there"), default=0)
    stale = models.PositiveBigIntegerField(_("older there"), default=0)
    undeleted = models.PositiveBigIntegerField(_("deleted here, still there"), default=0)
    orphaned = models.PositiveBigIntegerField(_("its order is gone, still there"), default=0)
    missing = models.PositiveBigIntegerField(_("only here"), default=0)
    repaired = models.PositiveBigIntegerField(_("repaired"), default=0)

    # Missing shipments that a person must decide on, because they are too many to believe in.
    held_back = models.PositiveBigIntegerField(_("held back"), default=0)

    objects = DatabaseManager["ReconciliationRun"]()

    class Meta(SendcloudModel.Meta):
        verbose_name = _("comparison")
        verbose_name_plural = _("comparisons")

    def __str__(self) -> str:
        return f"{self.integration} {date_and_time(self.started_at)}"
