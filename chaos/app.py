"""The example shop's Celery app, for the workers of a chaos run."""

import django
from example.celery import app

__all__ = ["app"]

django.setup()

from django_sendcloud.sync import breaker, push, settle  # noqa: E402

# What is not a setting, in the proportions of the settings of a run (``chaos.shop``). The breaker is quicker still: a
# storm that is spent waiting for it proves nothing.
breaker.OPEN_SECONDS = 0.5
breaker.OPEN_SECONDS_MAX = 2.0
breaker.BLOCK_SECONDS_MAX = 5.0
settle.BACKOFF_BASE_SECONDS = 0.25
push.MARGIN = 0.5
