"""``sendcloud_replay``: try again what failed."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date

from ...models import EntryState, EventState, OutboxEntry, WebhookEvent
from ...signals import work_due
from ...sync.fold import fold_all
from ...webhooks import inbox
from ..tables import TablesCommand


class Command(TablesCommand):
    help = (
        "Try again what failed: orders that need a fix or are stopped, and webhooks that could not be applied. Orders "
        "are sent as they are now; webhooks are applied once more, where their bodies are still kept. Harmless to "
        "repeat."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", nargs="?", choices=["orders", "webhooks", "all"], default="all")
        parser.add_argument(
            "--state",
            choices=[EntryState.REJECTED.value, EntryState.DEAD.value],
            help="Only orders that need a fix (rejected), or only those that are stopped (dead).",
        )
        parser.add_argument("--problem", metavar="CODE", help="Only orders with this problem, e.g. payload_invalid.")
        parser.add_argument("--action", metavar="ACTION", help="Only webhooks of this action.")
        parser.add_argument("--since", metavar="DATE", help="Only what was recorded or received on that day or later.")
        parser.add_argument(
            "--processed", action="store_true", help="Also webhooks that were applied, as far as they are still kept."
        )
        parser.add_argument("--dry-run", action="store_true", help="Only say how many.")

    def handle(self, *args: Any, **options: Any) -> None:
        since = None
        if options["since"]:
            try:
                since = parse_date(options["since"])
            except ValueError:
                since = None
            if since is None:
                raise CommandError(f"--since {options['since']}: write it as 2026-01-31.")
            # By Python: a database may not know the time zones.
            since = timezone.make_aware(dt.datetime.combine(since, dt.time()))
        if options["what"] in ("orders", "all"):
            self.orders(since, options)
        if options["what"] in ("webhooks", "all"):
            self.webhooks(since, options)

    def orders(self, since: Any, options: dict[str, Any]) -> None:
        fold_all()
        entries = OutboxEntry.objects.stuck()
        if options["state"]:
            entries = entries.filter(state=options["state"])
        if options["problem"]:
            entries = entries.filter(error_code=options["problem"])
        if since:
            entries = entries.filter(changed_at__gte=since)
        count = entries.count() if options["dry_run"] else entries.retry()
        if count and not options["dry_run"]:
            work_due.send_robust(sender=OutboxEntry, queue="outbox")
        self.say(count, "order", options)

    def webhooks(self, since: Any, options: dict[str, Any]) -> None:
        events = WebhookEvent.objects.exclude(state__in=(EventState.RECEIVED, EventState.APPLIED))
        if not options["processed"]:
            events = events.filter(state__in=(EventState.FAILED, EventState.RECEIVER_FAILED))
        if options["action"]:
            events = events.filter(action=options["action"])
        if since:
            events = events.filter(received_at__gte=since)
        self.say(events.count() if options["dry_run"] else inbox.replay(events), "webhook", options)

    def say(self, count: int, what: str, options: dict[str, Any]) -> None:
        will = "would be" if options["dry_run"] else "is" if count == 1 else "are"
        self.stdout.write(f"{count} {what}{'' if count == 1 else 's'} {will} tried again.")
