"""``sendcloud_sync``: record orders and push them, with progress."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db.models import QuerySet

from ...adapters import OrderAdapter
from ...conf import conf
from ...core.clock import clock
from ...core.schema import RUN_MIGRATE, unapplied_migrations
from ...models import OutboxEntry
from ...sync.fold import fold_all
from ...sync.record import CHUNK, record
from ...sync.worker import push_due
from ..selection import OrdersCommand

INTERRUPTED = 130


class Command(OrdersCommand):
    help = (
        "Record orders as changed and push them. Unchanged ones cost no request, so it can be interrupted and repeated "
        "at any time. Without options it only pushes what is due."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_selection(parser)
        parser.add_argument("--no-push", action="store_true", help="Only record; the workers push.")
        parser.add_argument("--due", action="store_true", help="Only push what is due, once: for cron without Celery.")

    def handle(self, *args: Any, **options: Any) -> None:
        if unapplied_migrations():
            # Nothing would be recorded, and nothing fail.
            raise CommandError(RUN_MIGRATE, returncode=2)
        adapters = self.chosen_adapters(options)
        which = [options["all"], options["since"], options["pk"], options["filter"]]
        try:
            if any(which):
                # All are looked at before any is recorded, so that a mistake in one option leaves nothing half done.
                queries = [(adapter, self.orders(adapter, options)) for adapter in adapters]
                recorded = sum(self.record(adapter, orders) for adapter, orders in queries)
                self.stdout.write(f"{recorded} {'order' if recorded == 1 else 'orders'} recorded.")
            if not options["no_push"]:
                self.push(once=options["due"])
        except KeyboardInterrupt:
            self.stderr.write("\nInterrupted. What was recorded stays recorded, and what was pushed is pushed.")
            raise SystemExit(INTERRUPTED) from None

    def record(self, adapter: OrderAdapter[Any], orders: QuerySet[Any]) -> int:
        """Record these orders; whatever was recorded when it is interrupted stays so."""
        progress = Progress(self.stdout, "recorded", orders.count())
        pks = orders.order_by().values_list("pk", flat=True).iterator(chunk_size=CHUNK)
        written = record(adapter.model._meta.label_lower, progress.along(pks), is_bulk=True, using=orders.db)
        progress.end()
        return written

    def push(self, *, once: bool = False) -> None:
        begin = time.monotonic()
        fold_all()
        waiting = OutboxEntry.objects.pending()
        total = waiting.count()
        progress = Progress(self.stdout, "settled", total)
        clock.synchronize()
        end_of_debounce = clock.now() + dt.timedelta(seconds=conf().DEBOUNCE_SECONDS)
        while True:
            more = push_due(budget=2.0)
            left = waiting.count()
            progress.show(total - left)
            if not more and (once or clock.now() >= end_of_debounce):
                break
            if not more:
                time.sleep(0.1)
        progress.end()
        stuck = OutboxEntry.objects.stuck().count()
        self.stdout.write(
            f"{max(0, total - left)} orders settled in {time.monotonic() - begin:.1f} s; {left} wait for later, "
            f"{stuck} need a fix or are stopped (see sendcloud_status)."
        )


class Progress:
    """Progress bar with rate and time left, on a terminal."""

    WIDTH = 30
    # Seconds between two checks.
    EVERY = 0.2

    def __init__(self, out: OutputWrapper, what: str, total: int) -> None:
        self._out = out
        self._what = what
        self._total = total
        self._begin = time.monotonic()
        self._shown_at = 0.0
        self._seen = total > 0 and out.isatty()

    def along(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield these, and show the progress."""
        number = 0
        for number, item in enumerate(items, 1):
            if number % CHUNK == 0:
                self.show(number)
            yield item
        self.show(number)

    def show(self, done: int) -> None:
        now = time.monotonic()
        if not self._seen or (now - self._shown_at < self.EVERY and done < self._total):
            return
        self._shown_at = now
        done = min(max(0, done), self._total)
        rate = done / max(now - self._begin, 1e-6)
        left = f"{(self._total - done) / rate:.0f} s left" if rate else "…"
        bar = "█" * (self.WIDTH * done // self._total)
        line = f"\r{bar:<{self.WIDTH}} {done}/{self._total} {self._what}  {rate:.0f}/s  {left}   "
        self._out.write(line, ending="")
        self._out.flush()

    def end(self) -> None:
        if self._seen:
            self._out.write("")
