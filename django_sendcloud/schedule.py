"""The periodic work, ready to be merged into a shop's own beat schedule::

from django_sendcloud.schedule import beat_schedule

app.conf.beat_schedule = {**beat_schedule(), **my_own}
"""

from __future__ import annotations

from typing import Any

from .conf import conf

__all__ = ["beat_schedule"]

_HOUR = 3600.0
# Celery compares clocks of two machines to see whether a message is too old. So wrong they may be.
_CLOCKS_DIFFER = _HOUR


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Entries for Celery's ``beat_schedule``, with the intervals of the ``SENDCLOUD`` setting.

    ``expires`` keeps missed rounds from piling up while no worker runs for long.
    """
    settings = conf()
    options: dict[str, Any] = {"queue": settings.QUEUE} if settings.QUEUE else {}

    def every(seconds: float, task: str) -> dict[str, Any]:
        expires = seconds + _CLOCKS_DIFFER
        return {"task": f"django_sendcloud.{task}", "schedule": seconds, "options": {**options, "expires": expires}}

    return {
        "sendcloud-sweep": every(settings.SWEEP_SECONDS, "sweep"),
        "sendcloud-drift": every(settings.DRIFT_SECONDS, "drift"),
        "sendcloud-probe": every(min(settings.PROBE_SECONDS, 60.0), "probe"),
        "sendcloud-catch-up": every(settings.CATCH_UP_SECONDS, "catch_up"),
        "sendcloud-reconcile": every(settings.RECONCILE_SECONDS, "reconcile"),
        "sendcloud-prune": every(_HOUR, "prune"),
    }
