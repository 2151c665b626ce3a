"""``sendcloud_status``: how things stand, for people and for monitors."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ...clock import clock
from ...conf import conf
from ...sync.status import Backlog, IntegrationHealth, Status, status

HEADINGS = (
    "due", "oldest", "in flight", "later", "rejected", "given up", "inbox", "lag", "failed", "last success", "breaker",
    "writes left", "reads left",
)  # fmt: skip


class Command(BaseCommand):
    help = (
        "Show what waits for Sendcloud and how each integration is. Exit code 0: all is well; 1: something needs a "
        "person (rejected or given-up orders, failed webhooks, a paused integration); 2: work is not being done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument("--max-age", type=float, default=900.0, help="Seconds the oldest due order may wait (900).")
        parser.add_argument(
            "--max-inbox-age", type=float, default=None, help="Seconds the oldest webhook may wait (as --max-age)."
        )
        parser.add_argument("--max-due", type=int, default=None, help="Orders that may be due at once (no limit).")
        parser.add_argument("--max-rejected", type=int, default=0, help="Rejected orders that are tolerated (0).")
        parser.add_argument("--max-dead", type=int, default=0, help="Given-up orders that are tolerated (0).")
        parser.add_argument("--max-failed", type=int, default=0, help="Failed webhooks that are tolerated (0).")
        parser.add_argument(
            "--max-sweep-age",
            type=float,
            default=None,
            help="Seconds since the periodic sweep last ran (ten times its interval, at least 300).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Ages are told by the clock that the times were written by.
        clock.synchronize()
        now = status()
        late = list(self.late(now, options))
        attention = list(self.attention(now, options))
        if options["json"]:
            self.stdout.write(json.dumps(now.as_json() | {"late": late, "attention": attention}, indent=2))
        else:
            self.show(now, late, attention)
        if late:
            raise SystemExit(2)
        if attention:
            raise SystemExit(1)

    def late(self, now: Status, options: dict[str, Any]) -> Iterator[str]:
        """What keeps work from being done."""
        total = now.total
        # What is paused, left alone or not in use waits for something else than a worker.
        working = [integration.backlog for integration in now.integrations if integration.health == "working"]
        waiting = sum([*working, now.unassigned], Backlog()) if working else Backlog()
        if waiting.due and waiting.oldest_due_seconds > options["max_age"]:
            yield f"An order has been due for {waiting.oldest_due_seconds:.0f} s: is a worker running?"
        if options["max_due"] is not None and waiting.due > options["max_due"]:
            yield f"{waiting.due} orders are due, more than {options['max_due']}."
        inbox_age = options["max_age"] if options["max_inbox_age"] is None else options["max_inbox_age"]
        if total.inbox and total.inbox_lag_seconds > inbox_age:
            yield f"A webhook has waited for {total.inbox_lag_seconds:.0f} s: is a worker running?"
        sweep_age = options["max_sweep_age"]
        if sweep_age is None:
            sweep_age = max(300.0, 10 * conf().SWEEP_SECONDS)
        if now.sweep_age_seconds is None and now.integrations:
            yield "The periodic sweep never ran: is Celery beat running, with beat_schedule() in its schedule?"
        elif now.sweep_age_seconds is not None and now.sweep_age_seconds > sweep_age:
            yield f"The periodic sweep last ran {now.sweep_age_seconds:.0f} s ago: is Celery beat running?"

    def attention(self, now: Status, options: dict[str, Any]) -> Iterator[str]:
        """What a person should look at."""
        total = now.total
        if total.rejected > options["max_rejected"]:
            yield f"{_count(total.rejected, 'order')} to be corrected."
        if total.dead > options["max_dead"]:
            yield f"{_count(total.dead, 'order')} given up."
        if total.inbox_failed > options["max_failed"]:
            yield f"{_count(total.inbox_failed, 'webhook')} failed."
        for integration in now.integrations:
            if integration.health == "paused":
                since = f" since {integration.since:%Y-%m-%d %H:%M} UTC" if integration.since else ""
                yield f"{integration.name} is paused{since}: {integration.reason}."
        if not any(integration.health != "unused" for integration in now.integrations):
            yield "No integration is connected: use sendcloud_connect or the admin."

    # -- for people -----------------------------------------------------------------------------

    def show(self, now: Status, late: list[str], attention: list[str]) -> None:
        rows = [[integration.name, *self.cells(integration)] for integration in now.integrations]
        if now.unassigned != Backlog():
            rows.append(["(not looked at yet)", *self.figures(now.unassigned), *[""] * 4])
        if len(rows) > 1:
            rows.append(["together", *self.figures(now.total), *[""] * 4])
        table = [["", *HEADINGS], *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for row in table if rows else ():
            first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())
        for integration in now.integrations:
            reason = f": {integration.reason}" if integration.reason else ""
            self.stdout.write(
                f"{integration.name} (#{integration.remote_id}) is {integration.health}{reason}; "
                f"{_count(integration.shipments, 'shipment')} at Sendcloud."
            )
        swept = "never" if now.sweep_age_seconds is None else f"{_duration(now.sweep_age_seconds)} ago"
        self.stdout.write(f"The periodic sweep last ran {swept}." if swept != "never" else "The sweep never ran.")
        for line in late:
            self.stdout.write(self.style.ERROR(line))
        for line in attention:
            self.stdout.write(self.style.WARNING(line))
        if not late and not attention:
            self.stdout.write(self.style.SUCCESS("All is well."))

    def cells(self, integration: IntegrationHealth) -> list[str]:
        last = integration.last_success
        success = f"{_duration(max(0.0, (clock.now() - last).total_seconds()))} ago" if last else "never"
        left = [str(integration.changes_left), str(integration.reads_left)]
        return [*self.figures(integration.backlog), success, integration.breaker, *left]

    def figures(self, backlog: Backlog) -> list[str]:
        return [
            str(backlog.due),
            _duration(backlog.oldest_due_seconds) if backlog.due else "-",
            str(backlog.in_flight),
            str(backlog.later),
            str(backlog.rejected),
            str(backlog.dead),
            str(backlog.inbox),
            _duration(backlog.inbox_lag_seconds) if backlog.inbox else "-",
            str(backlog.inbox_failed),
        ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _duration(seconds: float) -> str:
    """The two largest units, for a column."""
    whole = dt.timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(whole.days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"
