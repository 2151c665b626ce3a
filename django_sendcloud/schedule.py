"""The schedule of the periodic tasks, to be merged into a shop's own.

In the module of the shop's Celery app::

    from django_sendcloud.schedule import beat_schedule

    app.conf.beat_schedule = {**beat_schedule(), **my_own}

It may be called before Django is set up, because Celery configures its app earlier: nothing here imports a model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .conf import Settings, lenient_conf

__all__ = ["beat_schedule"]

_HOUR_SECONDS = 3600.0

#: Seconds between two runs of each periodic job, by the name of its task.
PERIODS: dict[str, Callable[[Settings], float]] = {
    "sweep": lambda settings: settings.SWEEP_SECONDS,
    "drift": lambda settings: settings.DRIFT_SECONDS,
    "probe": lambda settings: min(settings.PROBE_SECONDS, 60.0),
    "poll": lambda settings: settings.POLL_SECONDS,
    "reconcile": lambda settings: settings.RECONCILE_SECONDS,
    "prune": lambda settings: _HOUR_SECONDS,
    "alert": lambda settings: 60.0,
}

# Celery compares the clocks of two machines to see whether a message is too old: they may differ by so much.
_CLOCKS_DIFFER = _HOUR_SECONDS


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the entries for Celery's ``beat_schedule``, with the intervals of the ``SENDCLOUD`` setting.

    A wrong key of the setting counts as not set: a shop's web processes import its Celery app as well.

    ``expires`` keeps missed rounds from piling up while no worker runs for long.
    """
    settings = lenient_conf()
    options: dict[str, Any] = {"queue": settings.QUEUE} if settings.QUEUE else {}

    def every(seconds: float, task: str) -> dict[str, Any]:
        expires = seconds + _CLOCKS_DIFFER
        return {"task": f"django_sendcloud.{task}", "schedule": seconds, "options": {**options, "expires": expires}}

    return {f"sendcloud-{name}": every(period(settings), name) for name, period in PERIODS.items()}
