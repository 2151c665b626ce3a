"""The worker of a test shop that was made from a copy of the database: ``python -m tests.chaos.copy``."""

from __future__ import annotations

from django.core.management import call_command

from . import app  # noqa: F401 - sets Django up, and the engine's constants of a run

if __name__ == "__main__":
    call_command("sendcloud_work")
