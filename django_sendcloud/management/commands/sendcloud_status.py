"""``sendcloud_status``: how things stand, for people and for monitors."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...conf import conf
from ...sync.status import Status, status


class Command(BaseCommand):
    help = (
        "Show what waits for Sendcloud and how each integration is. Exit code 0: all is well; 1: something needs a "
        "person (rejected or given-up orders, failed webhooks, a paused integration); 2: work is not being done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument("--max-age", type=float, default=900.0, help="Seconds the oldest due order may wait (900).")
        parser.add_argument("--max-due", type=int, default=None, help="Orders that may be due at once (no limit).")
        parser.add_argument("--max-rejected", type=int, default=0, help="Rejected orders that are tolerated (0).")

    def handle(self, *args: Any, **options: Any) -> None:
        now = status()
        late, attention = self.judge(now, options)
        if options["json"]:
            self.stdout.write(json.dumps(now.as_json() | {"late": late, "attention": attention}, indent=2))
        else:
            self.show(now, late, attention)
        if late:
            raise SystemExit(2)
        if attention:
            raise SystemExit(1)

    def judge(self, now: Status, options: dict[str, Any]) -> tuple[list[str], list[str]]:
        """What keeps work from being done, and what a person should look at."""
        late = []
        if now.due and now.oldest_due_seconds > options["max_age"]:
            late.append(f"An order has been due for {now.oldest_due_seconds:.0f} s: is a worker running?")
        if options["max_due"] is not None and now.due > options["max_due"]:
            late.append(f"{now.due} orders are due, more than {options['max_due']}.")
        if now.inbox and now.inbox_lag_seconds > options["max_age"]:
            late.append(f"A webhook has waited for {now.inbox_lag_seconds:.0f} s: is a worker running?")
        if now.sweep_age_seconds is None and now.integrations:
            late.append("The periodic sweep never ran: is Celery beat running, with beat_schedule() in its schedule?")
        elif now.sweep_age_seconds is not None and now.sweep_age_seconds > max(300.0, 10 * conf().SWEEP_SECONDS):
            late.append(f"The periodic sweep last ran {now.sweep_age_seconds:.0f} s ago: is Celery beat running?")
        attention = []
        if now.rejected > options["max_rejected"]:
            attention.append(f"{now.rejected} orders need a correction.")
        if now.dead:
            attention.append(f"{now.dead} orders were given up.")
        if now.inbox_failed:
            attention.append(f"{now.inbox_failed} webhooks failed.")
        attention += [f"{i.name} is paused: {i.reason}." for i in now.integrations if i.health == "paused"]
        if not any(i.health != "unused" for i in now.integrations):
            attention.append("No integration is connected: use sendcloud_connect or the admin.")
        return late, attention

    def show(self, now: Status, late: list[str], attention: list[str]) -> None:
        write = self.stdout.write
        oldest = f" (oldest for {now.oldest_due_seconds:.0f} s)" if now.due else ""
        write(f"Outbox   {now.due} due{oldest}, {now.in_flight} in flight, {now.later} later, ", ending="")
        write(f"{now.rejected} rejected, {now.dead} given up")
        lag = f" (oldest for {now.inbox_lag_seconds:.0f} s)" if now.inbox else ""
        write(f"Inbox    {now.inbox} waiting{lag}, {now.inbox_failed} failed")
        swept = "never" if now.sweep_age_seconds is None else f"{now.sweep_age_seconds:.0f} s ago"
        write(f"Sweep    {swept}")
        for integration in now.integrations:
            write(
                f"{integration.name} (#{integration.remote_id})  {integration.health}"
                + (f": {integration.reason}" if integration.reason else "")
            )
            last = integration.last_success
            write(
                f"         {integration.shipments} shipments, {integration.rejected} refused, {integration.waiting} "
                f"waiting, last success {f'{last:%Y-%m-%d %H:%M:%S} UTC' if last else 'never'}"
            )
            write(
                f"         breaker {integration.breaker}; {integration.changes_left} changing and "
                f"{integration.reads_left} reading requests may be sent at once"
            )
        for line in late:
            write(self.style.ERROR(line))
        for line in attention:
            write(self.style.WARNING(line))
        if not late and not attention:
            write(self.style.SUCCESS("All is well."))
