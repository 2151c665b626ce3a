"""The Celery tasks: thin, safe to run twice and at any time, and without arguments that hold personal data.

Retries, order, leases and limits live in the database, never in Celery: the broker is only a doorbell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery, Task, shared_task
from celery.app import app_or_default
from celery.exceptions import SoftTimeLimitExceeded

from .catch_up import catch_up_all
from .conf import conf
from .doorbell import Doorbell
from .sync import drift as sync_drift
from .sync import probe as sync_probe
from .sync import pump as sync_pump
from .sync import reconcile as sync_reconcile
from .sync import report as sync_report
from .sync.interruption import let_pass
from .sync.prune import prune as sync_prune
from .sync.status import mark_sweep
from .webhooks import apply

logger = logging.getLogger("django_sendcloud.tasks")

# Seconds the doorbell waits for a broker that does not answer.
BROKER_PATIENCE = 2.0


def _ends_after(seconds: float) -> dict[str, Any]:
    """Options of a task, with limits of its own: those of the shop's other tasks may be too short for it."""
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
let_pass(SoftTimeLimitExceeded)


@shared_task(name="django_sendcloud.push", **SHORT)
def push() -> None:
    """Tell Sendcloud what it has to be told now."""
    if sync_pump.pump():
        # Time was up, and more is due: make room for other tasks, then go on.
        ring(push)


@shared_task(name="django_sendcloud.apply_inbox", **SHORT)
def apply_inbox() -> None:
    """Apply the webhooks that wait in the inbox."""
    apply.drain()


@shared_task(name="django_sendcloud.sweep", **SHORT)
def sweep() -> None:
    """Find due work whose wake-up was lost, and parcels whose shipment has become known."""
    waking = sync_probe.wake_what_rests_for_nothing
    _all_of("sweep", mark_sweep, sync_pump.bury_the_dead, waking, push, apply_inbox, apply.relink_unmatched)


def _all_of(what: str, *parts: Callable[[], object]) -> None:
    """Do each of these, whatever comes of the others: what is wrong with one may stay so for long.

    Raises:
        Exception: the first of theirs, in the end.
    """
    failures = []
    for part in parts:
        try:
            part()
        except SoftTimeLimitExceeded:
            raise
        except Exception as error:
            name = getattr(part, "__name__", type(part).__name__)
            logger.error("A part of the %s failed (%s): %s.", what, name, type(error).__name__)
            failures.append(error)
    if failures:
        raise failures[0]


@shared_task(name="django_sendcloud.drift", **LONG)
def drift() -> None:
    """Find orders that changed without a signal."""
    sync_drift.scan()


@shared_task(name="django_sendcloud.reconcile", **LONGEST)
def reconcile() -> None:
    """Compare both sides, and have told again what two comparisons in a row found different."""
    sync_reconcile.reconcile_all()


@shared_task(name="django_sendcloud.catch_up", **LONGEST)
def catch_up() -> None:
    """Ask for parcels whose webhooks never came."""
    catch_up_all()


@shared_task(name="django_sendcloud.probe", **SHORT)
def probe() -> None:
    """Try paused integrations with one harmless request."""
    sync_probe.probe_paused()


@shared_task(name="django_sendcloud.prune", **LONG)
def prune() -> None:
    """Forget what is older than it has to be kept."""
    _all_of("pruning", sync_prune, apply.prune)


@shared_task(name="django_sendcloud.report_exception", **SHORT)
def report_exception(integration_pk: int, cause: str, exception_type: str = "") -> None:
    """Write one of our failures to the integration's log at Sendcloud."""
    sync_report.send(integration_pk, cause, exception_type)


_apps: list[Celery] = []


def celery_app() -> Celery:
    """The shop's Celery app, in whatever thread.

    Celery keeps the current app per thread: in a thread of a web server, or of ours, it would be an unconfigured
    default. So the one seen where Django was set up is remembered.
    """
    app = app_or_default()
    if app.main != "default":
        _apps[:] = [app]
    return _apps[0] if _apps else app


def ring(task: Task[Any, Any], *args: Any, delay: float = 0.0) -> None:
    """Publish a wake-up once, without retries, and without waiting long for a broker that hangs.

    Args:
        task: What shall run.
        *args: Its arguments.
        delay: Seconds the worker is to wait, where there is nothing to do before.

    Raises:
        Exception: whatever the broker's client raises; the caller is the doorbell's thread.
    """
    app = celery_app()
    options: dict[str, Any] = {"retry": False, "expires": conf().LEASE_SECONDS}
    if conf().QUEUE:
        options["queue"] = conf().QUEUE
    if delay:
        options["countdown"] = delay
    transport = dict(app.conf.broker_transport_options or {})
    driver = (app.conf.broker_write_url or app.conf.broker_url or "amqp://").split("://", 1)[0]
    if driver.startswith("redis"):
        transport |= {"socket_timeout": BROKER_PATIENCE, "socket_connect_timeout": BROKER_PATIENCE}
    elif driver.startswith(("amqp", "pyamqp")):
        transport |= {"read_timeout": BROKER_PATIENCE, "write_timeout": BROKER_PATIENCE}
    with app.connection_for_write(connect_timeout=BROKER_PATIENCE, transport_options=transport) as connection:
        # By way of the app: the task itself would ask for the current app of this thread.
        options["connection"] = connection
        app.tasks[task.name].apply_async(args, **options)


outbox_bell = Doorbell(lambda delay: ring(push, delay=delay), lambda: conf().DEBOUNCE_SECONDS)
inbox_bell = Doorbell(lambda delay: ring(apply_inbox, delay=delay), lambda: 0.05)


def answer_bell(*, queue: str, **kwargs: Any) -> None:
    """Receiver of ``work_due``: wake a worker for this queue."""
    if celery_app().conf.task_always_eager:
        # In the same thread, so that tests see what the task did.
        (push if queue == "outbox" else apply_inbox).delay()
        return
    (outbox_bell if queue == "outbox" else inbox_bell).ring()


def pass_on_report(*, integration_pk: int, cause: str, exception_type: str, **kwargs: Any) -> None:
    """Receiver of ``exception_reported``: have it sent by a worker. Called by workers only, never by a web request."""
    ring(report_exception, integration_pk, cause, exception_type)
