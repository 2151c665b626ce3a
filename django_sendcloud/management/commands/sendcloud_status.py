"""``sendcloud_status``: health of all integrations, for people and for monitors."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandParser
from django.utils.timezone import get_default_timezone_name

from ...core.clock import clock
from ...models import EventState
from ...sync import breaker, limiter
from ...sync.alerts import update_alerts
from ...sync.health import (
    Backlog,
    Code,
    Finding,
    Health,
    Inbox,
    IntegrationHealth,
    Level,
    health,
    inbox,
    is_alarming,
    late_after,
    pushed_since,
    rates,
    shipments_alive,
    start_of_day,
    sweep_late_after,
)
from ..tables import TablesCommand

# Findings that the numbers of orders report.
_COUNTED = (Code.REJECTED, Code.DEAD, Code.NO_WORKER)

HEADINGS = (
    "due", "oldest", "sending", "later", "fix needed", "stopped", "inbox", "lag", "failed", "last success", "breaker",
    "writes left", "reads left",
)  # fmt: skip

#: Findings in English. Every code has its words.
WORDS = {
    Code.NOT_IN_USE: "not in use",
    Code.DISCONNECTED: "disconnected",
    Code.PAUSED: "paused",
    Code.KEYS_MISSING: "its API keys are missing",
    Code.KEYS_NEEDED: "its API keys are still to be entered",
    Code.NO_WORKER: "no worker pushes its orders",
    Code.REJECTED: "orders need a fix",
    Code.DEAD: "orders are stopped",
    Code.FAILING_THERE: "Sendcloud reports that it fails",
    Code.RATE_LIMITED: "Sendcloud asked to wait",
    Code.UNREACHABLE: "Sendcloud cannot be reached",
    Code.ORDERS_FAILING: "orders fail and are retried",
    Code.NOTHING_SENT: "no order has been sent yet",
    Code.WEBHOOK_NEEDED: "its webhook is not registered yet",
    Code.WEBHOOK_OFF: "its webhook is switched off",
    Code.WORKING: "",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of waiting work. Durations are in seconds."""

    due: int = 0
    oldest_due_seconds: float = 0.0
    later: int = 0
    claimed: int = 0
    rejected: int = 0
    dead: int = 0
    failing: int = 0
    inbox: int = 0
    inbox_lag_seconds: float = 0.0
    inbox_failed: int = 0
    receivers_failed: int = 0

    def __add__(self, other: Figures) -> Figures:
        """Add numbers, and keep the greater of two ages."""
        return Figures(
            **{
                field.name: (max if field.name.endswith("_seconds") else sum)(
                    (getattr(self, field.name), getattr(other, field.name))
                )
                for field in dataclasses.fields(Figures)
            }
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """Health of the shop with the command's further figures."""

    health: Health
    inbox: dict[tuple[int, str], Inbox]
    shipments: dict[int, int]
    rates: dict[int, dict[limiter.Kind, int]]
    sent_today: dict[int, int]

    def figures(self, each: IntegrationHealth) -> Figures:
        return self._figures(each.backlog, each.integration.pk)

    @property
    def unassigned(self) -> Figures:
        return self._figures(self.health.unassigned, None)

    @property
    def total(self) -> Figures:
        return sum((self.figures(each) for each in self.health.integrations), self.unassigned)

    def _figures(self, backlog: Backlog, integration: int | None) -> Figures:
        none = Inbox(0, self.health.now)
        received, applied, failed, receiver_failed = (
            self.inbox.get((integration or 0, state.value), none)
            for state in (EventState.RECEIVED, EventState.APPLIED, EventState.FAILED, EventState.RECEIVER_FAILED)
        )
        return Figures(
            due=backlog.due,
            oldest_due_seconds=self.health.age(backlog.oldest_due),
            later=backlog.later,
            claimed=backlog.claimed,
            rejected=backlog.rejected,
            dead=backlog.dead,
            failing=backlog.failing,
            inbox=received.number + applied.number,
            inbox_lag_seconds=self.health.age(min(received.oldest, applied.oldest)),
            inbox_failed=failed.number,
            receivers_failed=receiver_failed.number,
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values, with times in ISO 8601; the figures stand beside the others."""
        return {
            "unassigned": dataclasses.asdict(self.unassigned),
            "sweep_age_seconds": self.health.sweep_age,
            "integrations": [self._as_json(each) for each in self.health.integrations],
            **dataclasses.asdict(self.total),
        }

    def _as_json(self, each: IntegrationHealth) -> dict[str, Any]:
        integration, left = each.integration, self.rates[each.integration.account.pk]
        return {
            "pk": integration.pk,
            "remote_id": integration.remote_id,
            "name": str(integration),
            "health": each.level.value,
            "findings": [_plain(dataclasses.asdict(finding)) for finding in each.findings],
            "since": _plain(each.since),
            "last_success": _plain(integration.last_success_at),
            "last_webhook": _plain(integration.last_webhook_at),
            "shipments": self.shipments.get(integration.pk, 0),
            "sent_today": self.sent_today.get(integration.pk, 0),
            "breaker": breaker.state(integration.account, self.health.now),
            "writes_left": left["unsafe"],
            "reads_left": left["safe"],
            **dataclasses.asdict(self.figures(each)),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value.isoformat() if isinstance(value, dt.datetime) else value


class Command(TablesCommand):
    help = (
        "Show waiting orders and the health of each integration. Exit code 0: all is well; 1: an operator has to act "
        "(orders that need a fix or are stopped or fail by the adapter, failed webhooks, a paused integration); "
        "2: work is not being done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument(
            "--alert",
            action="store_true",
            help="Also send the alerts and mails that are due: in cron, a dead worker is reported as well.",
        )
        parser.add_argument(
            "--max-age",
            type=float,
            default=None,
            help="Seconds the oldest due order may wait (three intervals of the sweep, at least 120, without a push).",
        )
        parser.add_argument(
            "--max-inbox-age", type=float, default=None, help="Seconds the oldest webhook may wait (as --max-age)."
        )
        parser.add_argument("--max-due", type=int, default=None, help="Maximum number of due orders (no limit).")
        parser.add_argument("--max-rejected", type=int, default=0, help="Orders that need a fix and are tolerated (0).")
        parser.add_argument("--max-dead", type=int, default=0, help="Stopped orders that are tolerated (0).")
        parser.add_argument("--max-failed", type=int, default=0, help="Failed webhooks that are tolerated (0).")
        parser.add_argument(
            "--max-sweep-age",
            type=float,
            default=None,
            help="Seconds since the periodic sweep last ran (ten times its interval, at least 300).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Workers write times by this clock.
        clock.synchronize()
        if options["alert"]:
            update_alerts()
        now = health(fold=True)
        report = Report(
            now, inbox(), shipments_alive(), dict(rates(now.integrations)), pushed_since(start_of_day(now.now))
        )
        late = list(self.late(report, options))
        attention = list(self.attention(report, options))
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json() | {"late": late, "attention": attention}, indent=2))
        else:
            self.show(report, late, attention)
        if late:
            raise SystemExit(2)
        if attention:
            raise SystemExit(1)

    def late(self, report: Report, options: dict[str, Any]) -> Iterator[str]:
        """Yield the reasons why work is not done."""
        # Orders of a paused, closed or unused integration do not wait for a worker.
        able = [each for each in report.health.integrations if _is_able(each, report.health.now)]
        waiting = sum((report.figures(each) for each in able), report.unassigned if able else Figures())
        max_age = options["max_age"]
        idle = any(each.find(Code.NO_WORKER) for each in able) or (
            bool(able) and report.unassigned.oldest_due_seconds > late_after().total_seconds()
        )
        if waiting.due and (idle if max_age is None else waiting.oldest_due_seconds > max_age):
            yield f"An order has been due for {waiting.oldest_due_seconds:.0f} s: is a worker running?"
        if options["max_due"] is not None and waiting.due > options["max_due"]:
            yield f"{waiting.due} orders are due, more than {options['max_due']}."
        inbox_age = late_after().total_seconds() if max_age is None else max_age
        if options["max_inbox_age"] is not None:
            inbox_age = options["max_inbox_age"]
        total = report.total
        if total.inbox and total.inbox_lag_seconds > inbox_age:
            yield f"A webhook has waited for {total.inbox_lag_seconds:.0f} s: is a worker running?"
        sweep_age = sweep_late_after() if options["max_sweep_age"] is None else options["max_sweep_age"]
        age = report.health.sweep_age
        if age is None and report.health.integrations:
            yield "The periodic sweep never ran: is sendcloud_work running, or Celery beat with beat_schedule()?"
        elif age is not None and age > sweep_age:
            yield f"The periodic sweep last ran {age:.0f} s ago: is sendcloud_work running, or Celery beat?"

    def attention(self, report: Report, options: dict[str, Any]) -> Iterator[str]:
        """Yield the findings an operator has to act on."""
        total = report.total
        if total.rejected > options["max_rejected"]:
            yield f"{_count(total.rejected, 'order')} to be fixed."
        if total.dead > options["max_dead"]:
            yield f"{_count(total.dead, 'order')} stopped."
        if total.inbox_failed > options["max_failed"]:
            yield f"{_count(total.inbox_failed, 'webhook')} failed."
        if total.receivers_failed > options["max_failed"]:
            yield f"{_count(total.receivers_failed, 'webhook')} applied, but a receiver of the shop failed."
        for each in report.health.integrations:
            for finding in each.findings:
                if is_alarming(finding, report.health.now) and finding.code not in _COUNTED:
                    yield f"{each.integration}: {_words(each, finding)}."
        for problem in report.health.problems:
            if problem.state == "pending" and problem.code in ("integration_unknown", "no_integration"):
                yield f"{_count(problem.number, 'order')} waiting without an integration ({problem.code})."
        if not report.health.in_use:
            yield (
                "No integration is in use: mark one as in use in the admin."
                if report.health.integrations
                else "No integration is connected: use sendcloud_connect or the admin."
            )

    # -- for people -----------------------------------------------------------------------------

    def show(self, report: Report, late: list[str], attention: list[str]) -> None:
        integrations = report.health.integrations
        rows = [[str(each.integration), *self.cells(report, each)] for each in integrations]
        if report.unassigned != Figures():
            rows.append(["(not looked at yet)", *self.figures(report.unassigned), *[""] * 4])
        if len(rows) > 1:
            rows.append(["together", *self.figures(report.total), *[""] * 4])
        table = [["", *HEADINGS], *rows]
        widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
        for row in table if rows else ():
            first, *others = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            self.stdout.write("  ".join([first.strip().ljust(widths[0]), *others]).rstrip())
        for each in integrations:
            words = ", ".join(filter(None, (_words(each, finding) for finding in each.findings)))
            self.stdout.write(
                f"{each.integration} (#{each.integration.remote_id}) is {each.level}{f': {words}' if words else ''}; "
                f"{_count(report.shipments.get(each.integration.pk, 0), 'shipment')} at Sendcloud, "
                f"{report.sent_today.get(each.integration.pk, 0)} sent today ({get_default_timezone_name()})."
            )
        age = report.health.sweep_age
        swept = "The sweep never ran." if age is None else f"The periodic sweep last ran {_duration(age)} ago."
        self.stdout.write(swept)
        for line in late:
            self.stdout.write(self.style.ERROR(line))
        for line in attention:
            self.stdout.write(self.style.WARNING(line))
        if late or attention:
            return
        findings = [finding for each in integrations if each.backlog.waiting for finding in each.findings]
        if any(finding.level == Level.WAITING for finding in findings):
            self.stdout.write(self.style.WARNING("Orders wait, and are sent automatically."))
        else:
            self.stdout.write(self.style.SUCCESS("All is well."))

    def cells(self, report: Report, each: IntegrationHealth) -> list[str]:
        last, left = each.integration.last_success_at, report.rates[each.integration.account.pk]
        success = f"{_duration(report.health.age(last))} ago" if last else "never"
        state = breaker.state(each.integration.account, report.health.now)
        return [*self.figures(report.figures(each)), success, state, str(left["unsafe"]), str(left["safe"])]

    def figures(self, figures: Figures) -> list[str]:
        return [
            str(figures.due),
            _duration(figures.oldest_due_seconds) if figures.due else "-",
            str(figures.claimed),
            str(figures.later),
            str(figures.rejected),
            str(figures.dead),
            str(figures.inbox),
            _duration(figures.inbox_lag_seconds) if figures.inbox else "-",
            str(figures.inbox_failed),
        ]


def _is_able(each: IntegrationHealth, now: dt.datetime) -> bool:
    """Return whether the integration's orders could be pushed now."""
    integration = each.integration
    return integration.is_active and not integration.is_paused and not breaker.closed_until(integration.account, now)


def _words(each: IntegrationHealth, finding: Finding) -> str:
    words = WORDS[finding.code]
    if finding.code == Code.PAUSED:
        words += f" ({each.integration.get_paused_reason_display()})"
    elif finding.detail:
        words += f" ({finding.detail})"
    if finding.number:
        words += f", {_count(finding.number, 'order')}"
    if finding.since:
        words += f", since {finding.since:%Y-%m-%d %H:%M} UTC"
    if finding.until:
        words += f", next attempt {finding.until:%H:%M:%S} UTC"
    return words


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _duration(seconds: float) -> str:
    """Format the two largest units, for a column."""
    whole = dt.timedelta(seconds=round(seconds))
    hours, rest = divmod(whole.seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(whole.days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((index for index, (number, _) in enumerate(parts) if number), len(parts) - 1)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number) or "0 s"
