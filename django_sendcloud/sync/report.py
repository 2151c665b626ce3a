"""Writing a failure of the shop's side to Sendcloud's own connection log, where the merchant sees it."""

from __future__ import annotations

import logging

from ..api import IntegrationLogEntry
from ..clock import clock
from ..conf import conf
from ..models import Integration
from . import breaker, limiter

logger = logging.getLogger("django_sendcloud.sync")


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
