"""The history of pushes that did not succeed at the first try."""

from __future__ import annotations

import datetime as dt
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .base import OrderReference, OrderReferenceQuerySet
from .fields import StorableCharField
from .integration import Integration


class AttemptOutcome(models.TextChoices):
    SENT = "sent", pgettext_lazy("attempt", "sent")
    REJECTED = "rejected", _("rejected")
    FAILED = "failed", _("failed")


class AttemptQuerySet(OrderReferenceQuerySet["Attempt"]):
    def newest_first(self) -> Self:
        """Return the attempts in the order in which the admin shows them."""
        return self.order_by("-at", "-pk")


class Attempt(OrderReference):
    """A streak of equal results of pushing one order: failures, rejections, or the success after them.

    An order that goes out at the first try leaves none. It holds no personal data.
    """

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, null=True, related_name="+", verbose_name=_("integration")
    )
    at = models.DateTimeField(_("at"))
    count = models.PositiveIntegerField(_("times"), default=1, db_default=1)
    outcome = models.CharField(_("outcome"), max_length=10, choices=AttemptOutcome.choices)
    # The admin explains it.
    code = models.CharField(max_length=40, blank=True)
    # The first field to blame, without positions, and the rule it violates.
    field = StorableCharField(max_length=200, blank=True, default="", db_default="")
    rule = StorableCharField(max_length=50, blank=True, default="", db_default="")

    objects = AttemptQuerySet.as_manager()

    class Meta(OrderReference.Meta):
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        indexes = [
            models.Index(fields=["order_type", "order_pk", "at"], name="sendcloud_attempt_order"),
            models.Index(fields=["at"], name="sendcloud_attempt_at"),
        ]

    def __str__(self) -> str:
        at: dt.datetime = self.at
        return f"{self.order_type} {self.order_pk} {at:%Y-%m-%d %H:%M:%S}: {self.outcome}"
