"""The Celery tasks: thin, safe to run twice and at any time, and without arguments that hold personal data.

Retries, order, leases and limits live in the database, never in Celery: the broker only notifies.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded

from . import jobs
from .broker import APPLY_INBOX, POLL, PUSH, RECONCILE, REPORT_EXCEPTION, celery_app, publish
from .core.interruption import register_interruption
from .sync import report as sync_report
from .sync import worker


def _ends_after(seconds: float) -> dict[str, Any]:
    """Return the options of a task with time limits of its own: those of the shop's other tasks may be too short."""
    return {
        "ignore_result": True,
        "acks_late": False,
        "soft_time_limit": seconds,
        "time_limit": seconds + 60,
    }


SHORT = _ends_after(540)
LONG = _ends_after(3600)
LONGEST = _ends_after(6 * 3600)

# It may come at any line of an adapter, and is not the order's fault.
register_interruption(SoftTimeLimitExceeded)


@shared_task(name=PUSH, **SHORT)
def push() -> None:
    """Push what is due."""
    if celery_app().conf.task_always_eager:
        # There is no later run to leave anything to.
        worker.push_due()
        return
    push_again(jobs.push())


def push_again(wait: float | None) -> None:
    """Notify a worker of what the last run left.

    Args:
        wait: Seconds until the next run is needed; 0.0 lets other tasks of the shop in between; ``None`` is never.
    """
    if wait is not None and (not wait or worker.take_next_run(wait)):
        publish(PUSH, delay=wait)


@shared_task(name=APPLY_INBOX, **SHORT)
def apply_inbox() -> None:
    """Apply the events that wait in the inbox, and run their follow-ups."""
    if jobs.apply_inbox():
        # Time was up, and more is due: make room for other tasks, then go on.
        publish(APPLY_INBOX)


@shared_task(name="django_sendcloud.sweep", **SHORT)
def sweep() -> None:
    """Find due work whose notification was lost, and parcels whose shipment has become known."""
    push_again(jobs.sweep())


@shared_task(name="django_sendcloud.drift", **LONG)
def drift() -> None:
    """Record orders that changed without a signal."""
    jobs.drift()


@shared_task(name=RECONCILE, **LONGEST)
def reconcile() -> None:
    """Compare both sides, and push again what two comparisons in a row found different."""
    try:
        jobs.reconcile()
    except jobs.ReconcileIncomplete:
        publish(RECONCILE, delay=jobs.RETRY_SECONDS)


@shared_task(name=POLL, **LONGEST)
def poll() -> None:
    """Ask Sendcloud for parcels whose webhooks never came."""
    try:
        jobs.poll()
    except jobs.PollIncomplete:
        publish(POLL, delay=jobs.RETRY_SECONDS)


@shared_task(name="django_sendcloud.probe", **SHORT)
def probe() -> None:
    """Try paused integrations with one harmless request."""
    jobs.probe()


@shared_task(name="django_sendcloud.prune", **LONG)
def prune() -> None:
    """Delete what is older than the settings keep it."""
    jobs.prune()


@shared_task(name="django_sendcloud.alert", **SHORT)
def alert() -> None:
    """Report new problems, and each morning how things stand."""
    jobs.alert()


@shared_task(name=REPORT_EXCEPTION, **SHORT)
def report_exception(integration_pk: int, cause: str, exception_type: str = "") -> None:
    """Write one of our failures to the integration's log at Sendcloud."""
    sync_report.send(integration_pk, cause, exception_type)
