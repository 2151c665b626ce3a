"""What Sendcloud still has to be told."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.apps import apps
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..clock import clock


class EntryState(models.TextChoices):
    PENDING = "pending", _("waiting")
    REJECTED = "rejected", _("needs a correction")
    DEAD = "dead", _("given up")


class OutboxQuerySet(models.QuerySet["OutboxEntry"]):
    def pending(self) -> OutboxQuerySet:
        """To be sent, now or later."""
        return self.filter(state=EntryState.PENDING)

    def due(self, now: dt.datetime) -> OutboxQuerySet:
        """To be sent now: wanted by now, and neither leased nor in quarantine."""
        return self.pending().filter(due_at__lte=now, not_before__lte=now)

    def stuck(self) -> OutboxQuerySet:
        """Those that need a person, or a change of the order."""
        return self.filter(state__in=(EntryState.REJECTED, EntryState.DEAD))

    def for_order(self, order: models.Model) -> OutboxQuerySet:
        """The entry of one order (at most one)."""
        from ..adapters import registry

        return self.filter(order_type=registry.order_type(type(order)), order_pk=str(order.pk))

    def retry(self) -> int:
        """Make these due at once, with all counters at zero. Returns how many.

        A quarantine is kept: it protects what may still arrive late.
        """
        clock.synchronize()
        return self.update(
            state=EntryState.PENDING,
            due_at=clock.now(),
            attempts=0,
            failures=0,
            failing_since=None,
            version=models.F("version") + 1,
        )


class OutboxEntry(models.Model):
    """*Look at this order again*: at most one row per order, deleted as soon as Sendcloud knows all.

    It holds no content: what is sent is built from the order's state when it is sent. There is one row
    per order, not one per order and integration, so that an order has one writer at a time also
    while it moves from one integration to another.
    """

    order_type = models.CharField(_("order type"), max_length=100)
    order_pk = models.CharField(_("order key"), max_length=128)
    # What people know the order by, as far as an attempt found out.
    order_number = models.CharField(_("order number"), max_length=255, blank=True, default="", db_default="")
    # Where it waits, as far as known: set once an attempt found out, cleared by every change.
    integration = models.ForeignKey(
        "django_sendcloud.Integration",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="outbox",
        verbose_name=_("waits for"),
    )

    # Every change raises ``version``; settling requires that it is still the one that was claimed.
    version = models.PositiveBigIntegerField(default=1, db_default=1, editable=False)
    claimed_version = models.PositiveBigIntegerField(default=0, db_default=0, editable=False)
    # The ``updated_at`` sent with it, in seconds since the epoch; raised at each claim, whatever the clock says.
    stamp = models.BigIntegerField(default=0, db_default=0, editable=False)
    # A hint that this will be a delete. Never trusted: the order itself is looked at.
    gone = models.BooleanField(_("deletion"), default=False, db_default=False, editable=False)

    state = models.CharField(
        _("state"), max_length=10, choices=EntryState.choices, default=EntryState.PENDING, db_default="pending"
    )
    due_at = models.DateTimeField(_("due at"), default=timezone.now)
    # End of the lease, or of the quarantine. A change never brings it forward.
    not_before = models.DateTimeField(_("not before"), default=timezone.now)
    # Who works on it: a new random value for each claim, "" when nobody does.
    lease = models.CharField(max_length=32, default="", db_default="", editable=False)
    # Claims since anybody last reported back: more than a few mean that it kills its worker.
    attempts = models.PositiveIntegerField(_("claims without an answer"), default=0, db_default=0, editable=False)
    # Attempts that a worker reported as failed and that may heal by themselves.
    failures = models.PositiveIntegerField(_("failed attempts"), default=0, db_default=0, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    # Something may have been sent and nobody knows what became of it.
    in_doubt = models.BooleanField(default=False, db_default=False, editable=False)

    error_code = models.CharField(_("problem"), max_length=50, blank=True, default="", db_default="")
    error_detail = models.TextField(_("details"), blank=True, default="")
    error_fields = models.JSONField(_("fields"), default=dict, blank=True)
    recorded_at = models.DateTimeField(_("recorded at"), default=timezone.now)
    changed_at = models.DateTimeField(_("last change"), default=timezone.now)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        verbose_name = _("outbox entry")
        verbose_name_plural = _("outbox")
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_outbox_order"),
        ]
        indexes = [
            models.Index(fields=["state", "gone", "due_at"], name="sendcloud_outbox_due"),
        ]
        permissions = [("push_order", _("Can push and retry orders"))]

    def __str__(self) -> str:
        return self.order_number or f"{self.order_type} {self.order_pk}"

    @property
    def is_leased(self) -> bool:
        return bool(self.lease) and self.not_before > timezone.now()

    def order(self) -> models.Model | None:
        """The shop's order, ``None`` where it is gone."""
        return local_order(self.order_type, self.order_pk)


def local_order(order_type: str, order_pk: str) -> models.Model | None:
    """The shop's order behind a stored type and key, ``None`` where either is gone."""
    try:
        model: Any = apps.get_model(order_type)
        return model._base_manager.filter(pk=order_pk).first()  # type: ignore[no-any-return]
    except (LookupError, ValueError):
        return None


__all__ = ["EntryState", "OutboxEntry", "OutboxQuerySet", "local_order"]
