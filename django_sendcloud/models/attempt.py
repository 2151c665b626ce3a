"""What came of trying to tell Sendcloud of an order, where it did not simply work."""

from __future__ import annotations

import datetime as dt
from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import ExactCharField
from .integration import Integration


class AttemptOutcome(models.TextChoices):
    ACCEPTED = "accepted", _("accepted")
    REFUSED = "refused", _("refused")
    FAILED = "failed", _("failed")


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def of_order(self, order_type: str, order_pk: str) -> Self:
        """Those of one order, newest first."""
        return self.filter(order_type=order_type, order_pk=order_pk).order_by("-at", "-pk")


class Attempt(models.Model):
    """One try that failed or was refused; or the one that was accepted after such.

    An order that goes out at the first try leaves none. It holds no personal data.
    """

    integration = models.ForeignKey(
        Integration, on_delete=models.CASCADE, null=True, related_name="+", verbose_name=_("integration")
    )
    order_type = models.CharField(_("order type"), max_length=100)
    order_pk = ExactCharField(_("order key"), max_length=255)
    at = models.DateTimeField(_("at"))
    outcome = models.CharField(_("outcome"), max_length=10, choices=AttemptOutcome.choices)
    # What the admin explains.
    code = models.CharField(max_length=40, blank=True)

    objects = AttemptQuerySet.as_manager()

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        indexes = [
            models.Index(fields=["order_type", "order_pk", "at"], name="sendcloud_attempt_order"),
            models.Index(fields=["at"], name="sendcloud_attempt_at"),
        ]

    def __str__(self) -> str:
        at: dt.datetime = self.at
        return f"{self.order_type} {self.order_pk} {at:%Y-%m-%d %H:%M:%S}: {self.outcome}"
