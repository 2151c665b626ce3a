"""The probe that resumes paused integrations automatically: one GET now and then shows whether the cause is gone."""

from __future__ import annotations

import datetime as dt
import logging

from ..conf import SendcloudConfigurationError, conf
from ..core.clock import clock
from ..exceptions import APIError
from ..models import Integration, OutboxEntry, PauseReason
from ..signals import work_due
from .outcomes import ON_HOLD

logger = logging.getLogger("django_sendcloud.sync")


def requeue_stale_holds() -> None:
    """Make orders due that a worker put on hold right after their integration, with its other orders, was resumed."""
    running = Integration.objects.running()
    OutboxEntry.objects.filter(integration__in=running, error_code__in=ON_HOLD).requeue()


def resume_expired() -> int:
    """Resume the integrations whose timed pause is over, and return how many."""
    clock.synchronize()
    expired = Integration.objects.active().filter(paused_reason=PauseReason.PERSON, paused_until__lte=clock.now())
    resumed = sum(integration.resume(by_probe=True) for integration in expired)
    if resumed:
        work_due.send_robust(sender=OutboxEntry, queue="outbox")
    return resumed


def probe_paused() -> int:
    """Try every paused integration whose time has come. Returns how many were resumed.

    One that a person paused stays paused until a person resumes it, or its time is over.
    """
    clock.synchronize()
    now = clock.now()
    resumed = 0
    rows = Integration.objects.active().filter(paused_since__isnull=False, probe_at__lte=now)
    for integration in rows.exclude(paused_reason__in=[reason for reason in PauseReason if reason.waits_for_person]):
        later = now + dt.timedelta(seconds=conf().PROBE_SECONDS)
        # Of several workers, the one that moves the time makes the request.
        if not rows.filter(pk=integration.pk, probe_at=integration.probe_at).update(probe_at=later):
            continue
        try:
            integration.refresh_from_sendcloud()
        except (APIError, SendcloudConfigurationError) as error:
            logger.info("Integration %s is still unreachable: %s.", integration.remote_id, type(error).__name__)
        else:
            resumed += integration.resume(by_probe=True)
    if resumed:
        work_due.send_robust(sender=OutboxEntry, queue="outbox")
    return resumed
