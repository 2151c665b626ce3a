"""``sendcloud_preview``: which orders Sendcloud would reject, and advice on the others, before they are due."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...core.schema import RUN_MIGRATE, unapplied_migrations
from ...payloads import COUNTRIES, NoteLevel
from ...sync.preview import Preview, preview_orders
from ..selection import OrdersCommand

MARKS = {
    NoteLevel.REJECTED: "would be rejected",
    NoteLevel.NOT_SENT: "not sent",
    NoteLevel.CHANGED: "changed",
    NoteLevel.ADVICE: "advice",
}


class Command(OrdersCommand):
    help = (
        "Examine orders before they are sent: fields that Sendcloud would reject, and advice by destination (state, HS "
        "code, origin, territories). Sends and records nothing. Exit code 0: no order would be rejected; 1: some would."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_selection(parser)
        parser.add_argument("--json", action="store_true", help="Print JSON, one order a line.")
        parser.add_argument("--quiet-advice", action="store_true", help="Show only orders that would be rejected.")
        parser.add_argument(
            "--ships-from",
            metavar="COUNTRY",
            default="",
            help="Country the parcels leave from. Default: any in the EU.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        origin = options["ships_from"].upper()
        if origin and origin not in COUNTRIES:
            raise CommandError(f"--ships-from {options['ships_from']}: give a country code such as NL.")
        if not any(options[name] for name in ("all", "since", "pk", "filter")):
            raise CommandError("Say which orders are meant: --all, --since, --pk or --filter.")
        if unapplied_migrations():
            raise CommandError(RUN_MIGRATE)
        examined = rejected = advised = 0
        for found in self.previews(options, origin):
            examined += 1
            rejected += found.is_rejected
            advised += bool(found.notes) and not found.is_rejected
            if options["json"]:
                self.stdout.write(json.dumps(found.as_json()))
            elif found.is_rejected or ((found.notes or found.problem) and not options["quiet_advice"]):
                self.show(found)
        if options["pk"] and not examined:
            raise CommandError("--pk: no order has this key.")
        if not options["json"]:
            self.stdout.write(f"{examined} orders examined: {rejected} would be rejected, {advised} with advice.")
        if rejected:
            raise SystemExit(1)

    def previews(self, options: dict[str, Any], origin: str) -> Iterator[Preview]:
        for adapter in self.chosen_adapters(options):
            pks = self.orders(adapter, options).order_by("pk").values_list("pk", flat=True)
            yield from preview_orders(adapter, pks.iterator(chunk_size=1000), ships_from=origin)

    def show(self, found: Preview) -> None:
        state = "" if found.is_shippable else " (not to be sent yet)"
        style = self.style.ERROR if found.is_rejected else self.style.WARNING
        self.stdout.write(style(f"{found.number}{state}"))
        if found.problem and not found.notes:
            self.stdout.write(f"  {found.problem}{f': {found.frame}' if found.frame else ''}")
        for note in found.notes:
            self.stdout.write(f"  {MARKS[note.level]}: {note}")
