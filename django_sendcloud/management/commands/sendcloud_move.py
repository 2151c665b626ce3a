"""``sendcloud_move``: move an integration to the other API generation."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...conf import SendcloudConfigurationError
from ...enums import ApiGeneration
from ...exceptions import APIError
from ...models import Integration
from ...sync.move import MoveFailed, MoveReport, move, survey
from ..tables import TablesCommand

STEPS = {
    "pause": "Pausing the integration; the shop goes on, and its changes are kept.",
    "drain": "Waiting for the orders that workers have claimed.",
    "adopt": "Reading the orders that Sendcloud has.",
    "switch": "Switching.",
}
KINDS = {
    "adopted": "found with the content that was pushed last: nothing to do",
    "stale": "found with other content: pushed again",
    "missing": "not found: pushed",
    "recreated": "known by other ids there: deleted and pushed again",
    "frozen": "known by other ids there, with a label: left as they are",
    "ambiguous": "several records of one order there (split in the panel): left as they are",
    "foreign": "only at Sendcloud: left as they are",
}


class Command(TablesCommand):
    help = (
        "Move an integration to the other API generation: pause, drain, adopt the orders that are there, switch, and "
        "push only what differs. No order is lost or doubled. Safe to interrupt at any step and to repeat. Begin with "
        "--dry-run: it reports what would be done, and changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", choices=[each.value for each in ApiGeneration], required=True, help="Generation.")
        parser.add_argument("--integration", type=int, metavar="ID", help="Sendcloud's id, where there are several.")
        parser.add_argument("--dry-run", action="store_true", help="Report only.")
        parser.add_argument(
            "--wait", type=float, default=300.0, metavar="SECONDS", help="For claimed orders. Default: 300."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        integration, target = self.integration(options["integration"]), ApiGeneration(options["to"])
        try:
            if options["dry_run"]:
                self.report(survey(integration, target))
                self.stdout.write("Nothing was changed. Without --dry-run, the move is done.")
                return
            report = move(integration, target, wait_seconds=options["wait"], progress=self.step)
        except MoveFailed as error:
            raise CommandError(str(error)) from None
        except (APIError, SendcloudConfigurationError) as error:
            integration.refresh_from_db()
            state = "It stays paused: run the move again, or resume it in the admin. " if integration.is_paused else ""
            raise CommandError(f"The move stopped, and {integration} still uses its old API. {state}{error}") from None
        self.report(report)
        self.stdout.write(self.style.SUCCESS(f"{integration} uses API {target.value} now."))
        if integration.is_paused:
            self.stdout.write(self.style.WARNING("It is still paused by an operator: resume it in the admin."))

    def integration(self, remote_id: int | None) -> Integration:
        rows = Integration.objects.all() if remote_id is None else Integration.objects.filter(remote_id=remote_id)
        found = list(rows[:2])
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"#{each.remote_id} “{each}”" for each in Integration.objects.all()) or "none"
        raise CommandError(f"Choose one with --integration ID. Connected: {known}.")

    def step(self, name: str) -> None:
        self.stdout.write(STEPS[name])

    def report(self, report: MoveReport) -> None:
        for kind, meaning in KINDS.items():
            if number := getattr(report, kind):
                names = report.names.get(kind, [])
                more = f" and {number - len(names)} more" if names and number > len(names) else ""
                shown = f" ({', '.join(names)}{more})" if names else ""
                self.stdout.write(f"{number:>8}  {meaning}{shown}")
