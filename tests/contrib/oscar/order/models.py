"""The shop's own order app, forked as Oscar's documentation says."""

from django.db import models
from oscar.apps.order.abstract_models import AbstractOrder


class Order(AbstractOrder):
    gift_message = models.TextField(blank=True)


from oscar.apps.order.models import *  # noqa: E402, F403
