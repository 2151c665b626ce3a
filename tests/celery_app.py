"""The Celery app of the test project, for tests with real workers."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def schedule(sender: Celery, **kwargs: object) -> None:
    from django_sendcloud.schedule import beat_schedule

    sender.conf.beat_schedule = beat_schedule()


@app.task(name="tests.touch")  # type: ignore[untyped-decorator]
def touch(path: str) -> None:
    """Leave a trace: a task of the shop's own."""
    Path(path).touch()
