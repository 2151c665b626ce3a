"""Guard against a copy of the shop: an integration ships only from the site it was connected at."""

from __future__ import annotations

import logging

from ..core.site import differences
from ..models import Integration, PauseReason

__all__ = ["belongs_here"]

logger = logging.getLogger("django_sendcloud.sync")


def belongs_here(integration: Integration) -> bool:
    """Return whether this site is the one the integration was connected at; if not, pause the integration.

    The pause lasts until a person resumes it (*this is the shop that ships*) or takes the integration out of use
    (*this is a copy*). It is written into this site's own database, so the original is not affected.
    """
    found = differences(integration.site)
    if not found:
        return True
    if integration.paused_since is None:
        detail = "; ".join(f"{part}: {there} there, {here} here" for part, (there, here) in sorted(found.items()))
        if integration.pause(PauseReason.COPY, detail):
            logger.error(
                "Integration %s was connected at another site (%s). Nothing is sent until a person resumes it.",
                integration.remote_id,
                ", ".join(sorted(found)),
            )
    return False
