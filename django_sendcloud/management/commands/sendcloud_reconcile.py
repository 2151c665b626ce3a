"""``sendcloud_reconcile``: compare both sides and name every difference."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper

from ...conf import SendcloudConfigurationError
from ...exceptions import APIError
from ...models import Integration, ReconciliationRun
from ...sync import reconcile
from ...sync.reconcile import Difference
from ..tables import TablesCommand

# Differences between the two sides.
DIFFERENCES = ("unknown", "missing", "stale", "undeleted", "orphaned", "stuck")
COLUMNS = {
    "seen": "there",
    "unknown": "only there",
    "missing": "only here",
    "stale": "older there",
    "undeleted": "should be gone",
    "orphaned": "order gone",
    "stuck": "stuck",
    "confirmed": "confirmed by two comparisons",
    "repaired": "pushed again",
}


class Command(TablesCommand):
    help = (
        "Compare what Sendcloud has with what it should have. Interrupted, it goes on where it was. Exit code 0: no "
        "difference; 1: differences were found, or an integration could not be compared."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--integration", type=int, help="Only the integration with this id at Sendcloud.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument("--list", action="store_true", help="Name every difference, not only count them.")
        parser.add_argument(
            "--fix", action="store_true", help="Push again what two comparisons in a row found different."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        integrations = Integration.objects.active().select_related("account")
        if options["integration"]:
            integrations = integrations.filter(remote_id=options["integration"])
        if not integrations:
            raise CommandError("There is no such active integration; see sendcloud_status.")
        # The list is written as it is found: there may be too much of it to be kept.
        listed = _Listed(self.stdout, as_json=options["json"]) if options["list"] else None
        if listed is not None:
            listed.begin()
        reports: list[dict[str, Any]] = []
        failures: list[str] = []
        for integration in integrations:
            try:
                reports.append(self.compare(integration, options, listed))
            except (APIError, SendcloudConfigurationError, reconcile.Postponed) as error:
                # The others' reports are worth as much.
                failures.append(f"{integration}: {error} Run it again to go on.")
        if listed is not None:
            listed.end()
        if options["json"]:
            rest = json.dumps(reports, indent=2)
            self.stdout.write(f'"integrations": {rest}}}' if listed else f'{{"integrations": {rest}}}')
        elif reports:
            self.table(reports)
        if failures:
            raise CommandError(" ".join(failures))
        if any(report[name] for report in reports for name in DIFFERENCES):
            raise SystemExit(1)

    def compare(self, integration: Integration, options: dict[str, Any], listed: _Listed | None) -> dict[str, Any]:
        def progress(current: ReconciliationRun) -> None:
            if options["verbosity"] > 1 or self.stdout.isatty():
                self.stderr.write(f"\r{integration}: page {current.pages}, {current.seen} shipments", ending="")

        def unknown(difference: Difference) -> None:
            if listed is not None:
                listed.add(integration, difference)

        current = reconcile.compare(integration, progress=progress, unknown=unknown)
        if listed is not None:
            for difference in reconcile.differences(integration, current):
                listed.add(integration, difference)
        confirmed = reconcile.to_repair(integration).count()
        repaired = reconcile.repair(integration, current, by_person=True) if options["fix"] else 0
        return {
            "integration": integration.remote_id,
            "name": str(integration),
            "pages": current.pages,
            "seen": current.seen,
            "unknown": current.unknown,
            "missing": current.missing,
            "stale": current.stale,
            "undeleted": current.undeleted,
            "orphaned": current.orphaned,
            "stuck": reconcile.count_stuck(integration),
            "confirmed": confirmed,
            "repaired": repaired,
        }

    def table(self, reports: list[dict[str, Any]]) -> None:
        width = max(len(report["name"]) for report in reports)
        self.stdout.write(" " * width + "".join(f"  {title}" for title in COLUMNS.values()))
        for report in reports:
            cells = "".join(f"  {report[name]:>{len(title)}}" for name, title in COLUMNS.items())
            self.stdout.write(f"{report['name']:<{width}}{cells}")


class _Listed:
    """Differences, written one by one."""

    def __init__(self, out: OutputWrapper, *, as_json: bool) -> None:
        self._out = out
        self._as_json = as_json
        self._first = True

    def begin(self) -> None:
        if self._as_json:
            self._out.write('{"differences": [')

    def add(self, integration: Integration, difference: Difference) -> None:
        if self._as_json:
            line = json.dumps({"integration": integration.remote_id, **dataclasses.asdict(difference)})
            self._out.write(line if self._first else f",{line}")
        else:
            ids = " ".join(filter(None, (difference.external_order_id, difference.external_shipment_id)))
            times = f"  ({difference.runs} in a row)" if difference.runs > 1 else ""
            self._out.write(
                f"{integration}: {COLUMNS[difference.kind]:<14} {difference.order_number or '?':<20} {ids}{times}"
            )
        self._first = False

    def end(self) -> None:
        if self._as_json:
            self._out.write("],")
