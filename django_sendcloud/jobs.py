"""Background jobs as plain functions: Celery tasks wrap them, and ``sendcloud_work`` runs them without Celery.

Each job is safe to run twice, at any time and concurrently. Retries, order, leases and limits live in the database.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable

from django.db import connections

from .conf import conf
from .core.clock import clock
from .core.interruption import interruptions
from .maintenance import prune as prune_module
from .models import Checkpoint
from .parcels.matching import link_unmatched
from .parcels.poll import poll_all
from .schedule import PERIODS
from .sync import drift as drift_module
from .sync import probe as probe_module
from .sync import reconcile as reconcile_module
from .sync import worker
from .sync.alerts import update_alerts
from .sync.claim import dead_letter_exhausted
from .sync.health import mark_sweep
from .sync.move import continue_moves
from .sync.rechecks import take_due_rechecks
from .webhooks import apply

__all__ = [
    "PERIODIC",
    "RETRY_SECONDS",
    "PollIncomplete",
    "ReconcileIncomplete",
    "alert",
    "apply_inbox",
    "drift",
    "poll",
    "probe",
    "prune",
    "push",
    "reconcile",
    "schedule_now",
    "sweep",
    "work",
]

logger = logging.getLogger("django_sendcloud.jobs")

# Name of the checkpoint that remembers when a job last began.
_CHECKPOINT = "job {}".format
# A job that failed is due again after this, instead of after its whole period.
RETRY_SECONDS = 60.0


class PollIncomplete(Exception):
    """A poll to repeat soon."""


class ReconcileIncomplete(Exception):
    """A comparison to repeat soon."""


def push() -> float | None:
    """Push what is due, and return the seconds until the next run is needed, ``None`` if nothing waits."""
    return worker.run_in_turn()


def apply_inbox() -> bool:
    """Apply the events that wait in the inbox, and run their follow-ups. Return whether time was up before the end."""
    apply.drain()
    return apply.is_due()


def sweep() -> float | None:
    """Find due work whose notification was lost, and parcels whose shipment has become known.

    Returns:
        The seconds until the next push is needed, ``None`` if nothing waits.

    Raises:
        Exception: the first failure of a part, after every other part was done.
    """
    wait: float | None = None

    def push_part() -> None:
        nonlocal wait
        wait = push()

    run_parts(
        "sweep",
        mark_sweep,
        dead_letter_exhausted,
        probe_module.resume_expired,
        probe_module.requeue_stale_holds,
        continue_moves,
        take_due_rechecks,
        push_part,
        apply_inbox,
        link_unmatched,
    )
    return wait


def drift() -> None:
    """Record orders that changed without a signal."""
    drift_module.scan()


def reconcile() -> None:
    """Compare both sides, and push again what two comparisons in a row found different.

    Raises:
        ReconcileIncomplete: Some integrations could not be compared. The others are done.
    """
    if failed := reconcile_module.reconcile_all(again_after=conf().RECONCILE_SECONDS / 2):
        raise ReconcileIncomplete(f"{failed} integrations could not be compared.")


def poll() -> None:
    """Ask Sendcloud for parcels whose webhooks never came.

    Raises:
        PollIncomplete: Some integrations could not be asked. The others are done.
    """
    if failed := poll_all():
        raise PollIncomplete(f"{failed} integrations could not be polled.")


def probe() -> None:
    """Try paused integrations with one harmless request."""
    probe_module.probe_paused()


def prune() -> None:
    """Delete what is older than the settings keep it."""
    run_parts("pruning", prune_module.prune, prune_module.prune_inbox)


def alert() -> None:
    """Report new problems, and each morning how things stand."""
    update_alerts()


def run_parts(job: str, *parts: Callable[[], object]) -> None:
    """Run every part, whatever comes of the others: a fault in one may last for long.

    Raises:
        Exception: the first failure of a part, after every other part was done.
    """
    failures = []
    for part in parts:
        try:
            part()
        except interruptions():
            raise
        except Exception as error:
            name = getattr(part, "__name__", type(part).__name__)
            logger.error("A part of the %s failed (%s): %s.", job, name, type(error).__name__)
            failures.append(error)
    if failures:
        raise failures[0]


#: Periodic jobs by the name of their task. ``schedule.PERIODS`` has the seconds between two runs.
PERIODIC: dict[str, Callable[[], object]] = {
    "sweep": sweep,
    "drift": drift,
    "probe": probe,
    "poll": poll,
    "reconcile": reconcile,
    "prune": prune,
    "alert": alert,
}


def work(stop: threading.Event, *, once: bool = False, idle_seconds: float = 1.0) -> int:
    """Do the work of a Celery worker and of beat in this process, until ``stop`` is set.

    Several processes may run it: of a periodic job, one of them takes each run.

    Args:
        stop: Set it to end after the job that is running.
        once: Return as soon as nothing is due, for a cron job.
        idle_seconds: Seconds to wait between two checks while nothing is due.

    Returns:
        How many jobs failed. Each failure is logged, and does not end the work.
    """
    failed = 0
    while not stop.is_set():
        wait: float | None = None

        def push_round() -> None:
            nonlocal wait
            wait = push()

        def inbox_round() -> None:
            nonlocal wait
            if apply_inbox():
                wait = 0.0

        try:
            due = _due_jobs()
        except Exception as error:
            _log_failure("schedule", error)
            due, failed = [], failed + 1
        for name, job in (*due, ("push", push_round), ("inbox", inbox_round)):
            if stop.is_set():
                return failed
            failed += not _succeeds(name, job)
        if wait is None or (wait > worker.WAIT_SECONDS and once):
            if once:
                break
            stop.wait(idle_seconds)
        else:
            stop.wait(min(wait, idle_seconds))
    return failed


def _succeeds(name: str, job: Callable[[], object]) -> bool:
    try:
        job()
    except Exception as error:
        _log_failure(name, error)
        if name in PERIODIC:
            _postpone(name, RETRY_SECONDS)
        return False
    return True


def _log_failure(name: str, error: Exception) -> None:
    # Only the type: the text may quote an order, or an address with a password.
    logger.error("The job %s failed: %s.", name, type(error).__name__)
    # A connection that the database has closed is opened again by the next query.
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def _due_jobs() -> list[tuple[str, Callable[[], object]]]:
    """Return the periodic jobs whose period is over, and start their next period."""
    settings = conf()
    return [
        (name, job)
        for name, job in PERIODIC.items()
        if Checkpoint.take(_CHECKPOINT(name), dt.timedelta(seconds=PERIODS[name](settings)))
    ]


def schedule_now(name: str) -> None:
    """Let ``sendcloud_work`` do a periodic job at its next check. Celery's workers are notified instead."""
    _postpone(name, 0.0)


def _postpone(name: str, seconds: float) -> None:
    """Let a periodic job be due again in this many seconds."""
    period = dt.timedelta(seconds=PERIODS[name](conf()))
    until = clock.now() - period + dt.timedelta(seconds=seconds)
    try:
        Checkpoint.objects.filter(name=_CHECKPOINT(name)).update(until=until)
    except Exception as error:
        logger.error("The job %s waits for its whole period: %s.", name, type(error).__name__)
