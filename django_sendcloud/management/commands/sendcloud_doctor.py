"""``sendcloud_doctor``: whether everything that has to work does, and what to do if not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import translation

from ...diagnostics.bundle import NAME, support_bundle
from ...diagnostics.doctor import Status, diagnose, exit_code

MARKS = {Status.OK: "ok", Status.WARNING: "warning", Status.PROBLEM: "PROBLEM", Status.SKIPPED: "skipped"}


class Command(BaseCommand):
    help = (
        "Check keys, clock, webhook, broker, worker, schedule, rate limit and migrations, each with what to do. "
        "Changes nothing. Exit code 0: all is well; 1: a warning; 2: a problem."
    )
    # Wrong settings are a finding.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print JSON.")
        parser.add_argument(
            "--bundle",
            metavar="FILE",
            nargs="?",
            const=NAME,
            help=f"Also write a zip for support, without secrets and personal data. Default: {NAME}.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with translation.override("en"):
            found = diagnose()
            if options["json"]:
                self.stdout.write(json.dumps([finding.as_json() for finding in found], indent=2))
            else:
                styles = {Status.WARNING: self.style.WARNING, Status.PROBLEM: self.style.ERROR}
                for finding in found:
                    line = f"{MARKS[finding.status]:8} {finding.title}: {finding.text}"
                    style = styles.get(finding.status, str)
                    self.stdout.write(style(f"{line} {finding.advice}".rstrip()))
        if options["bundle"]:
            path = Path(options["bundle"])
            try:
                path.write_bytes(support_bundle(found))
            except OSError as error:
                raise CommandError(f"--bundle {path}: it cannot be written ({type(error).__name__}).") from None
            if not options["json"]:
                self.stdout.write(f"Written: {path}. Look through it before you pass it on.")
        if code := exit_code(found):
            raise SystemExit(code)
