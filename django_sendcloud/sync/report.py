"""Reports of the shop's failures in Sendcloud's own connection log, where the merchant sees it."""

from __future__ import annotations

import logging

from ..core.clock import clock
from ..models import Integration
from . import breaker, limiter
from .backends import backend_for

logger = logging.getLogger("django_sendcloud.sync")


def send(integration_pk: int, cause: str, exception_type: str = "") -> bool:
    """Write one failure to Sendcloud (operation: POST /integrations/{id}/logs). Return whether it arrived.

    It is tried once, takes its turn in the account's rate limit, and never raises: it is not worth a second failure.
    """
    integration = Integration.objects.select_related("account").filter(pk=integration_pk).first()
    if integration is None or integration.is_paused or breaker.closed_until(integration.account, clock.now()):
        return False
    if limiter.acquire(integration.account.pk, "unsafe"):
        return False
    try:
        with backend_for(integration) as backend:
            backend.report_failure(cause, exception_type)
    except Exception as error:
        logger.info("A failure could not be written to Sendcloud's log: %s.", type(error).__name__)
        return False
    return True
