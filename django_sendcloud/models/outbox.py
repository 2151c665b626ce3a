"""The outbox: orders that still have to be pushed."""

from __future__ import annotations

import datetime as dt

from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..core.clock import clock
from .base import OrderReference, OrderReferenceQuerySet
from .fields import ExactCharField, StorableTextField

# Entries that one statement makes due.
REQUEUE_CHUNK = 10_000


class EntryState(models.TextChoices):
    """State of an order in the outbox."""

    PENDING = "pending", _("Waiting")
    REJECTED = "rejected", _("Fix needed")
    DEAD = "dead", _("Stopped")


def leased(now: dt.datetime) -> Q:
    """Return the condition for entries under a lease: of a worker, or of an operator's request."""
    return Q(not_before__gt=now) & ~Q(lease="")


def claimed(now: dt.datetime) -> Q:
    """Return the condition for entries that a worker pushes now."""
    return Q(state=EntryState.PENDING) & leased(now)


def free(now: dt.datetime) -> Q:
    """Return the condition for entries to push that are neither leased nor in quarantine."""
    return Q(state=EntryState.PENDING, not_before__lte=now)


def due(now: dt.datetime) -> Q:
    """Return the condition for entries to push now."""
    return free(now) & Q(due_at__lte=now)


def later(now: dt.datetime) -> Q:
    """Return the condition for entries that wait and are neither due nor claimed."""
    waits = Q(not_before__gt=now, lease="") | Q(not_before__lte=now, due_at__gt=now)
    return Q(state=EntryState.PENDING) & waits


class OutboxQuerySet(OrderReferenceQuerySet["OutboxEntry"]):
    def pending(self) -> OutboxQuerySet:
        """Return the entries to push, now or later."""
        return self.filter(state=EntryState.PENDING)

    def free(self, now: dt.datetime) -> OutboxQuerySet:
        """Return the entries to push, due or not, that are neither leased nor in quarantine."""
        return self.filter(free(now))

    def due(self, now: dt.datetime) -> OutboxQuerySet:
        """Return the entries to push now: due, and neither leased nor in quarantine."""
        return self.filter(due(now))

    def unassigned(self) -> OutboxQuerySet:
        """Return the entries that no integration takes, as the integrations are now."""
        return self.pending().filter(error_code__in=("no_integration", "integration_unknown"))

    def stuck(self) -> OutboxQuerySet:
        """Return the entries that need a person, or a change of the order."""
        return self.filter(state__in=(EntryState.REJECTED, EntryState.DEAD))

    def requeue(self) -> None:
        """Make these entries due now, in portions, because there may be many. A quarantine is kept."""
        clock.synchronize()
        now = clock.now()
        waiting = self.pending().filter(due_at__gt=now).order_by("pk")
        last = 0
        while pks := list(waiting.filter(pk__gt=last).values_list("pk", flat=True)[:REQUEUE_CHUNK]):
            last = pks[-1]
            waiting.order_by().filter(pk__range=(pks[0], last)).update(due_at=Greatest(F("not_before"), Value(now)))

    def retry(self) -> int:
        """Make these entries due now, with all counters at zero. Return how many.

        A quarantine is kept, because a late request may still arrive. A leased entry becomes due when its worker is
        done. ``in_doubt`` remembers that something may have been sent, though the attempts that say so are reset.
        """
        clock.synchronize()
        now = clock.now()
        is_leased = leased(now)
        return self.update(
            # MySQL assigns from left to right, so a column is read before it is written.
            in_doubt=Case(When(attempts__gt=0, then=Value(True)), default=F("in_doubt")),
            attempts=Case(When(is_leased, then=F("attempts")), default=Value(0)),
            due_at=Case(When(is_leased, then=F("due_at")), default=Greatest(F("not_before"), Value(now))),
            state=EntryState.PENDING,
            failures=0,
            failing_since=None,
            version=F("version") + 1,
            is_accepted=False,
        )


