"""Paused integrations resume by themselves: one GET now and then finds out whether the cause is gone."""

from __future__ import annotations

import datetime as dt
import logging

from ..clock import clock
from ..conf import SendcloudConfigurationError, conf
from ..exceptions import APIError
from ..models import Integration, OutboxEntry, PauseReason
from ..signals import work_due
from .outcomes import AT_REST

logger = logging.getLogger("django_sendcloud.sync")


def wake_what_rests_for_nothing() -> None:
    """Wake orders that a worker put to rest right after their integration was resumed, and all others were woken."""
    database = conf().DATABASE
    running = Integration.objects.using(database).running()
    OutboxEntry.objects.using(database).filter(integration__in=running, error_code__in=AT_REST).wake()


def probe_paused() -> int:
    """Try every paused integration whose time has come. Returns how many were resumed.

    One that a person paused stays paused until a person resumes it.
    """
    clock.synchronize()
    now = clock.now()
    resumed = 0
    rows = Integration.objects.using(conf().DATABASE).active().filter(paused_since__isnull=False, probe_at__lte=now)
    for integration in rows.exclude(paused_reason=PauseReason.PERSON):
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
