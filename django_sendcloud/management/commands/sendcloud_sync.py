"""``sendcloud_sync``: record orders and push them, with progress."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldError, ValidationError
from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ...adapters import OrderAdapter
from ...conf import conf
from ...core.clock import clock
from ...core.schema import RUN_MIGRATE, unapplied_migrations
from ...models import OutboxEntry
from ...registry import registry
from ...sync.fold import fold_all
from ...sync.record import CHUNK, record
from ...sync.worker import push_due
from ..tables import TablesCommand

INTERRUPTED = 130


class Command(TablesCommand):
    help = (
        "Record orders as changed and push them. Unchanged ones cost no request, so it can be interrupted and repeated "
        "at any time. Without options it only pushes what is due."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_selection(parser)
        parser.add_argument("--no-push", action="store_true", help="Only record; the workers push.")
        parser.add_argument("--due", action="store_true", help="Only push what is due, once: for cron without Celery.")

    def add_selection(self, parser: CommandParser) -> None:
        """Add the options that choose orders."""
        parser.add_argument("--all", action="store_true", help="All orders of all registered models.")
        parser.add_argument("--model", metavar="app.Model", help="Only orders of this model.")
        parser.add_argument("--since", metavar="DATE", help="Orders modified since then (adapters with changed_at).")
        parser.add_argument("--pk", nargs="+", default=[], help="Orders with these keys.")
        parser.add_argument(
            "--filter",
            metavar="LOOKUP=VALUE",
            nargs="+",
            default=[],
            help="Orders that match all of these, as in a queryset: status=paid placed_at__gte=2026-01-01.",
        )

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

    def chosen_adapters(self, options: dict[str, Any]) -> list[OrderAdapter[Any]]:
        adapters = self.adapters(options["model"])
        if len(adapters) > 1 and (options["pk"] or options["filter"]):
            known = ", ".join(adapter.model._meta.label for adapter in adapters)
            raise CommandError(f"Say which orders are meant: --model with one of {known}.")
        return adapters

    def adapters(self, label: str | None) -> list[OrderAdapter[Any]]:
        if label is None:
            if not len(registry):
                raise CommandError("No adapter is registered. Write one in a module sendcloud.py of an installed app.")
            return list(registry)
        try:
            adapter = registry.for_model(apps.get_model(label))
        except (LookupError, ValueError):
            raise CommandError(f"--model {label}: there is no such model. Write it as app.Model.") from None
        if adapter is None:
            known = ", ".join(adapter.model._meta.label for adapter in registry)
            raise CommandError(f"--model {label} has no adapter. Registered: {known or 'none'}.")
        return [adapter]

    def orders(self, adapter: OrderAdapter[Any], options: dict[str, Any]) -> QuerySet[Any]:
        # Never from a replica: it may not have them yet.
        orders: QuerySet[Any] = adapter.model._base_manager.using(router.db_for_write(adapter.model))
        if options["pk"]:
            orders = self.filtered(orders, "--pk", {"pk__in": options["pk"]})
        for condition in options["filter"]:
            lookup, equals, value = condition.partition("=")
            if not equals:
                raise CommandError(f"--filter {condition}: write it as lookup=value, for instance status=paid.")
            orders = self.filtered(orders, f"--filter {condition}", {lookup: _VALUES.get(value, value)})
        if options["since"]:
            if not adapter.changed_at:
                raise CommandError(
                    f"--since needs the modification field of {adapter.model._meta.label}: set changed_at in "
                    f"{type(adapter).__qualname__}."
                )
            orders = orders.filter(**{f"{adapter.changed_at}__gte": _moment(options["since"])})
        return orders.distinct() if options["filter"] else orders

    def filtered(self, orders: QuerySet[Any], option: str, condition: dict[str, Any]) -> QuerySet[Any]:
        try:
            return orders.filter(**condition)
        except FieldError as error:
            raise CommandError(f"{option}: {error}") from None
        except (ValidationError, ValueError, TypeError):
            raise CommandError(f"{option}: that is no value for it.") from None

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
            f"{stuck} need a person (see sendcloud_status)."
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


# Values that are no text.
_VALUES: dict[str, Any] = {"True": True, "False": False, "None": None}


def _moment(text: str) -> dt.datetime:
    try:
        moment = parse_datetime(text)
        if moment is None and (day := parse_date(text)):
            moment = dt.datetime.combine(day, dt.time())
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError(f"--since {text}: write a date as 2026-11-23, or a time as 2026-11-23T14:30.")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
