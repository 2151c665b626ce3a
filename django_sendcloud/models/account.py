"""The Sendcloud account: what several integrations share, and all workers respect."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _


def main_account() -> int:
    """Primary key of the account that integrations belong to unless told otherwise."""
    return Account.objects.get_or_create(name="main")[0].pk


class Account(models.Model):
    """One Sendcloud account.

    Sendcloud counts requests per account, over all its API keys
    (https://sendcloud.dev/docs/getting-started/rate-limits.md), so the limiter, the pause after a
    429 and the circuit breaker live here, in one row that all workers share.
    """

    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        help_text=_("Integrations of one Sendcloud account share its rate limit: give them the same account."),
    )
    # Theoretical arrival times of the limiter (GCRA), in microseconds of the database's clock.
    unsafe_tat = models.BigIntegerField(default=0, editable=False)
    safe_tat = models.BigIntegerField(default=0, editable=False)
    blocked_until = models.DateTimeField(_("asked to wait until"), null=True, blank=True, editable=False)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0, editable=False)
    open_until = models.DateTimeField(_("breaker open until"), null=True, blank=True, editable=False)
    # When the periodic sweep last ran: the same in every row.
    swept_at = models.DateTimeField(null=True, blank=True, editable=False)
    openings = models.PositiveIntegerField(_("openings of the breaker in a row"), default=0, editable=False)

    objects = models.Manager["Account"]()

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")

    def __str__(self) -> str:
        return self.name

    def natural_key(self) -> tuple[Any, ...]:
        return (self.name,)
