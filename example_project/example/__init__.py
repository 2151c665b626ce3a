"""A small shop that ships with Sendcloud."""

from .celery import app as celery_app

__all__ = ["celery_app"]
