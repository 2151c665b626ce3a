"""The example shop's Celery app, for the workers of a chaos run."""

import django
from example.celery import app

from . import receivers

__all__ = ["app"]

django.setup()

from django_sendcloud.sync import breaker  # noqa: E402
from django_sendcloud.sync.push import gate, settle  # noqa: E402
from django_sendcloud.webhooks import claim  # noqa: E402

# Constants of the engine, in the proportions of the settings of a run (``chaos.shop``). The breaker is quicker still,
# because a storm that only waits for it proves nothing.
breaker.OPEN_SECONDS = 0.5
breaker.OPEN_SECONDS_MAX = 2.0
settle.BACKOFF_BASE_SECONDS = 0.25
gate.MARGIN = 0.5
claim.FIRST_WAIT = 0.5
claim.LONGEST_WAIT = 2.0
receivers.install()