class OutboxEntry(OrderReference):
    """*Look at this order again*: at most one row per order, deleted as soon as Sendcloud knows all.

    It holds no content: a worker builds the payload from the order's state when it pushes it. There is one row per
    order, not one per order and integration, so that an order has one writer at a time also while it moves from one
    integration to another.
    """

    # The number that people know the order by, once an attempt has read it.
    order_number = ExactCharField(_("order number"), max_length=255, blank=True, default="", db_default="")
    # The integration it goes to, once an attempt has asked the adapter.
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
    # The ``updated_at`` sent with it, in seconds since the epoch; raised at each claim, whatever the clock says.
    stamp = models.BigIntegerField(default=0, db_default=0, editable=False)
    # Whether it came from bulk work (``enqueue()``, drift, reconcile), which goes after changes that a signal reported.
    is_bulk = models.BooleanField(default=False, db_default=False, editable=False)
    # A hint that this will be a deletion. It decides only the order of claims: the plan reads the order itself.
    is_deletion = models.BooleanField(_("deletion"), default=False, db_default=False, editable=False)
    # Only rows that the order depends on have changed, not the order itself.
    only_related = models.BooleanField(default=False, db_default=False, editable=False)

    state = models.CharField(
        _("state"), max_length=10, choices=EntryState.choices, default=EntryState.PENDING, db_default="pending"
    )
    # The next time a worker may claim it. Never before ``not_before``, so that quarantined entries sort last.
    due_at = models.DateTimeField(_("due at"), default=timezone.now)
    # End of the lease with the quarantine after it, or of the quarantine. A change never brings it forward.
    not_before = models.DateTimeField(_("not before"), default=timezone.now)
    # A new random value for each claim; "" if no worker holds it.
    lease = models.CharField(max_length=32, default="", db_default="", editable=False)
    # Claims without a result since the last one: more than a few mean that the order kills its worker.
    attempts = models.PositiveIntegerField(_("claims without an answer"), default=0, db_default=0, editable=False)
    # Attempts that a worker reported as failed, and that may succeed later.
    failures = models.PositiveIntegerField(_("failed attempts"), default=0, db_default=0, editable=False)
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True, editable=False)
    # The size of its batch, halved at each step: 0 is a full batch, 7 a single order (``sync.isolation``).
    isolation = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    # Something may have been sent, with an unknown result.
    in_doubt = models.BooleanField(default=False, db_default=False, editable=False)
    # Sendcloud has accepted everything that the order wants: a worker only has to confirm that it is saved, and needs
    # no order for that. Every change takes this back.
    is_accepted = models.BooleanField(default=False, db_default=False, editable=False)

    error_code = models.CharField(_("problem"), max_length=50, blank=True, default="", db_default="")
    # The first field to blame, without positions, and the rule it violates: orders that share them and the code have
    # the same fix, and are counted, listed and pushed together (``sync.problems.Cause``).
    error_field = ExactCharField(max_length=200, default="", db_default="", editable=False)
    error_rule = ExactCharField(max_length=50, default="", db_default="", editable=False)
    error_detail = StorableTextField(_("details"), blank=True, default="")
    error_fields = models.JSONField(_("fields"), default=dict, blank=True)
    recorded_at = models.DateTimeField(_("recorded at"), default=timezone.now)
    changed_at = models.DateTimeField(_("last change"), default=timezone.now)

    objects = OutboxQuerySet.as_manager()

    class Meta(OrderReference.Meta):
        verbose_name = _("outbox entry")
        verbose_name_plural = _("outbox")
        constraints = [
            models.UniqueConstraint(fields=["order_type", "order_pk"], name="sendcloud_outbox_order"),
        ]
        indexes = [
            models.Index(
                fields=["state", "integration", "is_accepted", "is_deletion", "is_bulk", "due_at"],
                name="sendcloud_outbox_due",
            ),
            models.Index(fields=["error_code", "error_field", "error_rule"], name="sendcloud_outbox_cause"),
        ]
        permissions = [("push_order", _("Can push and retry orders"))]

    def __str__(self) -> str:
        return self.order_number or str(self.ref)

    @property
    def is_leased(self) -> bool:
        """Return whether :func:`leased` is true of this entry, as it was read."""
        return bool(self.lease) and self.not_before > clock.now()


__all__ = ["EntryState", "OutboxEntry", "OutboxQuerySet", "claimed", "due", "later"]
