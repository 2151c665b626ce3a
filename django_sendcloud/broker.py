"""Messages to Celery workers.

A web process imports neither Celery nor the engine for them when it starts: the notifiers' threads import Celery with
the first message, and name the task they ask for.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .conf import lenient_conf
from .core.notifier import Notifier

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["BROKER_TIMEOUT", "celery_app", "is_used", "notify_workers", "publish", "remember_app"]

# Seconds to wait for a broker that does not answer.
BROKER_TIMEOUT = 2

# Names of the tasks that something else than the schedule asks for.
PUSH: Final = "django_sendcloud.push"
APPLY_INBOX: Final = "django_sendcloud.apply_inbox"
RECONCILE: Final = "django_sendcloud.reconcile"
POLL: Final = "django_sendcloud.poll"
REPORT_EXCEPTION: Final = "django_sendcloud.report_exception"

_apps: list[Celery] = []


def celery_app() -> Celery:
    """Return the shop's Celery app, in every thread.

    Celery keeps the current app per thread: in a thread of a web server, or of ours, it would be an unconfigured
    default. So the one seen where Django was set up is remembered.
    """
    from celery.app import app_or_default

    app = app_or_default()
    if app.main != "default":
        _apps[:] = [app]
    return _apps[0] if _apps else app


def remember_app() -> None:
    """Remember the shop's Celery app. To be called in the thread that sets Django up."""
    if _is_loaded():
        celery_app()


def _is_loaded() -> bool:
    """Return whether this process has imported Celery; one whose shop uses it usually has."""
    return "celery" in sys.modules


def is_used() -> bool:
    """Return whether the shop uses Celery; where it does not, ``sendcloud_work`` looks for work itself."""
    app = celery_app()
    return app.main != "default" or bool(app.conf.broker_url)


def publish(task: str, *args: Any, delay: float = 0.0) -> None:
    """Publish a message once, without waiting long for a broker that hangs.

    Every broker that Celery accepts will do; of a list, the first one that answers.

    Args:
        task: Name of the task to run.
        *args: Its arguments.
        delay: Seconds until it is to run.

    Raises:
        Exception: the broker's client raised.
    """
    app = celery_app()
    settings = lenient_conf()
    options: dict[str, Any] = {"retry": False, "expires": delay + settings.LEASE_SECONDS}
    if settings.QUEUE:
        options["queue"] = settings.QUEUE
    if delay:
        options["countdown"] = delay
    if app.conf.task_always_eager:
        # No worker has imported the tasks.
        app.loader.import_task_module("django_sendcloud.tasks")
        app.tasks[task].apply_async(args, **options)
        return
    with app.connection_for_write(connect_timeout=BROKER_TIMEOUT) as connection:
        options_of_shop = connection.transport_options or {}
        connection.transport_options = {**options_of_shop, **_timeouts(connection.transport_cls, options_of_shop)}
        brokers = max(1, len(connection.alt))
        # Time for each of them: the first may hang.
        connection.ensure_connection(
            max_retries=brokers, interval_start=0, interval_step=0, timeout=BROKER_TIMEOUT * brokers
        )
        app.send_task(task, args, connection=connection, ignore_result=True, **options)


def _timeouts(transport: object, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that keep a client from waiting for ever; unknown clients have their own."""
    name = str(transport)
    sockets = {"socket_timeout": BROKER_TIMEOUT, "socket_connect_timeout": BROKER_TIMEOUT}
    if name.startswith("sentinel"):
        # Its client would ask a silent sentinel four times, with pauses, before it asks the next one.
        return {**sockets, "sentinel_kwargs": {**sockets, "retry": None, **(options.get("sentinel_kwargs") or {})}}
    if name.startswith(("redis", "rediss")):
        return sockets
    if name.startswith(("amqp", "pyamqp")):
        return {"read_timeout": BROKER_TIMEOUT, "write_timeout": BROKER_TIMEOUT}
    return {}


def _publish_if_used(task: str) -> None:
    if is_used():
        publish(task)


outbox_notifier = Notifier(lambda: _publish_if_used(PUSH), interval=0.2)
inbox_notifier = Notifier(lambda: _publish_if_used(APPLY_INBOX), interval=0.05)
reconcile_notifier = Notifier(lambda: _publish_if_used(RECONCILE), interval=1.0)

_QUEUES = {
    "outbox": (PUSH, outbox_notifier),
    "inbox": (APPLY_INBOX, inbox_notifier),
    "reconcile": (RECONCILE, reconcile_notifier),
}


def notify_workers(*, queue: str, **kwargs: Any) -> None:
    """Notify a worker of this queue. Receiver of ``work_due``."""
    task, notifier = _QUEUES.get(queue, _QUEUES["inbox"])
    # Unless Celery is imported already, the notifier's thread does it, so that no request waits for it.
    if _is_loaded():
        if not is_used():
            return
        if celery_app().conf.task_always_eager:
            # In the same thread, so that tests see what the task did.
            publish(task)
            return
    notifier.notify()


def pass_on_report(*, integration_pk: int, cause: str, exception_type: str, **kwargs: Any) -> None:
    """Have a worker send a report. Receiver of ``exception_reported``, called by workers only."""
    publish(REPORT_EXCEPTION, integration_pk, cause, exception_type)
