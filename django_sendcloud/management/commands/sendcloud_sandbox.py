"""``manage.py sendcloud_sandbox``."""

from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from django_sendcloud.sandbox.cli import DESCRIPTION, add_arguments, serve


class Command(BaseCommand):
    """Starts a local Sendcloud."""

    help = DESCRIPTION
    # It neither needs the shop's database nor its settings to be in order.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if code := serve(options, sys.stdout):
            sys.exit(code)
