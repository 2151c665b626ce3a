"""``sendcloud_reconcile``: compare both sides and name every difference."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...conf import SendcloudConfigurationError, conf
from ...exceptions import APIError
from ...models import Integration, Scan
from ...sync import reconcile

COLUMNS = {
    "seen": "there",
    "unknown": "only there",
    "missing": "only here",
    "stale": "older there",
    "undead": "should be gone",
    "rejected": "refused",
    "confirmed": "confirmed by two scans",
    "repaired": "told again",
}


class Command(BaseCommand):
    help = (
        "Compare what Sendcloud has with what it should have. Interrupted, it goes on where it was. Exit code 0: no "
        "difference; 1: differences were found."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--integration", type=int, help="Only the integration with this id at Sendcloud.")
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument(
            "--fix", action="store_true", help="Tell Sendcloud again what two scans in a row found different."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        integrations = Integration.objects.using(conf().DATABASE).active().select_related("account")
        if options["integration"]:
            integrations = integrations.filter(remote_id=options["integration"])
        if not integrations:
            raise CommandError("There is no such active integration; see sendcloud_status.")
        reports = [self.compare(integration, options) for integration in integrations]
        if options["json"]:
            self.stdout.write(json.dumps(reports, indent=2))
        else:
            self.table(reports)
        if any(report[name] for report in reports for name in ("missing", "stale", "undead", "unknown")):
            raise SystemExit(1)

    def compare(self, integration: Integration, options: dict[str, Any]) -> dict[str, Any]:
        def progress(current: Scan) -> None:
            if options["verbosity"] > 1 or self.stdout.isatty():
                self.stderr.write(f"\r{integration}: page {current.pages}, {current.seen} shipments", ending="")

        try:
            current = reconcile.scan(integration, progress=progress)
        except (APIError, SendcloudConfigurationError) as error:
            raise CommandError(f"{integration}: {error} Run it again to go on.") from None
        confirmed = reconcile.suspects(integration).count()
        repaired = reconcile.repair(integration, current) if options["fix"] else 0
        return {
            "integration": integration.remote_id,
            "name": str(integration),
            "pages": current.pages,
            "seen": current.seen,
            "unknown": current.unknown,
            "missing": current.missing,
            "stale": current.stale,
            "undead": current.undead,
            "rejected": reconcile.waiting_rejected(integration),
            "confirmed": confirmed,
            "repaired": repaired,
        }

    def table(self, reports: list[dict[str, Any]]) -> None:
        width = max(len(report["name"]) for report in reports)
        self.stdout.write(" " * width + "".join(f"  {title}" for title in COLUMNS.values()))
        for report in reports:
            cells = "".join(f"  {report[name]:>{len(title)}}" for name, title in COLUMNS.items())
            self.stdout.write(f"{report['name']:<{width}}{cells}")
