"""The schedule of the periodic tasks, to be merged into a shop's own.

In the module of the shop's Celery app::

    from django_sendcloud.schedule import beat_schedule

    app.conf.beat_schedule = {**beat_schedule(), **my_own}

``beat_schedule()`` reads the settings, so it is called once Django is set up.
"""

from __future__ import annotations

from typing import Any

from .conf import conf
from .jobs import HOUR_SECONDS, PERIODS

__all__ = ["beat_schedule"]

# Celery compares the clocks of two machines to see whether a message is too old: they may differ by so much.
_CLOCKS_DIFFER = HOUR_SECONDS


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the entries for Celery's ``beat_schedule``, with the intervals of the ``SENDCLOUD`` setting.

    ``expires`` keeps missed rounds from piling up while no worker runs for long.
    """
    settings = conf()
    options: dict[str, Any] = {"queue": settings.QUEUE} if settings.QUEUE else {}

    def every(seconds: float, task: str) -> dict[str, Any]:
        expires = seconds + _CLOCKS_DIFFER
        return {"task": f"django_sendcloud.{task}", "schedule": seconds, "options": {**options, "expires": expires}}

    return {f"sendcloud-{name}": every(period(settings), name) for name, (_, period) in PERIODS.items()}
