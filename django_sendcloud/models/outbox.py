"""What Sendcloud still has to be told."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models, router
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..clock import clock
from .fields import ExactCharField

# Entries that one statement wakes.
WOKEN_AT_ONCE = 10_000


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

    def nobodys(self) -> OutboxQuerySet:
        """Those that no integration takes, as the integrations are now."""
        return self.pending().filter(error_code__in=("no_integration", "integration_unknown"))

    def stuck(self) -> OutboxQuerySet:
        """Those that need a person, or a change of the order."""
        return self.filter(state__in=(EntryState.REJECTED, EntryState.DEAD))

    def for_order(self, order: models.Model) -> OutboxQuerySet:
        """The entry of one order (at most one)."""
        from ..adapters import registry

        return self.filter(order_type__in=registry.order_types(order), order_pk=str(order.pk))

    def wake(self) -> None:
        """Have these looked at now rather than later. In portions: there may be many. A quarantine is kept."""
        clock.synchronize()
        now = clock.now()
        waiting = self.pending().filter(due_at__gt=now).order_by("pk")
        last = 0
        while pks := list(waiting.filter(pk__gt=last).values_list("pk", flat=True)[:WOKEN_AT_ONCE]):
            last = pks[-1]
            waiting.order_by().filter(pk__range=(pks[0], last)).update(due_at=Greatest(F("not_before"), Value(now)))

    def retry(self) -> int:
        """Make these due at once, with all counters at zero. Returns how many.

        A quarantine is kept: it protects what may still arrive late. What is in a worker's hands is looked at again
        when it is through. That something may have been sent is remembered, though the attempts that say so are not.
        """
        clock.synchronize()
        now = clock.now()
        in_hand = ~Q(lease="") & Q(not_before__gt=now)
        return self.update(
            # MySQL assigns from left to right: what is read stands before what is written.
            in_doubt=Case(When(attempts__gt=0, then=Value(True)), default=F("in_doubt")),
            attempts=Case(When(in_hand, then=F("attempts")), default=Value(0)),
            due_at=Case(When(in_hand, then=F("due_at")), default=Greatest(F("not_before"), Value(now))),
            state=EntryState.PENDING,
            failures=0,
            failing_since=None,
            version=F("version") + 1,
        )


class OutboxEntry(models.Model):
    """*Look at this order again*: at most one row per order, deleted as soon as Sendcloud knows all.

    It holds no content: what is sent is built from the order's state when it is sent. There is one row
    per order, not one per order and integration, so that an order has one writer at a time also
    while it moves from one integration to another.
    """

    order_type = models.CharField(_("order type"), max_length=100)
    order_pk = ExactCharField(_("order key"), max_length=255)
    # What people know the order by, as far as an attempt found out.
    order_number = models.CharField(_("order number"), max_length=255, blank=True, default="", db_default="")
    # Where it waits, as far as known: set once an attempt found out.
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
    # When it is looked at next. Never before ``not_before``, so that what must rest stands behind what may go.
    due_at = models.DateTimeField(_("due at"), default=timezone.now)
    # End of the lease with the quarantine after it, or of the quarantine. A change never brings it forward.
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
    label, _, alias = order_type.partition("@")
    try:
        model: Any = apps.get_model(label)
        rows = model._base_manager.using(alias or router.db_for_write(model))
        return rows.filter(pk=order_pk).first()  # type: ignore[no-any-return]
    except (LookupError, ValueError, ValidationError):
        return None


__all__ = ["EntryState", "OutboxEntry", "OutboxQuerySet", "local_order"]
