"""Failures that were reported to Sendcloud's connection log, so that none is repeated within the hour."""

from __future__ import annotations

import datetime as dt
import hashlib
import logging

from django.db import DatabaseError, models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import conf
from ..signals import exception_reported
from .base import DatabaseQuerySet, SendcloudModel
from .integration import Integration

logger = logging.getLogger("django_sendcloud.reports")

REPORT_EVERY = dt.timedelta(hours=1)


class ExceptionReportQuerySet(DatabaseQuerySet["ExceptionReport"]):
    def report(self, integration: Integration | None, cause: str, exception_type: str = "") -> bool:
        """Note a failure on the shop's side, and report the first of each hour to the integration's log.

        Never raises, and does nothing unless ``SENDCLOUD["EXCEPTION_LOGS"]`` is set.

        Args:
            integration: Whose merchant should see it; ``None`` reports nothing.
            cause: A code and what it concerns, for instance ``payload_invalid: country``. It is sent as it is: it
                must hold neither secrets nor personal data.
            exception_type: Python path of the exception, which Sendcloud uses to show hints.

        Returns:
            Whether it will be sent.
        """
        if integration is None or not conf().EXCEPTION_LOGS:
            return False
        try:
            first = self._is_first_of_the_hour(integration, cause[:500])
        except DatabaseError:
            logger.warning("A failure could not be noted for Sendcloud's log.")
            return False
        if first:
            # After commit, since it may take the broker a while.
            def report() -> None:
                exception_reported.send_robust(
                    sender=ExceptionReport,
                    integration_pk=integration.pk,
                    cause=cause[:500],
                    exception_type=exception_type,
                )

            transaction.on_commit(report, using=conf().DATABASE, robust=True)
        return first

    def _is_first_of_the_hour(self, integration: Integration, cause: str) -> bool:
        now = timezone.now()
        with transaction.atomic(using=conf().DATABASE):
            digest = hashlib.sha256(cause.encode()).hexdigest()
            row, created = self.get_or_create(integration=integration, cause=digest, defaults={"reported_at": now})
            return created or bool(self.filter(pk=row.pk, reported_at__lte=now - REPORT_EVERY).update(reported_at=now))


class ExceptionReport(SendcloudModel):
    """One cause of failure per integration, with the time it was last reported."""

    integration = models.ForeignKey(
        Integration,
        on_delete=models.CASCADE,
        related_name="reports",
        db_index=False,  # the unique constraint begins with it
    )
    cause = models.CharField(max_length=64)
    reported_at = models.DateTimeField(default=timezone.now)

    objects = ExceptionReportQuerySet.as_manager()

    class Meta(SendcloudModel.Meta):
        verbose_name = _("exception report")
        verbose_name_plural = _("exception reports")
        constraints = [
            models.UniqueConstraint(fields=["integration", "cause"], name="sendcloud_report_cause"),
        ]

    def __str__(self) -> str:
        return self.cause
