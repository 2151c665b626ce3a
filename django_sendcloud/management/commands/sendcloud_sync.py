"""``sendcloud_sync``: record orders and push them, with progress."""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ...adapters import OrderAdapter, registry
from ...conf import conf
from ...models import OutboxEntry
from ...sync.pump import pump
from ...sync.record import enqueue


class Command(BaseCommand):
    help = (
        "Record orders as changed and push them. Unchanged ones cost no request, so it can be interrupted and repeated "
        "at any time. Without options it only pushes what is due."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--all", action="store_true", help="Record all orders of all registered models.")
        parser.add_argument("--model", metavar="app.Model", help="Only orders of this model.")
        parser.add_argument("--since", metavar="DATE", help="Orders modified since then (adapters with changed_at).")
        parser.add_argument("--pk", nargs="+", default=[], help="Orders with these keys; needs --model if ambiguous.")
        parser.add_argument("--no-push", action="store_true", help="Only record; the workers push.")
        parser.add_argument("--due", action="store_true", help="Only push what is due, once: for cron without Celery.")

    def handle(self, *args: Any, **options: Any) -> None:
        adapters = self.adapters(options["model"])
        recorded = 0
        if options["all"] or options["since"] or options["pk"]:
            for adapter in adapters:
                recorded += enqueue(self.orders(adapter, options))
            self.stdout.write(f"{recorded} orders recorded.")
        if not options["no_push"]:
            self.push()

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

    def orders(self, adapter: OrderAdapter[Any], options: dict[str, Any]) -> Any:
        orders = adapter.model._base_manager.all()
        if options["pk"]:
            orders = orders.filter(pk__in=options["pk"])
        if options["since"]:
            if not adapter.changed_at:
                raise CommandError(
                    f"--since needs the modification field of {adapter.model._meta.label}: set changed_at in "
                    f"{type(adapter).__qualname__}."
                )
            orders = orders.filter(**{f"{adapter.changed_at}__gte": _moment(options["since"])})
        return orders

    def push(self) -> None:
        begin = time.monotonic()
        waiting = OutboxEntry.objects.using(conf().DATABASE).pending()
        total = waiting.count()
        end_of_debounce = timezone.now() + dt.timedelta(seconds=conf().DEBOUNCE_SECONDS)
        while True:
            more = pump(budget=2.0)
            left = waiting.count()
            self.progress(total, left, time.monotonic() - begin)
            if not more and timezone.now() >= end_of_debounce:
                break
            if not more:
                time.sleep(0.1)
        if self.stdout.isatty():
            self.stdout.write("")
        stuck = OutboxEntry.objects.using(conf().DATABASE).stuck().count()
        self.stdout.write(
            f"{max(0, total - left)} orders settled in {time.monotonic() - begin:.1f} s; {left} wait for later, "
            f"{stuck} need a person (see sendcloud_status)."
        )

    def progress(self, total: int, left: int, seconds: float) -> None:
        if not self.stdout.isatty() or not total:
            return
        done = max(0, total - left)
        rate = done / seconds if seconds else 0.0
        remaining = f"{left / rate:.0f} s left" if rate else "…"
        width = 30
        bar = "█" * (width * done // total)
        sys.stdout.write(f"\r{bar:<{width}} {done}/{total}  {rate:.0f}/s  {remaining}   ")
        sys.stdout.flush()


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
