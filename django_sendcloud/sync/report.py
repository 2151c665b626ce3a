"""Telling the merchant, in Sendcloud's own connection log, that something failed on the shop's side.

Off unless ``SENDCLOUD["EXCEPTION_LOGS"]`` is set. At most one entry per cause and hour, without secrets or
personal data, and never able to disturb what it reports on.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging

from django.db import DatabaseError, transaction
from django.db.models import F

from ..api import IntegrationLogEntry
from ..conf import conf
from ..models import ExceptionReport, Integration
from ..signals import exception_reported
from . import breaker, limiter
from .clock import clock

logger = logging.getLogger("django_sendcloud.sync")

ONE_PER = dt.timedelta(hours=1)


def report(integration: Integration | None, cause: str, *, exception_type: str = "") -> bool:
    """Note a failure on our side, and have it written to the integration's log if it is the first of the hour.

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
        return _note(integration, cause[:500], exception_type)
    except DatabaseError:
        logger.warning("A failure could not be noted for Sendcloud's log.")
        return False


def _note(integration: Integration, cause: str, exception_type: str) -> bool:
    now = clock.now()
    database = conf().DATABASE
    digest = hashlib.sha256(cause.encode()).hexdigest()
    reports = ExceptionReport.objects.using(database)
    with transaction.atomic(using=database):
        row, created = reports.get_or_create(integration=integration, cause=digest, defaults={"reported_at": now})
        if not created:
            due = reports.filter(pk=row.pk, reported_at__lte=now - ONE_PER)
            created = bool(due.update(reported_at=now, occurrences=F("occurrences") + 1))
            if not created:
                reports.filter(pk=row.pk).update(occurrences=F("occurrences") + 1)
    if created:
        exception_reported.send_robust(
            sender=ExceptionReport, integration_pk=integration.pk, cause=cause, exception_type=exception_type
        )
    return created


def send(integration_pk: int, cause: str, exception_type: str = "") -> bool:
    """Write one failure to Sendcloud (operation: POST /integrations/{id}/logs). Returns whether it arrived.

    It is tried once, takes its turn in the account's rate limit, and never raises: it is not worth a second failure.
    """
    integration = Integration.objects.using(conf().DATABASE).select_related("account").filter(pk=integration_pk).first()
    if integration is None or integration.is_paused or breaker.closed_until(integration.account, clock.now()):
        return False
    if limiter.acquire(integration.account.pk, "unsafe"):
        return False
    try:
        with integration.client(retries=0) as client:
            client.logs.create(
                integration.remote_id,
                IntegrationLogEntry(
                    base_url=integration.shop_url or "django-sendcloud",
                    exception=cause,
                    exception_type=exception_type or None,
                ),
            )
    except Exception as error:
        logger.info("A failure could not be written to Sendcloud's log: %s.", type(error).__name__)
        return False
    return True
