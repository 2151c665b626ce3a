"""``sendcloud_work``: everything a Celery worker and beat would do, in one process."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...conf import SendcloudConfigurationError, conf
from ...core.schema import RUN_MIGRATE, unapplied_migrations
from ...jobs import work
from ..tables import TablesCommand


class Command(TablesCommand):
    help = (
        "Push orders, apply webhooks and run the periodic jobs (sweep, drift, probe, poll, reconcile, prune, alert) in "
        "this process, without Celery. Runs until it is stopped (SIGTERM or Ctrl-C ends it after the job in progress). "
        "Several may run side by side."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="End as soon as nothing is due. For cron: run it every minute."
        )
        parser.add_argument(
            "--idle", type=float, default=1.0, metavar="SECONDS", help="Seconds between two checks. Default: 1."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["idle"] <= 0:
            raise CommandError(f"--idle {options['idle']:g}: give a number of seconds above 0.")
        try:
            conf()
        except SendcloudConfigurationError as error:
            raise CommandError(str(error)) from None
        # Each job would fail, be logged, and be tried again.
        if unapplied_migrations():
            raise CommandError(RUN_MIGRATE, returncode=2)
        stop = threading.Event()

        def end(signum: int, frame: FrameType | None) -> None:
            stop.set()

        former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            failed = work(stop, once=options["once"], idle_seconds=options["idle"])
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
        if failed and options["once"]:
            raise CommandError(f"{failed} jobs failed; the log names them. They are tried again by the next run.")
