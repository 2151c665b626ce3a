"""The shop's Celery app: the usual one, with the app's periodic work merged in."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "example.settings")

app = Celery("example")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def schedule(sender: Celery, **kwargs: object) -> None:
    from django_sendcloud.schedule import beat_schedule

    sender.conf.beat_schedule = {**beat_schedule()}
