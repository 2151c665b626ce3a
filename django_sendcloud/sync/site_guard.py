"""Guard against a copy of the shop: an integration ships only from the site it was connected at."""

from __future__ import annotations

import logging

from ..core.site import differences
from ..models import Integration, PauseReason

__all__ = ["pause_if_copy"]

logger = logging.getLogger("django_sendcloud.sync")


def pause_if_copy(integration: Integration) -> bool:
    """Pause an integration that was connected at another site. Return whether it was.

    The pause lasts until a person resumes it (*this is the shop that ships*) or takes the integration out of use
    (*this is a copy*). It is written into this site's own database, so the original is not affected.
    """
    found = differences(integration.site)
    if not found:
        return False
    if integration.paused_since is None:
        detail = "; ".join(f"{part}: {there} there, {here} here" for part, (there, here) in sorted(found.items()))
        if integration.pause(PauseReason.COPY, detail):
            logger.error(
                "Integration %s was connected at another site (%s). Nothing is sent until a person resumes it.",
                integration.remote_id,
                ", ".join(sorted(found)),
            )
    return True
