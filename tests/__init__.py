# As in a shop's project: Celery's current app is this one wherever Django is set up.
from .celery_app import app as celery_app

__all__ = ["celery_app"]
