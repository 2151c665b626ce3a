"""The Sendcloud account: what several integrations share, and all workers respect."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .base import DatabaseManager, SendcloudModel
from .fields import StorableCharField


def main_account() -> int:
    """Return the primary key of the account that integrations belong to by default."""
    return Account.objects.get_or_create(name="main")[0].pk


class ClosedReason(models.TextChoices):
    """The reason why nothing is sent to an account for a while."""

    RATE_LIMITED = "rate_limited", _("Sendcloud asked to wait")
    FAILING = "failing", _("Sendcloud fails")


class Account(SendcloudModel):
    """One Sendcloud account.

    Sendcloud counts requests per account, over all its API keys
    (https://sendcloud.dev/docs/getting-started/rate-limits.md), so the limiter and the time until which the account
    is closed live here, in one row that all workers share.
    """

    name = StorableCharField(
        _("name"),
        max_length=100,
        unique=True,
        help_text=_("Integrations of one Sendcloud account share its rate limit: give them the same account."),
    )
    # Theoretical arrival times of the limiter (GCRA), in microseconds of the database's clock.
    unsafe_tat = models.BigIntegerField(default=0, editable=False)
    safe_tat = models.BigIntegerField(default=0, editable=False)
    # Nothing is sent until then, because of the reason.
    closed_until = models.DateTimeField(_("closed until"), null=True, blank=True, editable=False)
    closed_reason = models.CharField(
        _("closed because"), max_length=20, choices=ClosedReason.choices, blank=True, default="", editable=False
    )
    # Two points for each failure, less one for each success since (``sync.breaker``).
    failures = models.PositiveIntegerField(_("points for failures"), default=0, editable=False)
    # The time of the last periodic sweep, the same in every row.
    swept_at = models.DateTimeField(null=True, blank=True, editable=False)
    # The number of times that failures have closed it, without a successful trial in between.
    openings = models.PositiveIntegerField(_("closed in a row"), default=0, editable=False)

    objects = DatabaseManager["Account"]()

    class Meta(SendcloudModel.Meta):
        verbose_name = _("account")
        verbose_name_plural = _("accounts")

    def __str__(self) -> str:
        return self.name
