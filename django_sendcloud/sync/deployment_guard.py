"""Guard against a copy of the shop: an integration ships only from the deployment it was connected in."""

from __future__ import annotations

import logging

from ..core.deployment import deployment_differences
from ..models import Integration, PauseReason

__all__ = ["pause_if_copy"]

logger = logging.getLogger("django_sendcloud.sync")


def pause_if_copy(integration: Integration) -> bool:
    """Pause an integration that was connected in another deployment. Return whether it was.

    The pause lasts until a person resumes it (*this is the shop that ships*) or takes the integration out of use
    (*this is a copy*). It is written into this deployment's own database, so the original is not affected.
    """
    found = deployment_differences(integration.deployment)
    if not found:
        return False
    if integration.paused_since is None:
        detail = "; ".join(f"{part}: {there} there, {here} here" for part, (there, here) in sorted(found.items()))
        if integration.pause(PauseReason.COPY, detail):
            logger.error(
                "Integration %s was connected in another deployment (%s). Nothing is sent until a person resumes it.",
                integration.remote_id,
                ", ".join(sorted(found)),
            )
    return True
